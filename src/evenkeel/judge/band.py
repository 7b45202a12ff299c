"""The evidence against "every share is inside its band": one mixture over many alternatives.

For a convex null and one alternative q, the ratio q / p* with p* the point of the null that is
nearest to q (in KL(q || p)) has mean 1 at most under every point of the null, and no e-value grows
faster under q (P. Grunwald, R. de Heide, W. Koolen, "Safe testing", arXiv 1906.07801, theorem 1).
The band is convex, so such ratios multiply to e-processes, and so does any mixture of them with
fixed weights. Dirichlet mixtures are divided by the largest likelihood inside the band instead
(L. Wasserman, A. Ramdas, S. Balakrishnan, "Universal inference", PNAS 2020, arXiv 1912.11436).
How the mixture is split, and what waiting is worth, stands in `stakes`.
All values are natural logarithms unless the name says otherwise.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from typing import Dict, Iterator, List, Sequence, Tuple

from . import stakes
from .evidence import log_dirichlet, log_likelihood_in_band, log_sum
from .halves import Halves
from .hits import Hits
from .scattered import Scattered
from .stakes import ROUNDING, SMALL, Odds, Ratio, Stakes, Term

# In pools of more than SMALL servers, of what is bet on a split of the list in two: the part of
# splits that are not in the middle.
UNEVEN_SPLITS = 0.15
# About so many splits are gone through; in larger pools they are some servers apart.
SPLITS = 20
# Concentrations per server; 0.1 stands for pools in which several servers are silent.
CONCENTRATIONS = (0.1, 1.0, 10.0)
# What rare events bring is rounded up to one of so many steps of a nat, and is one nat at least.
STEPS = 32
LEAST_STEPS = 32


class Band:
    """The null "every share is within `tolerance` (relative) of `shares`" of one pool.

    `shares` are positive, sum to 1 and belong to two servers or more. The e-value is a sum of
    - likelihood ratios of one set of servers against all others (`stakes`): one server, and sets
      of several: every one in pools up to SMALL servers, else every split of the list in two, as
      racks, zones and halves of a list are;
    - in larger pools any half of the servers (`halves`), and any set (`scattered`);
    - Dirichlet mixtures divided by the largest likelihood inside the band, for any other shape;
    - events that are rare inside the band (`hits`). They are made for one threshold: e^reach is
      what they bring, and without a `reach` the others count alone.
    """

    def __init__(self, shares: Sequence[float], tolerance: float) -> None:
        self.shares = list(shares)
        self.low = [max(0.0, 1.0 - tolerance) * share for share in shares]
        self.high = [min(1.0, (1.0 + tolerance) * share) for share in shares]
        self._lowest, self._highest = math.fsum(self.low), math.fsum(self.high)
        size = len(self.shares)
        self._equal = max(self.shares) - min(self.shares) <= ROUNDING / size
        split = stakes.stakes_of(size, self._equal)
        self._corners: List[List[float]] = []
        if size <= SMALL:
            self._corners = stakes.corners(self.low, self.high)
        elif self._equal:
            self._corners = [stakes.even_corner(size, self.low[0], self.high[0])]
        self._singles: List[List[Term]] = [[] for _ in self.shares]
        self._bet_on_one(split)
        self._groups = _groups(size)
        self._grouped: List[List[Term]] = [[] for _ in self._groups]
        self._bet_on_groups(split.grouped)
        self._halves = Halves(self.shares, tolerance, split.halves)
        self._scattered = Scattered(self.shares, tolerance) if split.scattered else None
        self._log_scattered = math.log(split.scattered or 1.0)
        self._log_any = math.log(split.any_shape / len(CONCENTRATIONS))
        self._starts, self._log_weights = self._weights(split)
        self._hit_stakes = split.hits
        self._hits: Dict[int, Hits] = {}

    def _ends(self, members: Sequence[int]) -> Tuple[float, float]:
        """Return the least and the most that the band lets `members` have."""
        least, most = (sum(edge[at] for at in members) for edge in (self.low, self.high))
        return max(least, 1.0 - (self._highest - most)), min(most, 1.0 - (self._lowest - least))

    def _bet_on_one(self, split: Stakes) -> None:
        size = len(self.shares)
        for above, table in ((False, split.lowered), (True, split.raised)):
            for odds, part in table:
                level = [
                    Ratio((at,), part / size, edge, odds if above else 1.0 / odds)
                    for at in range(size)
                    for edge in (self._ends((at,))[above],)
                    # An edge that is a hair from 0 or 1 leaves no share beyond it to bet on.
                    if ROUNDING < edge < 1.0 - ROUNDING
                ]
                if not level:
                    continue
                if self._corners and len(level) == size:
                    most = stakes.most_of_sets(level, self._corners)
                elif len(level) == size:
                    most = stakes.most_of_singles(level, self.low, self.high)
                else:
                    most = 1.0
                for each in level:
                    self._singles[each.members[0]].append(each.term(most))

    def _bet_on_groups(self, table: Odds) -> None:
        parts = _parts(len(self.shares), self._groups)
        ends = [self._ends(group) for group in self._groups]
        for odds, part in table:
            level: List[Ratio] = []
            for group, own, (low, high) in zip(self._groups, parts, ends):
                if low > ROUNDING:
                    level.append(Ratio(group, 0.5 * part * own, low, 1.0 / odds))
                if high < 1.0 - ROUNDING:
                    level.append(Ratio(group, 0.5 * part * own, high, odds))
            if not level:
                continue
            if len(self.shares) <= SMALL:
                most = stakes.most_of_sets(level, self._corners)
            else:
                sizes = {len(group): end for group, end in zip(self._groups, ends)}
                most = stakes.most_of_splits(level, sizes)
            rows = {tuple(group): row for group, row in zip(self._groups, self._grouped)}
            for each in level:
                rows[tuple(each.members)].append(each.term(most))

    def _weights(self, split: Stakes) -> Tuple[List[int], List[float]]:
        """Return the requests at which weight is added, and the log of all weight from there on.

        The weight of `halves` is not in it: it has a bound of its own.
        """
        rows = [(0, split.scattered + split.any_shape)]
        rows += [(start, 0.0) for start in self._halves.starts()]
        for term in itertools.chain(*self._singles, *self._grouped):
            rows += [(0, math.exp(term.early))]
            rows += [(term.start, math.exp(term.late) - math.exp(term.early))]
        rows.sort()
        sums = itertools.accumulate(weight for _, weight in rows)
        return [start for start, _ in rows], [math.log(each) for each in sums]

    def _events(self, counts: Sequence[float], requests: float, reach: float) -> List[float]:
        """Return what the events of `hits` bring to a bet that decides at `reach`, if they happen.

        That is a little more than `reach`, so that bets of about the same reach share their events.
        """
        if reach == math.inf:
            return []
        steps = max(LEAST_STEPS, math.ceil(STEPS * reach))
        if steps not in self._hits:
            corner: List[float] = []
            low, high = self.low, self.high
            if self._equal:
                corner = stakes.even_corner(len(low), low[0], high[0])
            else:
                ends = [self._ends((at,)) for at in range(len(low))]
                low, high = [each for each, _ in ends], [each for _, each in ends]
            self._hits[steps] = Hits(low, high, corner, steps / STEPS, self._hit_stakes)
        return [steps / STEPS] if self._hits[steps].happened(counts, requests) else []

    def next_start(self, requests: float) -> float:
        """Return the number of requests at which more weight begins to count; or infinity."""
        at = bisect.bisect_right(self._starts, requests)
        return self._starts[at] if at < len(self._starts) else math.inf

    def outside(self, counts: Sequence[float], requests: float) -> List[int]:
        """Return the indices of the servers whose observed share lies outside the band."""
        return [
            index
            for index, count in enumerate(counts)
            if count < self.low[index] * requests or count > self.high[index] * requests
        ]

    def log_bound(self, counts: Sequence[float], requests: float, outside: Sequence[int]) -> float:
        """Return what `log_e` cannot exceed, in a fraction of its time; infinity for "unknown".

        No likelihood ratio against the null grows faster than n KL(observed || p), for any p of the
        null (Grunwald et al., above). Here p is the observed vector with its `outside` servers set
        on their edges and all others scaled alike, if that is inside the band. No event of `hits`
        happens below it either, so that it is a bound for reaching what one brings.
        """
        taken, given, bound = 0.0, 0.0, 0.0
        for at in outside:
            count = counts[at]
            edge = self.low[at] if count < self.low[at] * requests else self.high[at]
            taken += count
            given += edge
            if count:
                bound += count * math.log(count / (edge * requests))
        rest = requests - taken
        if rest <= 0.0 or given >= 1.0:
            return math.inf
        scale = (1.0 - given) * requests / rest
        moved = set(outside)
        for at, count in enumerate(counts):
            if at not in moved:
                share = count * scale
                if share < self.low[at] * requests or share > self.high[at] * requests:
                    return math.inf
        weight = self._log_weights[bisect.bisect_right(self._starts, requests) - 1]
        bound += max(0.0, weight) - rest * math.log(scale)
        return log_sum((bound, self._halves.log_bound(counts, requests)))

    def _rows(self, counts: Sequence[float]) -> Iterator[Tuple[float, float, List[Term]]]:
        """Give (count, ln of the servers that have it, their terms); equal servers count as one."""
        if self._equal:
            for count, servers in Counter(counts).items():
                yield count, math.log(servers), self._singles[0]
        else:
            for count, row in zip(counts, self._singles):
                yield count, 0.0, row

    def log_e(self, counts: Sequence[float], requests: float, reach: float = math.inf) -> float:
        """Return the log e-value of `counts` (sum: `requests`) against the band.

        `reach` is what decides; it does not change while a bet is under way.
        """
        if not requests:
            return 0.0
        values = self._events(counts, requests, reach)
        for count, number, row in self._rows(counts):
            values += [
                number + (late if requests >= start else early) + count * hit + requests * base
                for early, late, start, hit, base in row
            ]
        sums = list(itertools.accumulate(counts))
        small = len(self.shares) <= SMALL
        for group, row in zip(self._groups, self._grouped):
            count = sum(counts[at] for at in group) if small else sums[len(group) - 1]
            values += [
                (late if requests >= start else early) + count * hit + requests * base
                for early, late, start, hit, base in row
            ]
        values.append(self._halves.log_e(counts, requests))
        if self._scattered:
            values.append(self._log_scattered + self._scattered.log_e(counts, requests))
        null = log_likelihood_in_band(counts, self.low, self.high)
        size = len(self.shares)
        for each in CONCENTRATIONS:
            values.append(self._log_any + log_dirichlet(counts, self.shares, size * each) - null)
        return log_sum(values)


def _groups(size: int) -> List[Sequence[int]]:
    """Return sets of two servers or more, whose complement has two or more as well.

    Each split in two stands there once: what one side gains, the other loses.
    """
    if size > SMALL:
        ends = {*range(2, size - 1, max(1, size // SPLITS)), size // 2, size - size // 2}
        return [range(end) for end in sorted(ends)]
    return [
        (0, *others)
        for more in range(1, size - 2)
        for others in itertools.combinations(range(1, size), more)
    ]


def _parts(size: int, groups: Sequence[Sequence[int]]) -> List[float]:
    """Return the part of each of `groups` in what is bet on groups; they sum to 1."""
    if size <= SMALL:
        return [1.0 / max(1, len(groups))] * len(groups)
    middle = {size // 2, size - size // 2}
    rest = len(groups) - len(middle)
    return [
        (1.0 - UNEVEN_SPLITS) / len(middle) if len(group) in middle else UNEVEN_SPLITS / rest
        for group in groups
    ]
