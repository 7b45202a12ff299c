"""How the bet of a pool is split, and from when on each part of it counts.

A term bets that the servers A are sent the part q instead of the edge e of what the band lets them
have: (q/e)^S ((1-q)/(1-e))^(n-S). If they are sent p, its mean after n requests is m^n with
m = (q/e) p + (1-q)/(1-e) (1-p): 1 at the edge, less inside. Not all sets can be at their edges at
once: of equal servers half can be 30 % above, if the other half is 30 % below. So a sum of terms,
each of which counts from its own request n_A on, has a mean of at most

    b = max over the band of the sum of w_A m_A(p)^n_A,

less than the sum of its weights, and stays an e-process when it is divided by b: a term is a
supermartingale, so that stopping it after n_A cannot raise its mean above the one at n_A. Waiting
costs little, for before n_A the term could hardly have decided anything.
"""

from __future__ import annotations

import itertools
import math
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from .evidence import shifted

Odds = Tuple[Tuple[float, float], ...]

# A term counts from the request on at which a share of its q has brought it so many nats.
START_NATS = 3.7
# This part of every stake counts from the first request on, for bets that are closed early.
EARLY = 0.05
# Shares and edges come from divisions; what differs by less is the same.
ROUNDING = 1e-9


# So many different shares are told apart by `hits`; each costs about a millisecond.
SIDES_MOST = 8


class HitStakes(NamedTuple):
    """The parts that are bet on a server that is sent too many (`raised`), or none (`silent`).

    `most` hits are looked for, and of the chance of all together the m-th has (m + 3)^-`slope`.
    `sets` is bet on a set of several, or on a half of the list, that is sent too many.
    """

    raised: float
    silent: float
    slope: float
    most: int
    sets: float = 0.0


class Stakes(NamedTuple):
    """(odds beyond the edge, part of the bet) for each kind of fault; the parts are relative.

    One server raised or lowered; a set of servers on one side of a split of the list (`grouped`),
    any half of the servers (`halves`), any set (`scattered`), any shape at all (`any_shape`), and
    what is bet on events instead of odds (`hits`). Where sets are no events (`sets_are_events`),
    `grouped_alone` stands for `grouped` and what is bet on sets.
    """

    raised: Odds
    lowered: Odds
    grouped: Odds
    halves: Odds
    scattered: float
    any_shape: float
    hits: HitStakes
    grouped_alone: Odds = ()


# A silent server is a fault that hurts much and shows slowly, so it has a large part of its own.
# The rest makes requests to fail / information limit small over the faults of scripts/judge_bench
# and over pools between its own; what is smaller than those, odds of 1.06, has a little.
TWO_OR_THREE = Stakes(
    raised=((1.06, 0.01), (1.15, 0.012), (1.25, 0.05), (1.5, 0.055), (2.0, 0.11), (3.0, 0.005),
            (8.0, 0.01)),
    lowered=((1.06, 0.008), (1.3, 0.02), (1.6, 0.05), (2.2, 0.015), (3.0, 0.045), (10.0, 0.017)),
    grouped=(), halves=(), scattered=0.0, any_shape=0.015,
    hits=HitStakes(0.41, 0.145, 1.3, 40),
)  # fmt: skip
# Pools up to SMALL servers: every set is grouped.
SMALL = 6
FEW = Stakes(
    raised=((1.06, 0.008), (1.15, 0.013), (1.25, 0.014), (1.5, 0.07), (2.0, 0.018), (3.0, 0.004),
            (8.0, 0.01)),
    lowered=((1.06, 0.006), (1.15, 0.014), (1.6, 0.024), (3.0, 0.023), (10.0, 0.017)),
    grouped=((1.06, 0.006), (1.15, 0.022), (1.35, 0.05), (1.6, 0.05), (2.2, 0.03), (3.5, 0.02),
             (8.0, 0.01)),
    halves=(), scattered=0.0, any_shape=0.015, hits=HitStakes(0.208, 0.14, 1.0, 64, sets=0.22),
    grouped_alone=((1.06, 0.006), (1.15, 0.022), (1.35, 0.05), (1.6, 0.064), (2.2, 0.047),
                   (3.5, 0.125), (8.0, 0.028), (30.0, 0.057)),
)  # fmt: skip
# Pools up to MIDDLE: any half of the servers is gone through.
MIDDLE = 20
SOME = Stakes(
    raised=((1.06, 0.01), (1.15, 0.008), (1.25, 0.025), (1.5, 0.034), (2.0, 0.03), (3.0, 0.002),
            (8.0, 0.01)),
    lowered=((1.06, 0.01), (1.3, 0.006), (1.6, 0.018), (3.0, 0.016), (10.0, 0.004)),
    grouped=((1.06, 0.006), (1.15, 0.008), (1.35, 0.014), (1.6, 0.01), (2.2, 0.012), (8.0, 0.006)),
    halves=((1.15, 0.026), (1.35, 0.032), (1.6, 0.034), (2.2, 0.042), (3.5, 0.044), (8.0, 0.028),
            (30.0, 0.012)),
    scattered=0.02, any_shape=0.015, hits=HitStakes(0.26, 0.2, 1.0, 40, sets=0.095),
    grouped_alone=((1.06, 0.006), (1.15, 0.008), (1.35, 0.011), (1.6, 0.01), (2.2, 0.028),
                   (3.5, 0.036), (8.0, 0.048), (30.0, 0.004)),
)  # fmt: skip
MORE = Stakes(
    raised=((1.06, 0.006), (1.25, 0.01), (1.5, 0.03), (2.0, 0.005), (3.0, 0.002), (9.0, 0.008)),
    lowered=((1.06, 0.004), (1.3, 0.003), (1.6, 0.004), (3.0, 0.02)),
    grouped=((1.06, 0.006), (1.15, 0.008), (1.35, 0.042), (1.6, 0.018), (2.2, 0.012), (8.0, 0.006)),
    halves=((1.15, 0.01), (1.35, 0.01), (1.6, 0.012), (2.2, 0.018), (3.5, 0.02), (8.0, 0.014),
            (30.0, 0.006)),
    scattered=0.02, any_shape=0.01, hits=HitStakes(0.44, 0.14, 1.6, 64, sets=0.134),
    grouped_alone=((1.06, 0.006), (1.15, 0.008), (1.35, 0.046), (1.6, 0.028), (2.2, 0.042),
                   (3.5, 0.038), (8.0, 0.044), (30.0, 0.014)),
)  # fmt: skip
MANY = Stakes(
    raised=((1.25, 0.003), (1.5, 0.004), (2.0, 0.008), (3.0, 0.004), (9.0, 0.003)),
    lowered=((1.6, 0.004), (10.0, 0.003)),
    grouped=((1.06, 0.006), (1.15, 0.012), (1.35, 0.042), (1.6, 0.018), (2.2, 0.012), (8.0, 0.006)),
    halves=(), scattered=0.02, any_shape=0.01, hits=HitStakes(0.62, 0.045, 2.8, 24, sets=0.16),
    grouped_alone=((1.06, 0.006), (1.15, 0.014), (1.35, 0.047), (1.6, 0.018), (2.2, 0.064),
                   (3.5, 0.045), (8.0, 0.044), (30.0, 0.017)),
)  # fmt: skip
TABLES = ((3, TWO_OR_THREE), (SMALL, FEW), (12, SOME), (MIDDLE, MORE))


def sets_are_events(servers: int, equal: bool) -> bool:
    """Return whether sets of so many servers are among the events of `hits`.

    In larger pools these are the two halves of the list; an odd number has no halves.
    """
    return equal and servers > 3 and (servers <= SMALL or servers % 2 == 0)


def stakes_of(servers: int, equal: bool = True) -> Stakes:
    """Return the split of the bet for a pool of so many servers; the parts sum to 1."""
    table = next((each for most, each in TABLES if servers <= most), MANY)
    if not sets_are_events(servers, equal):
        hits = table.hits._replace(sets=0.0)
        table = table._replace(grouped=table.grouped_alone, hits=hits)
    every = (table.raised, table.lowered, table.grouped, table.halves)
    total = math.fsum(part for odds in every for _, part in odds)
    total += table.scattered + table.any_shape
    total += table.hits.raised + table.hits.silent + table.hits.sets
    raised, lowered, grouped, halves = (
        tuple((each, part / total) for each, part in odds) for odds in every
    )
    return Stakes(
        raised, lowered, grouped, halves, table.scattered / total, table.any_shape / total,
        table.hits._replace(
            raised=table.hits.raised / total,
            silent=table.hits.silent / total,
            sets=table.hits.sets / total,
        ),
    )  # fmt: skip


class Term(NamedTuple):
    """One likelihood ratio: its weight before and from `start` on, gain per hit and per request."""

    early: float
    late: float
    start: int
    hit: float
    base: float


class Ratio:
    """The bet that the servers `members` are sent q and not the edge, with its part `weight`."""

    def __init__(self, members: Sequence[int], weight: float, edge: float, odds: float) -> None:
        other = shifted(edge, odds)
        self.members, self.weight, self.edge = members, weight, edge
        self.up, self.down = other / edge, (1.0 - other) / (1.0 - edge)
        gain = other * math.log(self.up)
        gain += (1.0 - other) * math.log(self.down) if other < 1.0 else 0.0
        self.start = max(1, math.ceil(START_NATS / gain))

    def mean(self, share: float) -> float:
        """Return the mean at `start` if the members are sent `share`."""
        return max(0.0, self.up * share + self.down * (1.0 - share)) ** self.start

    def term(self, most: float) -> Term:
        """Return the term; `most` is what all ratios of its level, unweighted, have at most."""
        base = math.log(self.down)
        early = self.weight * EARLY
        late = early + self.weight * (1.0 - EARLY) / most
        return Term(math.log(early), math.log(late), self.start, math.log(self.up) - base, base)


def most_of_sets(ratios: Iterable[Ratio], points: Iterable[Sequence[float]]) -> float:
    """Return the largest weighted mean of `ratios` over the corners `points` of the band.

    The mean is a convex function of the shares, so it is largest in a corner.
    """
    level = list(ratios)
    total = math.fsum(each.weight for each in level)
    return (1.0 + ROUNDING) * max(
        math.fsum(each.weight * each.mean(sum(point[at] for at in each.members)) for each in level)
        / total
        for point in points
    )


def most_of_singles(ratios: Sequence[Ratio], low: Sequence[float], high: Sequence[float]) -> float:
    """Return a bound of the same for one ratio per server, for bands with too many corners.

    Each mean is below its chord from `low` to `high`; a sum of chords is largest where the
    steepest are filled first.
    """
    total = math.fsum(each.weight for each in ratios)
    value, rest, slopes = 0.0, 1.0 - math.fsum(low), []
    for each in ratios:
        at = each.members[0]
        least, most = each.mean(low[at]), each.mean(high[at])
        value += each.weight * least
        slopes.append((each.weight * (most - least) / (high[at] - low[at]), high[at] - low[at]))
    for slope, room in sorted(slopes, reverse=True):
        value += slope * min(room, max(0.0, rest))
        rest -= room
    return min(1.0, (1.0 + ROUNDING) * value / total)


def most_of_splits(ratios: Iterable[Ratio], ends: Dict[int, Tuple[float, float]]) -> float:
    """Return a bound of the same for sets that are told apart by their size.

    `ends` has the least and the most that the band lets each have; the sets are bounded one by one.
    """
    level = list(ratios)
    total = math.fsum(each.weight for each in level)
    value = 0.0
    for size, shares in ends.items():
        own = [each for each in level if len(each.members) == size]
        value += max(sum(each.weight * each.mean(share) for each in own) for share in shares)
    return min(1.0, (1.0 + ROUNDING) * value / total)


def corners(low: Sequence[float], high: Sequence[float]) -> List[List[float]]:
    """Return the corners of the band: every server at an edge, but for one that has the rest."""
    size, found = len(low), []
    for free in range(size):
        others = [at for at in range(size) if at != free]
        for sides in itertools.product((low, high), repeat=size - 1):
            point = [0.0] * size
            for at, side in zip(others, sides):
                point[at] = side[at]
            point[free] = 1.0 - math.fsum(point)
            if low[free] - ROUNDING <= point[free] <= high[free] + ROUNDING:
                found.append(point)
    return found


def even_corner(servers: int, low: float, high: float) -> List[float]:
    """Return the one corner, but for the order, that the band of equal servers has."""
    above = min(servers - 1, int((1.0 - servers * low) / (high - low) + ROUNDING))
    rest = 1.0 - above * high - (servers - 1 - above) * low
    return [high] * above + [rest] + [low] * (servers - 1 - above)
