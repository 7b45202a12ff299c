"""The shares of a pool over all hosts that carry a change, judged beside each host's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evenkeel.judge.share import ShareJudge
from evenkeel.judge.verdict import FAIL

Result = Mapping[str, Any]


def over(answers: Iterable[Result]) -> dict[str, Any]:
    """Judge each pool's requests per server over all hosts together.

    Many balancers, each within its band, can agree on the same victim. What a server should get of
    the sum is what each host intends for it, weighed by that host's requests.
    """
    rows: dict[str, list[Result]] = {}
    for answer in answers:
        for pool, row in (answer.get("pools") or {}).items():
            if isinstance(row.get("share"), Mapping):
                rows.setdefault(pool, []).append(row)
    return {pool: _pool(pool, rows[pool]) for pool in sorted(rows)}


def _pool(pool: str, rows: list[Result]) -> dict[str, Any]:
    """Judge one pool over all hosts; `rows` are its parts of the hosts' observe results."""
    counts: dict[str, int] = {}
    intended: dict[str, float] = {}
    seen = any(one.get("segment_requests") for row in rows for one in row["servers"].values())
    for row in rows:
        servers = {name: one for name, one in row["servers"].items() if "intended" in one}
        total = sum(int(one["segment_requests"]) for one in servers.values()) if seen else 1
        for name, one in servers.items():
            counts[name] = counts.get(name, 0) + int(one["segment_requests"])
            intended[name] = intended.get(name, 0.0) + total * float(one["intended"])
    facts = rows[0]["share"]
    share = ShareJudge(
        intended,
        tolerance=float(facts["tolerance"]),
        alpha=float(facts["pass_alpha"]),
        # Each host answers for its own number of requests.
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
    pools: Mapping[str, Result], answers: Sequence[Result], proved: Sequence[Result]
) -> list[Result]:
    """Give the sums that a stage must heed; of one host the sum says nothing more.

    A `fail` over all `answers` (`pools` are their sums) counts whatever each host says. To prove
    that the shares are right, of a pool that needs it, only those count that have `proved` their
    own: not carriers for which the stage was too short.
    """
    whole = pools if len(answers) > 1 else {}
    failed = {name: pool for name, pool in whole.items() if pool["verdict"] == FAIL}
    settled = whole if len(proved) == len(answers) else over(proved) if len(proved) > 1 else {}
    proving = {name: pool for name, pool in settled.items() if pool["required"]}
    return list({**proving, **failed}.values())
