"""The canary stages as the report shows them: each host, each pool, each server on its band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.change.difference import redact
from evenkeel.records import Record
from evenkeel.report.reading import Reading, Stage
from evenkeel.report.shares import band_rows, shares_over_time
from evenkeel.report.words import said, tone

Object = Mapping[str, Any]

MOST_UNFOLDED = 3
ROLES = (("hosts", "canary"), ("carriers", "carrier"), ("controls", "control"))


def stages(reading: Reading) -> list[dict[str, Any]]:
    """Give one entry for each stage of the plan that has begun."""
    return [
        _stage(stage, reading.stages.get(stage.number), reading.results.get(stage.number) or {})
        for stage in reading.plan
        if stage.number in reading.stages or stage.number in reading.results
    ]


def _stage(stage: Stage, record: Record | None, results: Mapping[str, Object]) -> dict[str, Any]:
    body: Object = record.body if record else {}
    verdict = str(body.get("verdict") or "under way")
    hosts = [
        _host(host, role, row, results.get(host) or {})
        for key, role in ROLES
        for host, row in (body.get(key) or {}).items()
    ]
    # A long list of hosts that are well is folded away; what is not well is always in sight.
    few = len(stage.hosts) <= MOST_UNFOLDED
    for row in hosts:
        row["shown"] = row["tone"] != "good" or (few and row["role"] == "canary")
    many = len(stage.hosts) + len(stage.carriers) > 1
    errors = body.get("errors") or {}
    return {
        "number": stage.number,
        "names": ", ".join(stage.hosts),
        "verdict": said(verdict),
        "tone": tone(verdict),
        "bake_seconds": stage.bake_seconds,
        "reasons": [redact(str(reason)) for reason in body.get("reasons") or []],
        "hosts": hosts,
        "controls": ", ".join(row["host"] for row in hosts if row["role"] == "control"),
        "fleet": _pools(body.get("pools") or {}, []) if many else [],
        "errors": "; ".join(map(str, errors.get("reasons") or [])),
        "slow": [
            f"pool {name}: {reason}"
            for name, row in (body.get("latency") or {}).items()
            for reason in row.get("reasons") or [f"{row['canary_slow']} slow answers"]
        ],
    }


def _host(host: str, role: str, row: Object, result: Object) -> dict[str, Any]:
    answer = result.get("result") or {}
    history = answer.get("history") or []
    seconds = row.get("seconds")
    verdict = row.get("verdict") or "watched"
    return {
        "host": host,
        "role": role,
        "verdict": said(verdict),
        "tone": tone(verdict),
        "status": str(row.get("status") or ""),
        "reverted": bool(row.get("reverted")),
        "requests": int(row.get("requests") or 0),
        "errors": int(row.get("errors") or 0),
        "probes": int((row.get("probe") or {}).get("sent") or 0),
        "seconds": f"{seconds:.0f} s" if isinstance(seconds, int | float) else "",
        "pools": _pools(answer.get("pools") or {}, history) if role != "control" else [],
    }


def _pools(pools: Object, history: list[Any]) -> list[dict[str, Any]]:
    shown = []
    for name, pool in sorted(pools.items()):
        rows = band_rows(pool, shares_over_time(history, name))
        facts = pool.get("share") or pool
        tolerance = facts.get("tolerance")
        shown.append(
            {
                "name": name,
                "requests": int(pool.get("requests") or 0),
                "unit": str(pool.get("unit") or "requests"),
                "assumption": str(pool.get("assumption") or ""),
                "tolerance": f"±{100 * tolerance:.0f} %" if tolerance else "",
                "rows": rows,
                "timed": any(row["chart"] for row in rows),
            }
        )
    return [pool for pool in shown if pool["rows"]]
