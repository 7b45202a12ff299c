"""Errors: against a budget, and of the canary against concurrent control hosts."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Tuple

from .evidence import log_rate_e, plain
from .rates import RateRatio
from .verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS

# Worse is above this multiple of the control's rate.
ALLOWED_RATIO = 1.2
RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


def _checked(errors: int, requests: int, who: str) -> None:
    for word, value in (("errors", errors), ("requests", requests)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError("%s %s: wanted a whole number, 0 or more, got %r" % (who, word, value))
    if errors > requests:
        raise ValueError("%s: wanted errors <= requests, got %d > %d" % (who, errors, requests))


def _checked_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError("alpha: wanted a number between 0 and 1, got %r" % (alpha,))


def error_budget(
    errors: int,
    requests: int,
    budget_percent: float,
    *,
    alpha: float = 0.01,
    minimum_requests: int = 200,
    where: str = "",
) -> Dict[str, Any]:
    """Judge `errors` of `requests` against an absolute budget, whatever others do.

    `fail` when the e-value against "the rate is within the budget" reaches 1/alpha, which may be
    asked after every request (Ville); `pass` when the observed rate is within the budget and
    `minimum_requests` were seen: a budget promises what users saw, so what they saw decides.
    Result: verdict, reasons, errors, requests, rate_percent, budget_percent, e_value, alpha.
    Raises ValueError for counts, budget or alpha that make no sense.
    """
    _checked(errors, requests, "error budget")
    _checked_alpha(alpha)
    if not 0.0 <= budget_percent <= 100.0:
        raise ValueError("budget_percent: wanted 0 to 100, got %r" % (budget_percent,))
    log_e = log_rate_e(errors, requests, budget_percent / 100.0)
    rate = 100.0 * errors / requests if requests else 0.0
    at = " of " + where if where else ""
    seen = "%d of %d requests%s failed (%.2f %%), wanted at most %g %%" % (
        errors, requests, at, rate, budget_percent,
    )  # fmt: skip
    reasons: List[str] = []
    if not requests:
        verdict, reasons = NO_DATA, ["no request%s was counted" % at]
    elif log_e >= -math.log(alpha):
        verdict, reasons = FAIL, [seen]
    elif rate > budget_percent:
        verdict, reasons = INCONCLUSIVE, [seen + "; too few to be sure"]
    elif requests < minimum_requests:
        verdict = INCONCLUSIVE
        reasons = ["%d requests%s seen, wanted at least %d" % (requests, at, minimum_requests)]
    else:
        verdict = PASS
    return {
        "verdict": verdict, "reasons": reasons, "errors": errors, "requests": requests,
        "rate_percent": rate, "budget_percent": budget_percent, "e_value": plain(log_e),
        "alpha": alpha, "minimum_requests": minimum_requests,
    }  # fmt: skip


class ErrorComparison:
    """The canary's errors against those of control hosts, interval by interval.

    The e-value against "the canary's rate is at most ALLOWED_RATIO times the control's" is that of
    `rates.RateRatio`, over the alternatives RATIOS.
    """

    def __init__(
        self, *, alpha: float = 0.01, budget_percent: float = 1.0, minimum_requests: int = 200
    ) -> None:
        """Raises ValueError for an alpha or a budget that makes no sense."""
        _checked_alpha(alpha)
        error_budget(0, 0, budget_percent)
        self.alpha = alpha
        self.budget_percent = budget_percent
        self.minimum_requests = minimum_requests
        self._totals = [0, 0, 0, 0]
        self._worse = RateRatio(ALLOWED_RATIO, RATIOS)
        self._failed = False

    def update(
        self, canary_errors: int, canary_requests: int, control_errors: int, control_requests: int
    ) -> None:
        """Add one interval; all four counts belong to the same stretch of time."""
        _checked(canary_errors, canary_requests, "canary")
        _checked(control_errors, control_requests, "control")
        added = (canary_errors, canary_requests, control_errors, control_requests)
        self._totals = [old + added[at] for at, old in enumerate(self._totals)]
        self._worse.update(*added)
        self._failed = self._failed or self.log_e() >= -math.log(self.alpha)

    def log_e(self) -> float:
        """Return the log e-value against "the canary's rate is at most ALLOWED_RATIO times"."""
        return self._worse.log_e()

    def result(self) -> Dict[str, Any]:
        """Return the verdict with its reasons and numbers.

        Without control hosts, or when the control had no error, the absolute budget decides, and
        the reasons say so. A canary over its budget passes when its rate is within ALLOWED_RATIO
        of the control's: then it is not this change that breaks the budget.
        """
        errors, requests, control_errors, control_requests = self._totals
        budget = error_budget(
            errors, requests, self.budget_percent, alpha=self.alpha,
            minimum_requests=self.minimum_requests, where="the canary",
        )  # fmt: skip
        verdict, reasons = str(budget["verdict"]), list(budget["reasons"])
        basis = "comparison"
        if requests and not control_requests:
            basis = "budget"
            reasons.append("no control host had requests, so the absolute budget alone decided")
        elif requests and not control_errors and not self._failed:
            basis = "budget"
            reasons.append("the control hosts had no error, so the absolute budget decided")
        elif requests:
            verdict, reasons = self._compared(verdict, reasons)
        return {
            "verdict": verdict, "reasons": reasons, "basis": basis, "budget": budget,
            "canary_errors": errors, "canary_requests": requests,
            "control_errors": control_errors, "control_requests": control_requests,
            "allowed_ratio": ALLOWED_RATIO, "e_value": plain(self.log_e()), "alpha": self.alpha,
        }  # fmt: skip

    def _compared(self, verdict: str, reasons: List[str]) -> Tuple[str, List[str]]:
        errors, requests, control_errors, control_requests = self._totals
        rate, control = errors / requests, control_errors / control_requests
        rates = "%.2f %% of the canary's %d requests failed, %.2f %% of the control's %d" % (
            100.0 * rate, requests, 100.0 * control, control_requests,
        )  # fmt: skip
        if self._failed:
            return FAIL, [rates, *reasons]
        no_worse = rate <= ALLOWED_RATIO * control and requests >= self.minimum_requests
        if no_worse and verdict in (FAIL, INCONCLUSIVE):
            return PASS, [rates + ": over the budget, but not because of this change"]
        return verdict, reasons

    def state(self) -> Dict[str, Any]:
        """Return everything that `from_state` needs, as plain JSON values."""
        return {
            "alpha": self.alpha, "budget_percent": self.budget_percent,
            "minimum_requests": self.minimum_requests, "totals": list(self._totals),
            "logs": list(self._worse.logs), "failed": self._failed,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ErrorComparison:
        """Return the comparison that `state()` described. Raises ValueError for a damaged one."""
        try:
            fresh = cls(
                alpha=state["alpha"], budget_percent=state["budget_percent"],
                minimum_requests=state["minimum_requests"],
            )  # fmt: skip
            fresh._totals = [int(each) for each in state["totals"]]
            fresh._worse.logs = [float(each) for each in state["logs"]]
            fresh._failed = bool(state["failed"])
        except (KeyError, TypeError) as error:
            raise ValueError("state of a comparison: %r is missing or damaged" % error) from None
        if len(fresh._totals) != 4 or len(fresh._worse.logs) != len(RATIOS):
            raise ValueError("state of a comparison: wanted 4 totals and %d logs" % len(RATIOS))
        return fresh


def compare_errors(
    canary_errors: int,
    canary_requests: int,
    control_errors: int,
    control_requests: int,
    *,
    alpha: float = 0.01,
    budget_percent: float = 1.0,
    minimum_requests: int = 200,
) -> Dict[str, Any]:
    """Judge one interval, or the sums of a window with steady traffic: see ErrorComparison."""
    comparison = ErrorComparison(
        alpha=alpha, budget_percent=budget_percent, minimum_requests=minimum_requests
    )
    comparison.update(canary_errors, canary_requests, control_errors, control_requests)
    return comparison.result()
