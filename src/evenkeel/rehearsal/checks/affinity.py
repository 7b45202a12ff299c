"""Affinity: how many clients another server answers after the change. Pure functions."""

from __future__ import annotations

from evenkeel.rehearsal.protocol.effect_types import MovedClients
from evenkeel.rehearsal.protocol.measured_types import Met, MetTwice
from evenkeel.rehearsal.protocol.world_types import PoolFacts

# Share of tied clients that meet their server again.
_TIED = 0.9


def is_tied(before: MetTwice) -> bool:
    """Whether nearly all clients met the same server twice."""
    pairs = [pair for pair in zip(before["met"], before["again"], strict=True) if all(pair)]
    same = sum(1 for first, second in pairs if first == second)
    return bool(pairs) and same >= _TIED * len(pairs)


def has_affinity(pool: PoolFacts, before: MetTwice) -> bool:
    """Whether each client of a pool had a server of its own before the change.

    All clients that met one server prove nothing, unless a hash or a cookie still ties them.
    """
    servers = set(filter(None, before["met"]))
    ties = pool["algorithm"] == "hash" or pool["cookie"]
    return is_tied(before) and (len(servers) > 1 or bool(ties))


def moved(pool: PoolFacts, before: MetTwice | None, after: Met | None) -> MovedClients | None:
    """Count the clients of one pool that moved; None for a pool without affinity."""
    if not before or not after or not has_affinity(pool, before):
        return None
    pairs = [pair for pair in zip(before["met"], after["met"], strict=True) if all(pair)]
    if not pairs:
        return None
    count = sum(1 for first, second in pairs if first != second)
    return {
        "clients": len(pairs),
        "moved": count,
        "percent": round(100 * count / len(pairs), 1),
    }
