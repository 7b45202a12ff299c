"""Checks of weights and counts, and the sentences about shares."""

from __future__ import annotations

import math
import re
from typing import Dict, List, Mapping, Sequence, Tuple

NAMED = 3


def name_order(name: str) -> Tuple[List[Tuple[int, str]], str]:
    """Return the key by which people order names: web2 stands before web10."""
    parts = re.split("([0-9]{1,18})", name)
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)], name


def checked_weights(weights: Mapping[str, float]) -> Dict[str, float]:
    """Return `weights` as floats, sorted by name. Raises ValueError for none or a bad one."""
    if not weights:
        raise ValueError("weights: wanted at least one server, got none")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise ValueError("weights: server %s: wanted a number, got %r" % (name, weight))
        if not math.isfinite(weight) or weight < 0:
            raise ValueError("weights: server %s: wanted 0 or more, got %r" % (name, weight))
    return {name: float(weights[name]) for name in sorted(weights)}


def checked_counts(counts: Mapping[str, int], known: Mapping[str, object]) -> None:
    """Raise ValueError unless `counts` are whole, not negative and of servers in `known`."""
    for name, count in counts.items():
        if name not in known:
            raise ValueError("counts: server %s is not in the pool" % name)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(
                "counts: server %s: wanted a whole number, 0 or more, got %r" % (name, count)
            )


def intended_shares(weights: Mapping[str, float]) -> Dict[str, float]:
    """Return each server's part of the sum of the weights; all 0 when the sum is 0."""
    clean = checked_weights(weights)
    total = math.fsum(clean.values())
    return {name: weight / total if total else 0.0 for name, weight in clean.items()}


def of_total(pool: str, words: str = "requests") -> str:
    """Return `words` followed by the pool's name, if there is one."""
    return "%s of pool %s" % (words, pool) if pool else words


def whole_of(pool: str) -> str:
    """Return what a share is a part of, in words."""
    return "pool " + pool if pool else "the requests"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share in percent, as people read it."""
    return "%.*f" % (decimals, 100.0 * share)


def sentence(name: str, share: float, low: float, high: float, whole: str) -> str:
    """Return what one server has and what was wanted, with the decimals that the band needs."""
    width = 100.0 * (high - low)
    decimals = max(1, 1 + math.ceil(-math.log10(width))) if width > 1e-6 else 1
    return "server %s has %s %% of %s, wanted %s to %s %%" % (
        name, percent(share, decimals), whole, percent(low, decimals), percent(high, decimals),
    )  # fmt: skip


def share_reasons(rows: Sequence[Tuple[str, float, float, float]], whole: str) -> List[str]:
    """Return one sentence for each of the worst servers of `rows` (name, share, low, high).

    `whole` is what the shares are parts of, in words. Worst is the one that is furthest from its
    band in percentage points: it has or lacks the most requests.
    """

    def nearness(row: Tuple[str, float, float, float]) -> Tuple[float, str]:
        name, share, low, high = row
        return -max(share - high, low - share), name

    reasons = [
        sentence(name, share, low, high, whole)
        for name, share, low, high in sorted(rows, key=nearness)
    ]
    if len(reasons) > NAMED:
        more = len(reasons) - NAMED
        reasons = [*reasons[:NAMED], "and %d more servers outside their band" % more]
    return reasons
