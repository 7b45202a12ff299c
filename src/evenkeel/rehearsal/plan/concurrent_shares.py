"""Shares of least connections, whose weights show only under many concurrent requests.

An idle server may get a request whatever its weight is, so a few concurrent requests can be spread
evenly; many are spread by weight. A pool of such servers is therefore counted twice: with a few
concurrent requests like every pool, and with many, which show its shares.
Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from evenkeel.rehearsal.protocol.measured_types import Concurrent, Phase
from evenkeel.rehearsal.protocol.world_types import PoolFacts, PoolIntent

# Show a share to half a point.
ENOUGH = 256
# One client can have no more requests under way.
MOST_AT_ONE_TIME = 1500
# Requests that a server may be off, plus 1 with unequal weights.
# HAProxy 2.6.12, 7 pools of 2 to 200 servers: at most 2.2 off.
SLACK = 1.5
# Requests per server that make the slack negligible.
TURNS = 6
COUNTED, IMPOSSIBLE, MISSING = "counted", "impossible", "missing"


def shows_under_load_only(pool: PoolIntent) -> bool:
    """Whether the weights of a pool show only under many concurrent requests."""
    used = {weight for weight in pool["weights"].values() if weight > 0}
    return pool["algorithm"] == "least_connections" and len(used) > 1


def needed(pool: PoolFacts) -> int:
    """Give how many concurrent requests must be answered to show the shares of a pool."""
    return TURNS * sum(1 for weight in pool["weights"].values() if weight > 0)


def at_one_time(pool: PoolFacts) -> int:
    """Give how many concurrent requests show the shares of a pool.

    0 where none do: its weights show anyway, its limits are too low, or it is too large.
    """
    if not shows_under_load_only(pool):
        return 0
    weights = {name: weight for name, weight in pool["weights"].items() if weight > 0}
    total = math.fsum(weights.values())
    number = min(MOST_AT_ONE_TIME, max(ENOUGH, needed(pool)))
    if pool["room"] is not None:
        number = min(number, pool["room"])
    for name, weight in weights.items():
        limit = pool["limits"].get(name)
        if limit is not None:
            number = min(number, math.floor(limit * total / weight))
    return number if number >= needed(pool) else 0


def likely(pool: PoolFacts, weights: Mapping[str, float], server: str, *, most: bool) -> float:
    """Give the largest or the smallest share that a server of `weights` may have at any load.

    Both are its share by weight, except under least connections with different weights.
    """
    share = weights[server] / math.fsum(weights.values())
    if not shows_under_load_only(pool):
        return share
    return (max if most else min)(share, 1.0 / len(weights))


def counted_in(phase: Phase | None, pool: str) -> Concurrent | None:
    """Give what was counted of concurrent requests to `pool`; None where nothing was."""
    return phase["under_way"].get(pool) if phase else None


def state(pool: PoolFacts, concurrent: Concurrent | None) -> str:
    """Tell whether `concurrent` shows shares (COUNTED), cannot (IMPOSSIBLE) or should (MISSING)."""
    if not at_one_time(pool):
        return IMPOSSIBLE
    if not concurrent:
        return MISSING
    if concurrent["reached"] < needed(pool):
        # An unknown limit; the check of concurrency reports new ones.
        return IMPOSSIBLE
    enough = answered(pool, concurrent) >= needed(pool)
    return COUNTED if enough and concurrent["reached"] >= concurrent["asked"] else MISSING


def answered(pool: PoolFacts, concurrent: Concurrent) -> int:
    """Give how many of the concurrent requests the pool's own servers answered."""
    own = set(pool["endpoints"].values())
    return sum(number for endpoint, number in concurrent["servers"].items() if endpoint in own)
