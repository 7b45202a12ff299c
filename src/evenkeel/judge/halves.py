"""The evidence that half of the servers, any half, are sent less and the others more.

The sum over all sets of m servers is an elementary symmetric polynomial of the servers: k m steps
instead of C(k, m) sets.
"""

from __future__ import annotations

import itertools
import math
from typing import List, Sequence, Tuple

from .evidence import log_sum, shifted
from .stakes import EARLY, ROUNDING, START_NATS, Odds, even_corner

# What is worth less than e to this cannot matter to a bet that starts at 1.
NEGLIGIBLE = -30.0

Level = Tuple[int, int, float, float, float, float, float]


def set_edge(fraction: float, tolerance: float) -> Tuple[float, float]:
    """Return (edge, slope): the least that the band lets a set of intended part `fraction` have.

    It is a convex function of the part, and `slope` that of a tangent (see `scattered`).
    """
    least = max(0.0, 1.0 - tolerance)
    few, many = least * fraction, 1.0 - (1.0 + tolerance) * (1.0 - fraction)
    slope = least if few > many else 1.0 + tolerance
    if abs(few - many) < 1e-12:
        slope = (least + 1.0 + tolerance) / 2.0
    return max(few, many), slope


class Halves:
    """The mixture over every set A of half of the servers, with equal weights.

    As in `scattered`, the most that the bet on A pays inside the band is bounded by a tangent; for
    equal servers, which all such sets share alike, the tangent is exact. Then the mean over the
    sets is largest in the one corner of the band, so that the bet may be divided by that mean once
    it has begun to count (see `stakes`): neighbouring sets have most of their servers in common,
    and only one of C(k, m) is at its edge. For unequal servers it counts undivided.
    """

    def __init__(self, shares: Sequence[float], tolerance: float, odds: Odds) -> None:
        size = len(shares)
        self._shares = list(shares)
        self._equal = max(shares) - min(shares) <= ROUNDING / size
        self._levels: List[Level] = []
        sizes = sorted({size // 2, size - size // 2})
        for members in sizes if odds else ():
            edge, slope = set_edge(members / size, tolerance)
            if not ROUNDING < edge < 1.0 - ROUNDING:
                continue
            for each, part in odds:
                other = shifted(edge, 1.0 / each)
                u, v = other / edge, (1.0 - other) / (1.0 - edge)
                gain = other * math.log(u) + (1.0 - other) * math.log(v)
                start = max(1, math.ceil(START_NATS / gain))
                most = self._most(members, tolerance, u, v, start)
                early = part / len(sizes) * EARLY
                late = early + part / len(sizes) * (1.0 - EARLY) / most
                self._levels.append(
                    (members, start, math.log(early), math.log(late), math.log(u), math.log(v),
                     (v - u) * slope)
                )  # fmt: skip

    def _most(self, members: int, tolerance: float, u: float, v: float, requests: int) -> float:
        """Return what the mean over the sets is at most, in the band, after so many requests."""
        size = len(self._shares)
        if not self._equal:
            return 1.0
        low, high = max(0.0, 1.0 - tolerance) / size, min(1.0, (1.0 + tolerance) / size)
        corner = even_corner(size, low, high)
        above = sum(1 for share in corner[:-1] if share == high)
        rest, below = corner[above], size - 1 - above
        total = 0.0
        for raised in range(min(above, members) + 1):
            for free in (0, 1):
                lowered = members - raised - free
                if 0 <= lowered <= below:
                    share = raised * high + free * rest + lowered * low
                    ways = math.comb(above, raised) * math.comb(below, lowered)
                    total += ways * max(0.0, u * share + v * (1.0 - share)) ** requests
        return min(1.0, (1.0 + ROUNDING) * total / math.comb(size, members))

    def starts(self) -> List[int]:
        """Return the requests at which a level begins to count."""
        return [start for _, start, *_ in self._levels]

    def log_bound(self, counts: Sequence[float], requests: float) -> float:
        """Return what `log_e` cannot exceed, in a fraction of its time: every mean at its most."""
        return log_sum(self._bounds(counts, requests))

    def _bounds(self, counts: Sequence[float], requests: float) -> List[float]:
        """Return for each level what it is worth at most: its best set stands for all of them."""
        values, size = [], len(self._shares)
        fewest = list(itertools.accumulate(sorted(counts))) if self._equal else []
        for members, start, early, late, log_u, log_v, pull in self._levels:
            if fewest:
                best = fewest[members - 1] * (log_u - log_v)
            else:
                gains = sorted(
                    count * (log_u - log_v) + requests * pull * share
                    for count, share in zip(counts, self._shares)
                )
                best = sum(gains[-members:]) - requests * pull * members / size
            values.append((late if requests >= start else early) + requests * log_v + best)
        return values

    def log_e(self, counts: Sequence[float], requests: float) -> float:
        """Return the log of the weighted sum over the levels; minus infinity for none.

        A level of no consequence is left out, which errs on the safe side.
        """
        values = []
        bounds = self._bounds(counts, requests) if self._levels else []
        for bound, level in zip(bounds, self._levels):
            if bound > NEGLIGIBLE:
                members, start, early, late, log_u, log_v, pull = level
                mean = self._log_mean(members, log_u, log_v, pull, counts, requests)
                values.append((late if requests >= start else early) + mean)
        return log_sum(values)

    def _log_mean(
        self, members: int, log_u: float, log_v: float, pull: float,
        counts: Sequence[float], requests: float,
    ) -> float:  # fmt: skip
        sums = [1.0] + [0.0] * members
        size = len(counts)
        total = -requests * pull * members / size
        for at, share in enumerate(self._shares):
            one = counts[at] * log_u + requests * pull * share
            other = counts[at] * log_v
            top = max(one, other)
            total += top
            inside, beside = math.exp(one - top), math.exp(other - top)
            for number in range(min(at + 1, members), 0, -1):
                sums[number] = sums[number] * beside + sums[number - 1] * inside
            sums[0] *= beside
        if sums[members] <= 0.0:
            return -math.inf
        return total + math.log(sums[members]) - math.log(math.comb(size, members))
