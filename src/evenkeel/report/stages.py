"""The canary stages for the report: each host, each pool, each server on its band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from evenkeel.change.difference import redact
from evenkeel.records import Record
from evenkeel.report.bars import BandRow, band_rows, shares_over_time
from evenkeel.report.reading import Reading, Stage
from evenkeel.report.tones import said, tone

Object = Mapping[str, Any]

MOST_UNFOLDED = 3
ROLES = (("hosts", "canary"), ("carriers", "carrier"), ("controls", "control"))


class PoolRow(TypedDict):
    """One pool that was watched."""

    name: str
    requests: int
    unit: str
    assumption: str
    tolerance: str
    rows: list[BandRow]
    timed: bool


class HostRow(TypedDict):
    """One host of a stage; one that is not `shown` is folded."""

    host: str
    role: str
    verdict: str
    tone: str
    status: str
    reverted: bool
    requests: int
    errors: int
    probes: int
    seconds: str
    pools: list[PoolRow]
    shown: bool


class StageRow(TypedDict):
    """One stage; `fleet` has the pools of all its hosts together."""

    number: int
    names: str
    verdict: str
    tone: str
    bake_seconds: int
    reasons: list[str]
    hosts: list[HostRow]
    controls: str
    fleet: list[PoolRow]
    errors: str
    slow: list[str]


def stages(reading: Reading) -> list[StageRow]:
    """Give an entry for each stage of the plan that has started."""
    return [
        _stage(stage, reading.stages.get(stage.number), reading.results.get(stage.number) or {})
        for stage in reading.plan
        if stage.number in reading.stages or stage.number in reading.results
    ]


def _stage(stage: Stage, record: Record | None, results: Mapping[str, Object]) -> StageRow:
    body: Object = record.body if record else {}
    verdict = str(body.get("verdict") or "under way")
    few = len(stage.hosts) <= MOST_UNFOLDED
    hosts = [
        _host(host, role, row, results.get(host) or {}, few=few)
        for key, role in ROLES
        for host, row in (body.get(key) or {}).items()
    ]
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


def _host(host: str, role: str, row: Object, result: Object, *, few: bool) -> HostRow:
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
        # Only healthy hosts of a long list are folded.
        "shown": tone(verdict) != "good" or (few and role == "canary"),
    }


def _pools(pools: Object, history: list[Any]) -> list[PoolRow]:
    shown: list[PoolRow] = []
    for name, pool in sorted(pools.items()):
        rows = band_rows(pool, shares_over_time(history, name))
        tolerance = (pool.get("share") or pool).get("tolerance")
        if rows:
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
    return shown
