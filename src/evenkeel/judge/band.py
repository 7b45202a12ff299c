"""The evidence against "every share is inside its band": a mean of likelihood ratios.

Let a set A of servers have a share of at most `edge` everywhere in the band, and let q be larger.
After n requests, S of them to A, the ratio

    (q / edge)^S ((1 - q) / (1 - edge))^(n - S)

has mean 1 at most wherever in the band the true shares are. The mirror image holds below the least
share. The edge is the point of the band nearest to q in Kullback-Leibler divergence, so no e-value
against the band grows faster under q (P. Grunwald, R. de Heide, W. Koolen, "Safe testing", arXiv
1906.07801, theorem 1). A mean of such ratios with fixed weights is an e-process. It reaches 1/alpha
with probability alpha at most, however often it is looked at (J. Ville, 1939).

The mean goes over the distance of q from the edge (S. Howard et al., arXiv 1810.08240, section 3.2:
discrete mixtures) and over three families of sets: single servers, blocks of the list of servers,
and any set at all. All values are natural logarithms unless the name says otherwise.

The numbers are choices, and any others would keep the bound. STEPS are log odds beyond the edge:
from 1/8, the smallest skew worth a bet, to 4, which is 55 times the odds and nearly all or
nothing. They double, so every skew lies within a factor of two of one. SINGLES have half of the
weight, since most skews hit one server; BLOCKS and ANY_SET share the rest evenly. Blocks need
LEAST_FOR_BLOCKS servers, so that names decide nothing in a small pool. Sets need LEAST_FOR_SETS,
since two of three servers are the complement of one. An edge within ROUNDING of 0 or 1 leaves no
share beyond it.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from .evidence import log_ratio, log_sum

# Log odds beyond the edge; doubling leaves no skew far off.
STEPS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
# Most skews hit a single server.
SINGLES, BLOCKS, ANY_SET = 0.5, 0.25, 0.25
# In a small pool the order says nothing.
LEAST_FOR_BLOCKS = 7
# Two of three are the complement of one.
LEAST_FOR_SETS = 4
# No share lies beyond such an edge.
ROUNDING = 1e-9

_LN_2 = math.log(2.0)


class Bet(NamedTuple):
    """One likelihood ratio: ln of its weight, and what a request inside and outside A is worth."""

    log_weight: float
    inside: float
    outside: float


class Set(NamedTuple):
    """Servers `first` to `last` - 1 of the list: their intended share and the bets on them."""

    first: int
    last: int
    share: float
    less: List[Bet]
    more: List[Bet]


class Band:
    """The null "every share is within `tolerance` (relative) of `shares`" of one pool.

    `shares` are positive, sum to 1 and belong to two servers or more.
    """

    def __init__(self, shares: Sequence[float], tolerance: float) -> None:
        self.shares = list(shares)
        self._less, self._more = max(0.0, 1.0 - tolerance), 1.0 + tolerance
        self.low = [self._less * share for share in shares]
        self.high = [min(1.0, self._more * share) for share in shares]
        size = len(self.shares)
        spans = [(at, at + 1, SINGLES / size) for at in range(size)]
        if size >= LEAST_FOR_BLOCKS:
            spans += blocks(0, size, BLOCKS)
        any_set = ANY_SET if size >= LEAST_FOR_SETS else 0.0
        total = math.fsum(weight for _, _, weight in spans) + any_set
        self._sets = [self._set(first, last, weight / total) for first, last, weight in spans]
        self._any_set = self._bets_on_any_set(any_set / total)

    def _ends(self, share: float) -> Tuple[float, float]:
        """Return the least and the most that the band lets servers of intended `share` have."""
        rest = 1.0 - share
        return (
            max(self._less * share, 1.0 - self._more * rest),
            min(self._more * share, 1.0 - self._less * rest),
        )

    def _set(self, first: int, last: int, weight: float) -> Set:
        share = math.fsum(self.shares[first:last])
        low, high = self._ends(share)
        log_weight = math.log(0.5 * weight / len(STEPS))
        less, more = (
            [Bet(log_weight, *log_ratio(edge, sign * step)) for step in STEPS if has_room(edge)]
            for edge, sign in ((low, -1.0), (high, 1.0))
        )
        return Set(first, last, share, less, more)

    def _bets_on_any_set(self, weight: float) -> List[Tuple[Bet, float]]:
        """Return the bets that a set of half the traffic is sent less, each with its `pull`.

        The least share that the band leaves a set A is convex in its intended share w. Its kink is
        at 1/2, with slope 1 - tolerance below and 1 + tolerance above, so both slopes are tangents
        there: P(A) >= low(1/2) + slope (w - 1/2). A request to A pays f = e^inside, another one
        g = e^outside > f, on average g - (g - f) P(A), which is 1 at low(1/2). So the mean is at
        most 1 - pull (w - 1/2) <= exp(-pull (w - 1/2)), with pull = (g - f) slope.
        """
        edge = self._ends(0.5)[0]
        if not weight or not has_room(edge):
            return []
        log_weight = math.log(0.5 * weight / len(STEPS))
        bets = [Bet(log_weight, *log_ratio(edge, -step)) for step in STEPS]
        return [
            (bet, slope * (math.exp(bet.outside) - math.exp(bet.inside)))
            for slope in (self._less, self._more)
            for bet in bets
        ]

    def _log_any_set(self, counts: Sequence[float], requests: float) -> Iterator[float]:
        """Give the mean of each bet over all sets, in which each server is with probability 1/2.

        Divided by exp(-pull (w - 1/2)) per request, a bet is a product over the servers. So the
        mean over all 2^k sets is a product as well, of (in the set + not in it) / 2 per server.
        """
        rows = Counter(zip(counts, self.shares)).items()
        for bet, pull in self._any_set:
            total = bet.log_weight - 0.5 * requests * pull
            for (count, share), servers in rows:
                chosen = count * bet.inside + requests * pull * share
                left = count * bet.outside
                larger, gap = max(chosen, left), abs(chosen - left)
                total += servers * (larger + math.log1p(math.exp(-gap)) - _LN_2)
            yield total

    def log_e(self, counts: Sequence[float], requests: float) -> float:
        """Return the log e-value of `counts` (sum: `requests`) against the band.

        Of each set only the bets on its side of the intended share are summed: to leave out what
        is positive keeps an e-value.
        """
        if not requests:
            return 0.0
        sums = [0.0]
        for count in counts:
            sums.append(sums[-1] + count)
        values = list(self._log_any_set(counts, requests))
        for each in self._sets:
            count = sums[each.last] - sums[each.first]
            bets = each.more if count > each.share * requests else each.less
            for log_weight, inside, outside in bets:
                values.append(log_weight + count * inside + (requests - count) * outside)
        return log_sum(values)

    def outside(self, counts: Sequence[float], requests: float) -> List[int]:
        """Return the indices of the servers whose observed share lies outside the band."""
        return [
            at
            for at, count in enumerate(counts)
            if not self.low[at] * requests <= count <= self.high[at] * requests
        ]


def blocks(first: int, last: int, weight: float) -> Iterator[Tuple[int, int, float]]:
    """Give (first, last, weight) of the halves, quarters, ... of a list: racks, zones, sites.

    Each block has two servers or more. The halves have half of the weight, and what is inside
    them the other half.
    """
    middle = (first + last) // 2
    for start, end in ((first, middle), (middle, last)):
        if end - start > 1:
            yield start, end, weight / 4.0
            yield from blocks(start, end, weight / 4.0)


def has_room(edge: float) -> bool:
    """Return whether a share can lie beyond `edge` on both sides."""
    return ROUNDING < edge < 1.0 - ROUNDING
