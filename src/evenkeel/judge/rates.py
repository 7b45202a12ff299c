"""The ratio of two rates, counted over the same stretches of time: the common e-process."""

from __future__ import annotations

import math
from typing import List, Sequence

from .evidence import log_sum


def canary_part(part: float, ratio: float) -> float:
    """Return the probability that an event is the canary's, which has `part` of the requests.

    rho r / (rho r + 1 - rho), for the part rho and the ratio r of the canary's rate to the others'.
    """
    return part * ratio / (part * ratio + 1.0 - part)


class RateRatio:
    """The e-process against "the canary's rate is at most `limit` times the control's".

    Given that an event happened in an interval, it is the canary's with the probability of
    `canary_part`, whatever the common rate does over time. The e-value is the mean, over the
    alternatives r, of the products of likelihood ratios a = p_r/p_0 for an event of the canary and
    b = (1-p_r)/(1-p_0) for one of the control (Lindon & Malek 2022, section on inhomogeneous
    Poisson counts). Rare events are not needed: for binomial counts S and T of n and m requests

        E[a^S b^T] = (1 + p(a-1))^n (1 + q(b-1))^m <= exp(n p (a-1) + m q (b-1)) <= 1

    where p/q is at most `limit`, because the exponent is 0 at p = limit q. With alternatives below
    `limit` it is the e-process against "at least `limit` times", by the same lines.
    """

    def __init__(self, limit: float, alternatives: Sequence[float]) -> None:
        self.limit = limit
        self.alternatives = tuple(alternatives)
        self.logs: List[float] = [0.0] * len(self.alternatives)

    def update(self, events: int, requests: int, others: int, other_requests: int) -> None:
        """Add one interval: the canary's events and requests, and the control's."""
        if not requests or not other_requests:
            return
        part = requests / (requests + other_requests)
        null = canary_part(part, self.limit)
        for index, ratio in enumerate(self.alternatives):
            other = canary_part(part, ratio)
            self.logs[index] += events * math.log(other / null)
            self.logs[index] += others * math.log((1.0 - other) / (1.0 - null))

    def log_e(self) -> float:
        """Return the log e-value of all intervals so far."""
        return log_sum(self.logs) - math.log(len(self.alternatives))
