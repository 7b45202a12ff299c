"""The evidence that some servers, whichever, are sent less and the others more.

There are too many sets of servers to go through, but the mixture over all of them factorises into
the servers, up to a bound that errs on the safe side.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import List, Sequence, Tuple

from .evidence import log_sum, shifted
from .halves import set_edge

# (part of the servers that is expected in the set, its mass); odds beyond the set's edge.
FRACTIONS = ((0.25, 0.25), (0.5, 0.5), (0.75, 0.25))
ODDS = (1.35, 3.0, 50.0)


class Scattered:
    """The mixture over every set A of servers, each server in A with probability f by itself.

    The bet on A pays u per request to a server of A and v > u per other one, divided by the most
    that it can pay on average inside the band, M(A) = v - (v - u) m(A), where m(A) is the least
    that the band lets A have. For w(A), the intended part of A, and tolerance t

        m(A) >= max((1-t) w(A), 1 - (1+t) (1 - w(A))) >= m0 + s (w(A) - f),

    a tangent of a convex function at w(A) = f. With u and v such that v - (v-u) m0 = 1 this gives
    ln M(A) <= M(A) - 1 <= -(v-u) s (w(A) - f), which is a sum over the servers of A, so that

        sum_A P(A) prod_i (...) / M(A)^n
          >= e^(-n (v-u) s f) prod_i [ f u^S_i e^(n (v-u) s w_i) + (1-f) v^S_i ].

    The left side is a mixture of test martingales; what is below it keeps Ville's bound.
    """

    def __init__(self, shares: Sequence[float], tolerance: float) -> None:
        self._shares = list(shares)
        self._terms: List[Tuple[float, Tuple[float, float, float, float]]] = []
        for fraction, mass in FRACTIONS:
            edge, slope = set_edge(fraction, tolerance)
            if not 0.0 < edge < 1.0:
                continue
            for odds in ODDS:
                other = shifted(edge, 1.0 / odds)
                u, v = other / edge, (1.0 - other) / (1.0 - edge)
                term = (fraction, math.log(u), math.log(v), (v - u) * slope)
                self._terms.append((math.log(mass / len(ODDS)), term))

    def log_e(self, counts: Sequence[float], requests: float) -> float:
        """Return the log of the mean of the right sides above; at most an e-process."""
        return log_sum(
            weight + self._log_one(term, counts, requests) for weight, term in self._terms
        )

    def _log_one(
        self, term: Tuple[float, float, float, float], counts: Sequence[float], requests: float
    ) -> float:
        fraction, log_u, log_v, pull = term
        inside, beside = math.log(fraction), math.log(1.0 - fraction)
        total = -requests * pull * fraction
        for (count, share), servers in Counter(zip(counts, self._shares)).items():
            member = inside + count * log_u + requests * pull * share
            other = beside + count * log_v
            top, gap = (member, other - member) if member > other else (other, member - other)
            total += servers * (top + math.log1p(math.exp(gap)))
        return total
