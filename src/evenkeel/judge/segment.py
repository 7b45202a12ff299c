"""One stretch of a watch in which the intended shares did not change."""

from __future__ import annotations

import math
from typing import List, Mapping, Optional, Sequence, Tuple

from .band import Band
from .inputs import checked_weights, name_order, of_total

# Requests on their way to a server that has just left.
IDLE_SLACK_REQUESTS = 2
IDLE_SLACK_FRACTION = 0.01


# After this many requests inside the band a new bet opens, so that an even past hides nothing.
BET_REQUESTS = 500
BET_REQUESTS_PER_SERVER = 100
# All segments, or bets, after the first together.
LATER_PART = 0.05


def part_of_alpha(number: int) -> float:
    """Return the part of alpha of segment, or of bet, `number` (1, 2, ...); the sum is 1.

    Nearly all goes to the first: most watches have one segment only, and most problems are there
    from the start.
    """
    return 1.0 - LATER_PART if number == 1 else LATER_PART / (number * (number - 1))


class Segment:
    """The requests of one stretch of time in which the intended shares did not change.

    `counts` are those of the whole segment; the bet under way counts from `opened` on.
    """

    def __init__(
        self, weights: Mapping[str, float], tolerance: float, exempt: Sequence[str] = ()
    ) -> None:
        self.weights = checked_weights(weights)
        self.exempt = sorted(set(exempt))
        self.counts = dict.fromkeys(self.weights, 0)
        self.opened = dict.fromkeys(self.weights, 0)
        active = [name for name, weight in self.weights.items() if weight > 0.0]
        self.names = sorted(active, key=name_order)
        total = math.fsum(self.weights[name] for name in self.names)
        self.shares = [self.weights[name] / total for name in self.names]
        self.requests = 0
        self.band = Band(self.shares, tolerance) if len(self.names) > 1 else None

    def add(self, increments: Mapping[str, int]) -> None:
        """Count `increments`; every name is known, every number is not negative."""
        for name, count in increments.items():
            self.counts[name] += count
            if self.weights[name] > 0.0:
                self.requests += count

    def judged(self) -> List[int]:
        """Return the counts of the servers that have a share, in the order of `names`."""
        return [self.counts[name] for name in self.names]

    def bet(self) -> Tuple[List[int], int]:
        """Return the counts of the bet under way, in the order of `names`, and their sum."""
        counts = [self.counts[name] - self.opened[name] for name in self.names]
        return counts, sum(counts)

    def log_e(self) -> float:
        """Return the log e-value of the bet under way."""
        return self.band.log_e(*self.bet()) if self.band else 0.0

    def outside(self) -> List[Tuple[str, float, float, float]]:
        """Return (name, share, low, high) of each server whose share in the bet is outside."""
        if self.band is None:
            return []
        counts, requests = self.bet()
        return [
            (self.names[at], counts[at] / requests, self.band.low[at], self.band.high[at])
            for at in self.band.outside(counts, requests)
        ]

    def bet_is_over(self) -> bool:
        """Return whether the bet under way is long enough (ask only when it is inside)."""
        least = max(BET_REQUESTS, BET_REQUESTS_PER_SERVER * len(self.names))
        return self.band is not None and self.bet()[1] >= least

    def open_bet(self) -> None:
        """Start counting anew for the e-value."""
        self.opened = dict(self.counts)

    def idle_problem(self, pool: str) -> Optional[str]:
        """Return what is wrong when a server without a share was sent requests."""
        if len(self.names) == len(self.counts):
            return None
        slack = max(IDLE_SLACK_REQUESTS, IDLE_SLACK_FRACTION * self.requests)
        for name, count in self.counts.items():
            if self.weights[name] <= 0.0 and count > slack and name not in self.exempt:
                return "server %s should be idle and was sent %d %s, wanted at most %d" % (
                    name, count, of_total(pool), slack,
                )  # fmt: skip
        return None
