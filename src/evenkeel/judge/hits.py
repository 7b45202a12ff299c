"""The evidence that one server was sent its m-th request too soon, or none for too long.

A likelihood ratio that stops at a threshold steps beyond it, and what is beyond is lost: with 200
servers one request more multiplies it by up to 70. Here the chance of the event itself is added up,
exactly: "a server was sent m of the first n requests, n at most `latest(m)`", for the worst shares
that the band allows. A bet that pays 1/a once an event of probability a at most has happened, and
nothing before, has a mean of 1 at most whenever it is stopped.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from typing import Callable, Iterable, Iterator, List, Sequence, Tuple

from .stakes import ROUNDING, SIDES_MOST, SMALL, HitStakes

# (share, servers that have it), the highest share first.
Sides = Tuple[Tuple[float, float], ...]
# Whose hits are counted, and what is bet on them.
Way = Tuple[Sides, HitStakes]

# No event is looked for after so many requests; what shows later loses little by a step.
HORIZON = 1000
# The part of the chance that hit m has is (m + SPREAD)^-slope.
SPREAD = 3
# Shares that differ by less than a rounding are one.
DIGITS = 15
# Hits of sets are many; what shows after more of them is left to the odds.
SET_STAKES = HitStakes(0.0, 0.0, 1.0, 128)


class Hits:
    """The events of one pool that together have the chance exp(-`reach`) times their stakes.

    `low` and `high` are the least and the most that the band lets each server have. Equal servers
    cannot all be at an edge: `corner` is the one corner of their band. The chance of an event is a
    convex function of the share (`_is_convex`), so that the sum over the servers is largest there.
    Of others (`corner` is empty) each is taken to be at its edge.
    """

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        corner: Sequence[float],
        reach: float,
        stakes: HitStakes,
    ) -> None:
        self.reach = reach
        self._ways: List[Way]
        self._sets: List[Tuple[int, Way]] = []
        if corner:
            sides = sides_of(corner)
            self._ways = [(sides, stakes)]
            self._due = [silence(sides, reach, stakes.silent)]
            self._sets = _sets(corner, stakes.sets) if stakes.sets else []
            return
        each = stakes._replace(raised=stakes.raised / len(low), silent=stakes.silent / len(low))
        self._ways = [(((edge, 1.0),), each) for edge in _rounded_up(high)]
        self._due = [silence(((edge, 1.0),), reach, each.silent) for edge in low]

    def happened(self, counts: Sequence[float], requests: float) -> bool:
        """Return whether a server has, now, as many requests as it may not have, or none."""
        most: Sequence[float] = counts
        fewest: Sequence[float] = counts
        if len(self._ways) == 1:
            most, fewest = (max(counts),), (min(counts),)
        if any(requests >= due and not count for due, count in zip(self._due, fewest)):
            return True
        ways = itertools.chain(zip(self._ways, most), self._counted(counts))
        return any(self._is_beyond(way, int(count), int(requests)) for way, count in ways)

    def _is_beyond(self, way: Way, hits: int, requests: int) -> bool:
        """Return whether so many hits are too many; nearly always that is far away (`distance`)."""
        sides, stakes = way
        if distance(sides[0][0], hits, requests) < self.reach:
            return False
        soon = needed(sides, self.reach, stakes)
        return requests < len(soon) and hits >= soon[requests]

    def _counted(self, counts: Sequence[float]) -> Iterator[Tuple[Way, float]]:
        """Give the sets of each size and the most that one of them has."""
        ranked = sorted(counts, reverse=True) if len(counts) <= SMALL else []
        for size, way in self._sets:
            if ranked:
                yield way, sum(ranked[:size])
            else:
                yield way, max(sum(counts[:size]), sum(counts[size:]))


def sides_of(shares: Iterable[float]) -> Sides:
    """Return how many of `shares` there are of each, the highest first; they may be sums."""
    numbers = Counter(round(share, DIGITS) for share in shares)
    return tuple((share, float(numbers[share])) for share in sorted(numbers, reverse=True))


def _sets(corner: Sequence[float], part: float) -> List[Tuple[int, Way]]:
    """Return (servers, sides and stakes of such a set) for the sets that are events.

    In pools up to SMALL servers these are all sets of two and more whose complement has two and
    more, and the corner has one share for each. In larger ones they are the halves of the list.
    """
    size = len(corner)
    sizes = range(2, size - 1) if size <= SMALL else [size // 2]
    stakes = SET_STAKES._replace(raised=part / len(sizes))
    found = []
    for members in sizes:
        if size <= SMALL:
            shares = [sum(each) for each in itertools.combinations(corner, members)]
        else:
            ranked = sorted(corner)
            shares = [sum(ranked[:members]), sum(ranked[members:])]
        found.append((members, (sides_of(shares), stakes)))
    return found


@functools.lru_cache(maxsize=256)
def needed(sides: Sides, reach: float, stakes: HitStakes) -> Tuple[int, ...]:
    """Return for each number of requests, from 0 on, the hits that are then too many.

    All of these events together, over all servers of `sides` and at all times, have the chance
    exp(-`reach`) times what is bet on them. Followed is one server of the highest share p, request
    by request: `alive` has the chances of 0, 1, ... hits without an event so far. A server of
    another share r takes the same ways to hit m at request n, each (r/p)^m ((1-r)/(1-p))^(n-m)
    times as likely. What one hit leaves of its part of the chance, the later ones may use.
    """
    share = sides[0][0]
    if not ROUNDING < share < 1.0 - ROUNDING:
        return ()
    parts = [(hits + SPREAD) ** -stakes.slope for hits in range(2, stakes.most + 1)]
    chance = math.exp(-reach) * (1.0 - ROUNDING) * stakes.raised / math.fsum(parts)
    allowed = [chance * each for each in itertools.accumulate(parts)]
    servers = _servers(sides)
    found, spent, hits, alive = [2], 0.0, 2, [1.0, 0.0]
    while hits <= stakes.most and len(found) <= HORIZON:
        requests = len(found)
        now = alive[-1] * share
        if now:
            now *= servers(hits, requests)
            if spent + now > allowed[hits - 2] or not _is_event(share, hits, requests, reach):
                hits += 1
                alive.append(0.0)
                continue
        spent += now
        found.append(hits)
        shifted = itertools.chain((0.0,), alive)
        alive = [one * (1.0 - share) + before * share for one, before in zip(alive, shifted)]
    return tuple(found)


def _servers(sides: Sides) -> Callable[[int, int], float]:
    """Return the function of (hits, requests) that tells for how many servers the first stands."""
    (share, servers), *others = sides
    ratios = [
        (number, math.log(other / share), math.log((1.0 - other) / (1.0 - share)))
        for other, number in others
        if other > 0.0
    ]

    def number_of(hits: int, requests: int) -> float:
        return servers + math.fsum(
            number * math.exp(hits * up + (requests - hits) * down) for number, up, down in ratios
        )

    return number_of


def distance(share: float, hits: int, requests: int) -> float:
    """Return n KL(hits/n || share) if the hits are above `share`, else 0."""
    part, misses = hits / requests, requests - hits
    if not ROUNDING < share < min(part, 1.0 - ROUNDING):
        return 0.0
    value = hits * math.log(part / share)
    return value + (misses * math.log((1.0 - part) / (1.0 - share)) if misses else 0.0)


def _is_event(share: float, hits: int, requests: int, reach: float) -> bool:
    """Return whether `hits` of `requests` may be an event at all.

    Its chance p^m (1-p)^(n-m) must be a convex function of p from 0 to `share`: the sign of the
    second derivative is that of n(n-1) p^2 - 2m(n-1) p + m(m-1), which falls until p = m/n. And
    the evidence must have come to `reach`, so that `Band.log_bound` is never below it.
    """
    if share * requests >= hits or distance(share, hits, requests) < reach:
        return False
    square = requests * (requests - 1) * share * share - 2 * hits * (requests - 1) * share
    return square + hits * (hits - 1) >= 0.0


def silence(sides: Sides, reach: float, part: float) -> float:
    """Return the requests after which a server has none with the chance exp(-`reach`) `part`.

    Infinity for a server that may be without any. The sum over servers of (1-p)^n is convex too.
    """
    least = min(share for share, _ in sides)
    if not ROUNDING < least < 1.0 - ROUNDING or part <= 0.0:
        return math.inf
    chance = math.exp(-reach) * (1.0 - ROUNDING) * part
    total = math.fsum(number for _, number in sides)
    few, many = 0, max(1, math.ceil(math.log(chance / total) / math.log1p(-least)))
    while many - few > 1:
        middle = (few + many) // 2
        luck = math.fsum(number * (1.0 - share) ** middle for share, number in sides)
        few, many = (few, middle) if luck <= chance else (middle, many)
    return many


def _rounded_up(edges: Sequence[float]) -> List[float]:
    """Return `edges` with at most SIDES_MOST different ones: a lower share has less chance."""
    if len(set(edges)) <= SIDES_MOST:
        return list(edges)
    least = min(edges)
    step = math.log(max(edges) / least) / SIDES_MOST
    return [
        max(edge, least * math.exp(step * math.ceil(math.log(edge / least) / step)))
        for edge in edges
    ]
