"""How many clients land on another server after the change: pure functions of what they met."""

from __future__ import annotations

from evenkeel.rehearsal.protocol.effect_types import MovedClients
from evenkeel.rehearsal.protocol.measured_types import Met, MetTwice
from evenkeel.rehearsal.protocol.world_types import PoolFacts

# So many of the clients meet their server again where clients have a server of their own.
_TIED = 0.9


def is_tied(before: MetTwice) -> bool:
    """Whether nearly all clients met the same server twice."""
    pairs = [pair for pair in zip(before["met"], before["again"], strict=True) if all(pair)]
    same = sum(1 for first, second in pairs if first == second)
    return bool(pairs) and same >= _TIED * len(pairs)


def has_meaning(pool: PoolFacts, before: MetTwice) -> bool:
    """Whether clients of a pool had a server of their own before the change.

    They met it again, and there was more than one to meet, or the pool still has such clients.
    """
    met = set(filter(None, before["met"]))
    ties = pool["algorithm"] == "hash" or pool["cookie"]
    return is_tied(before) and (len(met) > 1 or bool(ties))


def moved(pool: PoolFacts, before: MetTwice | None, after: Met | None) -> MovedClients | None:
    """Give {"clients", "moved", "percent"} of one pool; None where it has no meaning."""
    if not before or not after or not has_meaning(pool, before):
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
