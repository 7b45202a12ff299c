"""Latency: the canary's slow requests against those of control hosts, from histograms.

Averages hide what hurts, and quantiles of windows cannot be added up; the number of requests over
a fixed limit can. A histogram is the number of requests in each bucket: up to the first edge, up to
the second, and so on, and one more for those above the last edge.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .evidence import plain
from .rates import RateRatio
from .verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS

# Worse is above this multiple of the control's ...
ALLOWED_RATIO = 1.2
WORSE = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
# ... and a pass excludes this one, the smallest that matters.
MATTERS_RATIO = 2.0
NO_WORSE = (1.0, 0.7, 0.4)


def slow_requests(counts: Sequence[int], edges: Sequence[float], limit: float) -> int:
    """Return the requests of a histogram that took longer than `limit`, one of its `edges`.

    Raises ValueError for edges that do not rise, counts that do not fit them or are not whole, and
    a limit that is no edge: what lies inside a bucket cannot be told apart.
    """
    if not edges or any(edges[at] <= edges[at - 1] for at in range(1, len(edges))):
        raise ValueError("edges: wanted rising numbers, got %r" % (list(edges)[:8],))
    if len(counts) != len(edges) + 1:
        raise ValueError("counts: wanted %d, got %d" % (len(edges) + 1, len(counts)))
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError("counts: wanted whole numbers, 0 or more, got %r" % (count,))
    if limit not in edges:
        raise ValueError("limit: wanted one of the edges, got %r" % (limit,))
    return sum(counts[list(edges).index(limit) + 1 :])


class LatencyComparison:
    """The canary's slow requests against the control's, interval by interval.

    - `fail`, for good: the e-value against "at most ALLOWED_RATIO times the control's slow part"
      has reached 1/alpha, and more of the canary's requests are slow than `budget_percent`: what
      is slow less often than that matters to nobody.
    - `pass`: `minimum_requests` were seen and either no more than `budget_percent` were slow, or
      the e-value against "MATTERS_RATIO times or more" has reached 1/alpha.
    - `no_data`: no request of the canary; `inconclusive`: everything else.

    Without requests of control hosts the budget alone decides: over it is `inconclusive` at best.
    Requests of one interval are taken for independent given what all hosts have in common.
    """

    def __init__(
        self,
        edges: Sequence[float],
        limit: float,
        *,
        alpha: float = 0.01,
        budget_percent: float = 1.0,
        minimum_requests: int = 200,
    ) -> None:
        """`edges` and `limit` in one unit. Raises ValueError for what makes no sense."""
        slow_requests([0] * (len(edges) + 1), edges, limit)
        if not 0.0 < alpha < 1.0:
            raise ValueError("alpha: wanted a number between 0 and 1, got %r" % (alpha,))
        if not 0.0 <= budget_percent <= 100.0:
            raise ValueError("budget_percent: wanted 0 to 100, got %r" % (budget_percent,))
        self.edges = [float(edge) for edge in edges]
        self.limit = float(limit)
        self.alpha = alpha
        self.budget_percent = budget_percent
        self.minimum_requests = minimum_requests
        self._totals = [0, 0, 0, 0]
        self._worse = RateRatio(ALLOWED_RATIO, WORSE)
        self._no_worse = RateRatio(MATTERS_RATIO, NO_WORSE)
        self._failed = False

    def update(self, canary: Sequence[int], control: Sequence[int]) -> None:
        """Add the histograms of one interval. Raises ValueError as `slow_requests`."""
        added: List[int] = []
        for counts in (canary, control):
            added += [slow_requests(counts, self.edges, self.limit), sum(counts)]
        self._totals = [old + new for old, new in zip(self._totals, added)]
        ours, requests, theirs, others = added
        self._worse.update(ours, requests, theirs, others)
        self._no_worse.update(ours, requests, theirs, others)
        over = self._totals[0] * 100.0 > self.budget_percent * self._totals[1]
        self._failed = self._failed or (over and self._worse.log_e() >= -math.log(self.alpha))

    def result(self) -> Dict[str, Any]:
        """Return the verdict with its reasons and the numbers that it follows from."""
        slow, requests, control_slow, control_requests = self._totals
        verdict, reasons = self._verdict()
        return {
            "verdict": verdict, "reasons": reasons, "limit": self.limit,
            "canary_slow": slow, "canary_requests": requests,
            "control_slow": control_slow, "control_requests": control_requests,
            "allowed_ratio": ALLOWED_RATIO, "matters_ratio": MATTERS_RATIO,
            "budget_percent": self.budget_percent, "alpha": self.alpha,
            "e_value": plain(self._worse.log_e()),
            "no_worse_e_value": plain(self._no_worse.log_e()),
        }  # fmt: skip

    def _verdict(self) -> Tuple[str, List[str]]:
        slow, requests, control_slow, control_requests = self._totals
        if not requests:
            return NO_DATA, ["no request of the canary was timed"]
        words = "%.2f %% of the canary's %d requests took longer than %g" % (
            100.0 * slow / requests, requests, self.limit,
        )  # fmt: skip
        if control_requests:
            words += ", %.2f %% of the control's %d" % (
                100.0 * control_slow / control_requests, control_requests,
            )  # fmt: skip
        if self._failed:
            return FAIL, [words]
        if requests < self.minimum_requests:
            return INCONCLUSIVE, [
                "%d requests timed, wanted at least %d" % (requests, self.minimum_requests)
            ]
        if slow * 100.0 <= self.budget_percent * requests:
            return PASS, []
        if not control_requests:
            return INCONCLUSIVE, [words + "; no control host had requests to compare with"]
        if self._no_worse.log_e() >= -math.log(self.alpha):
            return PASS, [words + ": no worse than the control"]
        return INCONCLUSIVE, [words + "; too few to tell whether this change is the cause"]

    def state(self) -> Dict[str, Any]:
        """Return everything that `from_state` needs, as plain JSON values."""
        return {
            "edges": list(self.edges), "limit": self.limit, "alpha": self.alpha,
            "budget_percent": self.budget_percent, "minimum_requests": self.minimum_requests,
            "totals": list(self._totals), "failed": self._failed,
            "worse": list(self._worse.logs), "no_worse": list(self._no_worse.logs),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LatencyComparison:
        """Return the comparison that `state()` described. Raises ValueError for a damaged one."""
        try:
            fresh = cls(
                state["edges"], state["limit"], alpha=state["alpha"],
                budget_percent=state["budget_percent"],
                minimum_requests=state["minimum_requests"],
            )  # fmt: skip
            fresh._totals = [int(each) for each in state["totals"]]
            fresh._worse.logs = [float(each) for each in state["worse"]]
            fresh._no_worse.logs = [float(each) for each in state["no_worse"]]
            fresh._failed = bool(state["failed"])
        except (KeyError, TypeError) as error:
            raise ValueError("state of latencies: %r is missing or damaged" % error) from None
        sizes = (len(fresh._totals), len(fresh._worse.logs), len(fresh._no_worse.logs))
        if sizes != (4, len(WORSE), len(NO_WORSE)):
            raise ValueError("state of latencies: wanted 4 totals, %d and %d logs, got %s" % (
                len(WORSE), len(NO_WORSE), list(sizes),
            ))  # fmt: skip
        return fresh
