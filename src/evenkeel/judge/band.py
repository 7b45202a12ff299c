"""The evidence against "every share is inside its band": one mixture over many alternatives.

For a convex null and one alternative q, the ratio q / p* with p* the point of the null that is
nearest to q (in KL(q || p)) has mean 1 at most under every point of the null, and no e-value grows
faster under q (P. Grunwald, R. de Heide, W. Koolen, "Safe testing", arXiv 1906.07801, theorem 1).
The band is convex, so such ratios multiply to e-processes, and so does any mixture of them with
fixed weights. Dirichlet mixtures are divided by the largest likelihood inside the band instead
(L. Wasserman, A. Ramdas, S. Balakrishnan, "Universal inference", PNAS 2020, arXiv 1912.11436).
All values are natural logarithms unless the name says otherwise.
"""

from __future__ import annotations

import itertools
import math
from typing import List, Sequence, Tuple

from .evidence import log_dirichlet, log_likelihood_in_band, log_sum, ratio_term, shifted
from .scattered import Scattered

# How the bet is split; the numbers are parts of their sum. (odds beyond the edge, mass) each.
# A silent server is a fault that hurts much and shows slowly, so it is given the largest part.
LOWERED: Tuple[Tuple[float, float], ...] = (
    (1.15, 0.013),
    (1.6, 0.013),
    (3.0, 0.013),
    (10.0, 0.013),
    (100.0, 0.60),
)
RAISED: Tuple[Tuple[float, float], ...] = (
    (1.12, 0.03),
    (1.35, 0.06),
    (2.0, 0.08),
    (4.0, 0.09),
    (11.0, 0.09),
    (35.0, 0.09),
    (110.0, 0.08),
)
# Several servers at once: a run of neighbours in name order, as racks, zones and halves of a list
# are; of pools up to SMALL servers, every set of them. Half of each mass down, half up.
GROUPED: Tuple[Tuple[float, float], ...] = (
    (1.15, 0.025),
    (1.6, 0.025),
    (3.5, 0.025),
    (30.0, 0.025),
)
SMALL = 6
# Beyond LARGE servers a silent one takes hundreds of requests to show, whatever is bet on it, and
# half of the pool is the fault that hurts: there the same masses are multiplied by these.
LARGE = 10
SILENT_IN_LARGE = 0.3
GROUPED_IN_LARGE = 2.0
MASS_SCATTERED = 0.12
MASS_ANY = 0.03
# Concentrations per server; 0.1 stands for pools in which several servers are silent.
CONCENTRATIONS = (0.1, 1.0, 10.0)
# Shares and edges come from divisions; what differs by less is the same.
ROUNDING = 1e-9

Term = Tuple[float, float, float]


class Band:
    """The null "every share is within `tolerance` (relative) of `shares`" of one pool.

    `shares` are positive, sum to 1 and belong to two servers or more. The e-value is a mean of
    - likelihood ratios of one set of servers against all others, (q/e)^S ((1-q)/(1-e))^(n-S) for
      the set's count S, the edge e of what the band lets the set have, and q beyond e: one server,
      and sets of several (GROUPED);
    - in pools of more than SMALL servers, a mixture over all sets of servers (`scattered`);
    - Dirichlet mixtures divided by the largest likelihood inside the band, for any other shape.
    """

    def __init__(self, shares: Sequence[float], tolerance: float) -> None:
        self.shares = list(shares)
        self.low = [max(0.0, 1.0 - tolerance) * share for share in shares]
        self.high = [min(1.0, (1.0 + tolerance) * share) for share in shares]
        self._lowest, self._highest = math.fsum(self.low), math.fsum(self.high)
        size = len(self.shares)
        self._small = size <= SMALL
        groups = _groups(size)
        lowered, grouped = LOWERED, GROUPED
        if size > LARGE:
            lowered = (*LOWERED[:-1], (LOWERED[-1][0], LOWERED[-1][1] * SILENT_IN_LARGE))
            grouped = tuple((odds, each * GROUPED_IN_LARGE) for odds, each in GROUPED)
        mass = sum(each for _, each in (*lowered, *RAISED)) + MASS_ANY
        mass += sum(each for _, each in grouped) if groups else 0.0
        mass += 0.0 if self._small else MASS_SCATTERED
        each = 1.0 / (mass * size)
        self._singles = [self._terms((at,), lowered, RAISED, each) for at in range(size)]
        each = 0.5 / (mass * max(1, len(groups)))
        self._groups = [(group, self._terms(group, grouped, grouped, each)) for group in groups]
        self._scattered = None if self._small else Scattered(self.shares, tolerance)
        self._log_scattered = math.log(MASS_SCATTERED / mass)
        self._log_any = math.log(MASS_ANY / mass / len(CONCENTRATIONS))

    def _terms(
        self,
        members: Sequence[int],
        lowered: Sequence[Tuple[float, float]],
        raised: Sequence[Tuple[float, float]],
        part: float,
    ) -> List[Term]:
        """Return the likelihood ratios of one set of servers; each mass is multiplied by `part`."""
        least, most = (sum(edge[at] for at in members) for edge in (self.low, self.high))
        low = max(least, 1.0 - (self._highest - most))
        high = min(most, 1.0 - (self._lowest - least))
        terms: List[Term] = []
        # An edge that rounding keeps a hair from 0 or 1 leaves no share beyond it to bet on.
        if low > ROUNDING:
            terms += [ratio_term(m * part, low, shifted(low, 1.0 / odds)) for odds, m in lowered]
        if high < 1.0 - ROUNDING:
            terms += [ratio_term(m * part, high, shifted(high, odds)) for odds, m in raised]
        return terms

    def outside(self, counts: Sequence[float], requests: float) -> List[int]:
        """Return the indices of the servers whose observed share lies outside the band."""
        return [
            index
            for index, count in enumerate(counts)
            if count < self.low[index] * requests or count > self.high[index] * requests
        ]

    def log_bound(self, counts: Sequence[float], requests: float, outside: Sequence[int]) -> float:
        """Return what `log_e` cannot exceed, in a fraction of its time; infinity for "unknown".

        No e-value against the null grows faster than n KL(observed || p), for any p of the null
        (Grunwald et al., above). Here p is the observed vector with its `outside` servers set on
        their edges and all others scaled alike, if that is inside the band.
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
        return bound - rest * math.log(scale)

    def log_e(self, counts: Sequence[float], requests: float) -> float:
        """Return the log e-value of `counts` (sum: `requests`) against the band."""
        if not requests:
            return 0.0
        values: List[float] = []
        for at, row in enumerate(self._singles):
            count = counts[at]
            values += [weight + count * hit + requests * base for weight, hit, base in row]
        sums = list(itertools.accumulate(counts))
        for group, row in self._groups:
            count = sum(counts[at] for at in group) if self._small else sums[len(group) - 1]
            values += [weight + count * hit + requests * base for weight, hit, base in row]
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
        return [range(end) for end in range(2, size - 1)]
    return [
        (0, *others)
        for more in range(1, size - 2)
        for others in itertools.combinations(range(1, size), more)
    ]
