"""The faults that detection is measured on, and the least that any judge needs for each.

A shift of d points takes d percent of all requests from some servers and gives them to others.
The set: pools of SERVERS equal servers, d = 5, 10, ... 45, and three shapes,

- `raised`: one server gains d, all others pay alike;
- `lowered`: one server loses d (all that it has, at most), all others gain alike;
- `halves`: the first half of the servers, in name order, loses d to the other half;

and, for pools of up to FEW servers, `scattered`: as `halves`, with the losing half drawn at random.
Left out is what is no fault, every share being inside its band (its limit is infinite), and what
cannot be, a server that loses more than it has. `scattered` in larger pools is measured and shown
apart: the limit takes for known which servers lose, and ln C(200, 100) = 135 is not to be learnt
from the 11 requests after which one who knows would be sure.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SERVERS = (2, 3, 5, 10, 20, 50, 100, 200)
POINTS = tuple(range(5, 50, 5))
FEW = 10
ROUNDING = 1e-9


@dataclass(frozen=True)
class Shift:
    """One fault: its shape, its points, the shares that it has and the limit in requests."""

    shape: str
    servers: int
    points: int
    shares: tuple[float, ...]
    limit: float
    counted: bool

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.shape} {self.points} points, {self.servers} servers"


def every_shift(tolerance: float, alpha: float) -> Iterator[Shift]:
    """Give the whole set, and after it the scattered ones of larger pools (`counted` false)."""
    found: list[Shift] = []
    for servers in SERVERS:
        for points in POINTS:
            for shape, shares in _shapes(servers, points / 100.0):
                limit = information_limit(shares, tolerance, alpha)
                if limit < math.inf:
                    counted = shape != "scattered" or servers <= FEW
                    found.append(Shift(shape, servers, points, tuple(shares), limit, counted))
    yield from (shift for shift in found if shift.counted)
    yield from (shift for shift in found if not shift.counted)


def _shapes(servers: int, part: float) -> Iterator[tuple[str, list[float]]]:
    even, others = 1.0 / servers, servers - 1
    if even + part <= 1.0:
        yield "raised", [even + part, *[(1.0 - even - part) / others] * others]
    left = even - part
    if servers > 2 and left >= -ROUNDING:
        yield "lowered", [max(0.0, left), *[(1.0 - max(0.0, left)) / others] * others]
    half = servers // 2
    left = half * even - part
    if servers > 3 and left >= -ROUNDING:
        low, high = max(0.0, left) / half, (1.0 - max(0.0, left)) / (servers - half)
        shares = [low] * half + [high] * (servers - half)
        yield "halves", shares
        scattered = list(shares)
        random.Random(servers).shuffle(scattered)
        yield "scattered", scattered


def information_limit(shares: Sequence[float], tolerance: float, alpha: float) -> float:
    """Return ln(1/alpha) / KL(shares || the nearest vector inside the band around even shares).

    With fewer requests on average no test of level alpha finds these shares, even if it is told
    them beforehand (A. Wald, 1945). Infinity inside the band.
    """
    even = 1.0 / len(shares)
    near = nearest_inside(shares, (1.0 - tolerance) * even, (1.0 + tolerance) * even)
    distance = math.fsum(
        share * math.log(share / other)
        for share, other in zip(shares, near, strict=True)
        if share > 0.0
    )
    return math.log(1.0 / alpha) / distance if distance > ROUNDING else math.inf


def nearest_inside(shares: Sequence[float], low: float, high: float) -> list[float]:
    """Return the p with low <= p_i <= high and sum 1 that has the least KL(shares || p).

    p_i = t shares_i cut to [low, high] for the one t that makes the sum 1 (Lagrange).
    """
    least, most = 1e-12, 1e12
    for _ in range(200):
        scale = math.sqrt(least * most)
        if math.fsum(min(max(share * scale, low), high) for share in shares) < 1.0:
            least = scale
        else:
            most = scale
    return [min(max(share * most, low), high) for share in shares]
