"""Shares of least connections, whose weights show only while many requests are under way.

An idle server may have its turn whatever its weight is, so a few requests at a time can be spread
evenly; many at one time are spread by weight. A pool of such servers is therefore counted twice:
with a few requests at a time like every pool, and with all of them at one time, which is what its
shares are.

Standard library only: it runs in the staging container too.
"""

from __future__ import annotations

import math

from evenkeel.rehearsal.protocol.measured_types import Concurrent, Phase
from evenkeel.rehearsal.protocol.world_types import PoolFacts, PoolIntent

# So many show a share to half a point. A large pool is asked for more, so that each server has its
# turns, and none for more than one client can have under way.
ENOUGH = 256
MOST_AT_ONE_TIME = 1500
# Requests that a server may be off its share, and one more with unequal weights (judge.fixed).
# Measured with HAProxy 2.6.12 `balance leastconn`, two threads, 7 pools of 2 to 200 servers with
# weights from 1 to 256, 25 times each: at most 1.8. On two cores with twelve processes at work 2.2
# was seen as well.
SLACK = 1.5
# Of fewer than this for each server that slack is too large a part.
TURNS = 6
COUNTED, IMPOSSIBLE, MISSING = "counted", "impossible", "missing"


def shows_under_load_only(pool: PoolIntent) -> bool:
    """Tell whether the weights of a world's pool show only under load."""
    used = {weight for weight in pool["weights"].values() if weight > 0}
    return pool["algorithm"] == "least_connections" and len(used) > 1


def needed(pool: PoolFacts) -> int:
    """Give how many requests have to be answered for shares at one time to tell anything."""
    return TURNS * sum(1 for weight in pool["weights"].values() if weight > 0)


def at_one_time(pool: PoolFacts) -> int:
    """Give how many requests at one time show the shares of a world's pool.

    0 where none do: the weights show anyway, limits keep them from it, or it is too large.
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


def likely(pool: PoolFacts, weights: dict[str, float], server: str, *, most: bool) -> float:
    """Give the largest or the smallest share that a server of `weights` may have, as the load is.

    For all but least connections with different weights both are its share by weight.
    """
    share = weights[server] / math.fsum(weights.values())
    if not shows_under_load_only(pool):
        return share
    return (max if most else min)(share, 1.0 / len(weights))


def counted_in(phase: Phase | None, pool: str) -> Concurrent | None:
    """Give what was counted of requests to `pool` at one time; None where nothing was."""
    return phase["under_way"].get(pool) if phase else None


def state(pool: PoolFacts, found: Concurrent | None) -> str:
    """Tell whether what was `found` (see `counted_in`) tells shares, cannot, or should have."""
    if not at_one_time(pool):
        return IMPOSSIBLE
    if not found:
        return MISSING
    if found["reached"] < needed(pool):
        # Limits that nothing tells of; less room than there was is for the check of it to see.
        return IMPOSSIBLE
    enough = answered(pool, found) >= needed(pool)
    return COUNTED if enough and found["reached"] >= found["asked"] else MISSING


def answered(pool: PoolFacts, found: Concurrent) -> int:
    """Give how many of the requests that were under way a pool's own servers answered."""
    own = set(pool["endpoints"].values())
    return sum(number for endpoint, number in found["servers"].items() if endpoint in own)
