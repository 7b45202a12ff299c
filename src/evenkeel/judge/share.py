"""The shares of one pool under watch, against the intended ones.

`ShareJudge` watches live traffic. `exact_share` and `diverse_share` (see `fixed`) judge the
rehearsal, where the clients are ours. Each answers with one of the four verdicts and its numbers.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .evidence import interval, log_sum, plain
from .inputs import checked_counts, of_total, share_reasons, whole_of
from .pass_rule import prior_for, proved_inside, requests_to_pass
from .segment import LATER_PART, Segment, part_of_alpha
from .settings import DEFAULT_TOLERANCE
from .verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS


class ShareJudge:
    """Watches the requests of one pool and says whether each server gets its intended share.

    `weights` are relative and not negative; a server of weight 0 (drained, down, an unused backup)
    has no share. `tolerance` is relative to the intended share (0.3: a server meant to have 20 %
    may have 14 to 26 %). `alpha` bounds the probability of a wrong `fail`, over the whole watch,
    while every share is inside its band and requests are assigned independently; `pass_alpha` (by
    default the same) bounds, apart, the probability of a `pass` while a share is outside.

    - `fail`, for good: the e-value against the band has reached 1/alpha (see `band.Band`), or
      a server without a share was sent more than what was on its way when it left.
    - `pass`: `minimum_requests` were seen and, in the segment under way, the confidence sequence
      of every server (level pass_alpha/servers) lies inside its band.
    - `no_data`: no request to any server that has a share. `inconclusive`: everything else.

    Round robin is more even than independent draws, so for it the bounds hold with room to spare;
    sticky or few heavy clients are less even, and for them clients must be counted, not requests.

    When the intended shares change, a new segment starts, and with it a new bet; a bet also ends
    after BET_REQUESTS (500, or 100 per server) when the traffic is inside the band. The e-values
    of bets multiply, and each bet has a small part of alpha of its own as well (`part_of_alpha`),
    so that a long even past cannot hide a skew that begins later.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        tolerance: float = DEFAULT_TOLERANCE,
        alpha: float = 0.01,
        minimum_requests: int = 200,
        *,
        pool: str = "",
        exempt: Sequence[str] = (),
        pass_alpha: Optional[float] = None,
    ) -> None:
        """Start the first segment; `exempt` servers of weight 0 may be sent requests.

        Raises ValueError for weights, tolerance, alphas or minimum_requests that make no sense.
        """
        if not 0.0 < tolerance < math.inf:
            raise ValueError("tolerance: wanted a number above 0, got %r" % (tolerance,))
        self.pass_alpha = alpha if pass_alpha is None else pass_alpha
        for value in (alpha, self.pass_alpha):
            if not 0.0 < value < 1.0:
                raise ValueError("alpha: wanted a number between 0 and 1, got %r" % (value,))
        if minimum_requests < 0:
            raise ValueError("minimum_requests: wanted 0 or more, got %r" % (minimum_requests,))
        self.tolerance = tolerance
        self.alpha = alpha
        self.minimum_requests = minimum_requests
        self.pool = pool
        self.requests = 0
        self.totals: Dict[str, int] = {}
        self.segments = 1
        self.bets = 1
        self.segment = Segment(weights, tolerance, exempt)
        self._log_carry = math.log(part_of_alpha(1))
        self._problems: List[str] = []

    def update(self, increments: Mapping[str, int]) -> None:
        """Add the requests that each server was sent since the last update.

        Raises ValueError for a server that the segment does not know and for a negative number.
        """
        checked_counts(increments, self.segment.counts)
        self.segment.add(increments)
        for name, count in increments.items():
            self.totals[name] = self.totals.get(name, 0) + count
            self.requests += count
        if not self._problems:
            self._look()

    def _look(self) -> None:
        """Decide for good when the evidence suffices."""
        idle = self.segment.idle_problem(self.pool)
        if idle:
            self._problems.append(idle)
        # Inside the band no server can be named.
        outside = self.segment.outside()
        if outside:
            if self.segment.log_e() >= self.log_reach():
                self._problems += share_reasons(outside, self._whole())
        elif self.segment.bet_is_over():
            self._next_bet(self.segment.log_e())
            self.segment.open_bet()

    def _whole(self) -> str:
        """Return what the shares of the bet are parts of, in words."""
        _, requests = self.segment.bet()
        if requests == self.requests:
            return whole_of(self.pool)
        return "the last %d %s" % (requests, of_total(self.pool))

    def _next_bet(self, log_e: float) -> None:
        """Multiply the closed bet in, and open another one with its own part of alpha."""
        self.bets += 1
        self._log_carry = log_sum((self._log_carry + log_e, math.log(part_of_alpha(self.bets))))

    def log_e(self) -> float:
        """Return the log e-value of everything seen against "inside the band".

        A sum over the bets b: part_of_alpha(b) times the product of the e-values of b and of all
        bets after it; a bet that has not begun counts 1. It starts below 1 and is an
        e-process, because each bet starts at a time that depends only on the past.
        """
        later = math.log(LATER_PART / self.bets)
        return log_sum((self._log_carry + self.segment.log_e(), later))

    def log_reach(self) -> float:
        """Return the log e-value of the bet under way at which the verdict becomes `fail`."""
        return math.log(1.0 / self.alpha - LATER_PART / self.bets) - self._log_carry

    def failed(self) -> bool:
        """Return whether the verdict is `fail`, for good; cheaper than `verdict`."""
        return bool(self._problems)

    def new_segment(self, weights: Mapping[str, float], exempt: Sequence[str] = ()) -> None:
        """Close the segment and start one with the intended shares `weights`.

        Raises ValueError for weights that make no sense.
        """
        fresh = Segment(weights, self.tolerance, exempt)
        self.segments += 1
        self._next_bet(self.segment.log_e())
        self.segment = fresh

    def verdict(self) -> str:
        """Return the verdict alone; cheaper than `result`."""
        part = self.segment
        if self._problems:
            return FAIL
        if not any(self.totals.values()):
            return NO_DATA
        if self.requests < self.minimum_requests or not part.requests:
            return INCONCLUSIVE
        if part.band is None:
            return PASS
        limit, counts = self._log_limit(), part.judged()
        proved = all(
            proved_inside(counts[at], part.requests, share, self.tolerance, limit)
            for at, share in enumerate(part.shares)
        )
        return PASS if proved else INCONCLUSIVE

    def _log_limit(self) -> float:
        """Return the evidence at which a share leaves a confidence sequence."""
        size = max(1, len(self.segment.names))
        return math.log(size / (self.pass_alpha * part_of_alpha(self.segments)))

    def result(self) -> Dict[str, Any]:
        """Return the verdict with its reasons and every number that it follows from.

        `requests` counts the whole watch; `share`, `low` and `high` belong to the segment under
        way (low and high: the confidence sequence). `e_value` is against the band and decides: that
        of the bet under way (`bet_requests`) times `carried_e_value`, and LATER_PART / bets.
        """
        part = self.segment
        verdict = self.verdict()
        return {
            "verdict": verdict,
            "reasons": self._reasons(verdict),
            "requests": self.requests,
            "segment_requests": part.requests,
            "segments": self.segments,
            "bets": self.bets,
            "bet_requests": part.bet()[1],
            "carried_e_value": plain(self._log_carry),
            "minimum_requests": self.minimum_requests,
            "e_value": plain(self.log_e()),
            "alpha": self.alpha,
            "pass_alpha": self.pass_alpha,
            "tolerance": self.tolerance,
            "servers": {name: self._server(name) for name in part.weights},
        }

    def _server(self, name: str) -> Dict[str, Any]:
        part = self.segment
        count = part.counts[name]
        row: Dict[str, Any] = {"requests": self.totals.get(name, 0), "segment_requests": count}
        row["bet_requests"] = count - part.opened[name]
        if part.weights[name] <= 0.0:
            return dict(row, share=0.0, intended=0.0, low=0.0, high=0.0)
        intended = part.shares[part.names.index(name)] if part.band else 1.0
        low, high = 1.0, 1.0
        if part.band:
            prior = prior_for(intended, self.tolerance)
            low, high = interval(count, part.requests, prior, self._log_limit())
        share = count / part.requests if part.requests else 0.0
        return dict(row, share=share, intended=intended, low=low, high=high)

    def _reasons(self, verdict: str) -> List[str]:
        if verdict == FAIL:
            return list(self._problems)
        if verdict == PASS:
            return []
        of = of_total(self.pool)
        if verdict == NO_DATA:
            return ["no %s were counted" % of]
        if self.requests < self.minimum_requests:
            return ["%d %s seen, wanted at least %d" % (self.requests, of, self.minimum_requests)]
        part = self.segment
        if not part.requests:
            return ["no %s since the weights changed" % of]
        needed = requests_to_pass(part.weights, self.tolerance, self.pass_alpha)
        return [
            "after %d %s no share is proved wrong and not every one is proved right; an even "
            "spread needs about %d" % (part.requests, of, needed)
        ]

    def state(self) -> Dict[str, Any]:
        """Return everything that `from_state` needs, as plain JSON values."""
        return {
            "tolerance": self.tolerance,
            "alpha": self.alpha,
            "pass_alpha": self.pass_alpha,
            "minimum_requests": self.minimum_requests,
            "pool": self.pool,
            "weights": dict(self.segment.weights),
            "exempt": list(self.segment.exempt),
            "counts": dict(self.segment.counts),
            "totals": dict(self.totals),
            "opened": dict(self.segment.opened),
            "segments": self.segments,
            "bets": self.bets,
            "log_carry": self._log_carry,
            "problems": list(self._problems),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ShareJudge:
        """Return the judge that `state()` described. Raises ValueError for a damaged state."""
        try:
            judge = cls(
                state["weights"], state["tolerance"], state["alpha"], state["minimum_requests"],
                pool=state["pool"], exempt=state["exempt"], pass_alpha=state["pass_alpha"],
            )  # fmt: skip
            judge.segment.add(state["counts"])
            judge.totals = {name: int(count) for name, count in state["totals"].items()}
            judge.requests = sum(judge.totals.values())
            judge.segment.opened = {name: int(n) for name, n in state["opened"].items()}
            judge.segments = int(state["segments"])
            judge.bets = int(state["bets"])
            judge._log_carry = float(state["log_carry"])
            judge._problems = [str(one) for one in state["problems"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("state of a share judge: %r is missing or damaged" % error) from None
        return judge
