"""The shares of each pool summed over all hosts that carry a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evenkeel.answers import Observed, ObservedPool
from evenkeel.judge.share import ShareJudge
from evenkeel.judge.verdict import FAIL

SumResult = dict[str, Any]
"""The result of `judge.share.ShareJudge` for a sum, with its unit and whether it is required."""


def over(answers: Iterable[Observed]) -> dict[str, SumResult]:
    """Judge the requests per server of each pool, summed over all hosts.

    Many balancers, each within its band, can overload the same server. The share that a server
    should get of the sum is the mean of the hosts' intended shares, weighted by their requests.
    """
    rows: dict[str, list[ObservedPool]] = {}
    for answer in answers:
        for pool, row in (answer.get("pools") or {}).items():
            if isinstance(row.get("share"), Mapping):
                rows.setdefault(pool, []).append(row)
    return {pool: _pool(pool, rows[pool]) for pool in sorted(rows)}


def _pool(pool: str, rows: list[ObservedPool]) -> SumResult:
    """Judge one pool over all hosts; `rows` has the pool of each host."""
    counts: dict[str, int] = {}
    intended: dict[str, float] = {}
    seen = any(one.get("segment_requests") for row in rows for one in row["servers"].values())
    for row in rows:
        servers = {name: one for name, one in row["servers"].items() if "intended" in one}
        total = sum(int(one["segment_requests"]) for one in servers.values()) if seen else 1
        for name, one in servers.items():
            counts[name] = counts.get(name, 0) + int(one["segment_requests"])
            intended[name] = intended.get(name, 0.0) + total * float(one["intended"])
    facts = rows[0]["share"] or {}
    share = ShareJudge(
        intended,
        tolerance=float(facts["tolerance"]),
        alpha=float(facts["pass_alpha"]),
        # Each host checks its own minimum.
        minimum_requests=0,
        pool=f"{pool} over all hosts",
        exempt=[
            name
            for row in rows
            for name, one in row["servers"].items()
            if one.get("status") == "draining"
        ],
    )
    share.update(counts)
    return share.result() | {
        "unit": rows[0].get("unit"),
        "assumption": rows[0].get("assumption"),
        "required": any(row.get("required") for row in rows),
    }


def decisive(
    pools: Mapping[str, SumResult], answers: Sequence[Observed], proved: Sequence[Observed]
) -> list[SumResult]:
    """Give the sums that count for a stage; the sum of one host says nothing new.

    A `fail` in `pools`, the sums of all `answers`, counts always. A required pool passes on the
    hosts in `proved` alone: it leaves out carriers for which the stage was too short.
    """
    sums = pools if len(answers) > 1 else {}
    failed = {name: pool for name, pool in sums.items() if pool["verdict"] == FAIL}
    settled = sums if len(proved) == len(answers) else over(proved) if len(proved) > 1 else {}
    proving = {name: pool for name, pool in settled.items() if pool["required"]}
    return list({**proving, **failed}.values())
