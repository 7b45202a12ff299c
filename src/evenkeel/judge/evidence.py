"""Anytime-valid evidence about proportions: e-processes and confidence sequences.

An e-process starts at 1 and, while its null hypothesis holds, is at most a non-negative
martingale. Ville's inequality (J. Ville, 1939) then says that the probability that it *ever*
reaches 1/alpha is at most alpha, so it may be looked at after every request, and watching may stop
or go on at will. Means of e-processes with fixed weights are e-processes.

Source: M. Lindon, A. Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022
(arXiv 2011.03567) for the Beta mixture and its confidence sequences. `band` has the evidence
against a band of shares.
All values are natural logarithms unless the name says otherwise.
"""

from __future__ import annotations

import math
from typing import Iterable, Tuple


def log_sum(values: Iterable[float]) -> float:
    """Return ln(sum(exp(v))) without overflow; minus infinity for nothing."""
    terms = list(values)
    top = max(terms, default=-math.inf)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(value - top) for value in terms))


def plain(log_value: float) -> float:
    """Return exp(log_value), capped at 1e300 so that it stays a number in JSON."""
    return math.exp(min(log_value, 690.775527898213))


def log_ratio(edge: float, step: float) -> Tuple[float, float]:
    """Return (ln q/edge, ln (1-q)/(1-edge)) for the q whose log odds are `step` beyond `edge`."""
    outside = -math.log1p(edge * math.expm1(step))
    return step + outside, outside


def log_binary_e(count: int, requests: int, prior: Tuple[float, float], share: float) -> float:
    """Return the log e-value of `count` of `requests` against "the share is `share`".

    Beta(prior) mixture: the binary form of the Dirichlet mixture (Lindon & Malek 2022).
    """
    log_null = count * math.log(share) if count else 0.0
    if requests > count:
        log_null += (requests - count) * math.log1p(-share)
    return _log_beta_gain(count, requests, prior) - log_null


def _log_beta_gain(count: int, requests: int, prior: Tuple[float, float]) -> float:
    lgamma = math.lgamma
    a, b = prior
    return (
        lgamma(a + count) + lgamma(b + requests - count) - lgamma(a + b + requests)
        - lgamma(a) - lgamma(b) + lgamma(a + b)
    )  # fmt: skip


def interval(
    count: int, requests: int, prior: Tuple[float, float], log_threshold: float
) -> Tuple[float, float]:
    """Return (low, high): the shares that `log_binary_e` has not rejected at `log_threshold`.

    With log_threshold = ln(1/alpha) the true share is inside at all times together with
    probability 1 - alpha at least: a confidence sequence. In t = ln(p/(1-p)) the log e-value is
    convex, so Newton's method comes to each end from outside without overshooting.
    """
    if not requests:
        return 0.0, 1.0
    room = log_threshold - _log_beta_gain(count, requests, prior)
    if count == 0:
        return 0.0, -math.expm1(-room / requests)
    if count == requests:
        return math.exp(-room / requests), 1.0
    middle = math.log(count / (requests - count))
    spread = math.sqrt(requests / (count * (requests - count)))
    reach = spread * math.sqrt(2.0 * max(log_threshold, 1.0))
    return (
        _edge(count, requests, room, middle - reach),
        _edge(count, requests, room, middle + reach),
    )


def _edge(count: int, requests: int, room: float, start: float) -> float:
    """Return p = 1/(1+exp(-t)) with requests ln(1+e^t) - count t = room, near t = `start`."""
    t = start
    for _ in range(60):
        p = 1.0 / (1.0 + math.exp(-t))
        value = requests * (max(t, 0.0) + math.log1p(math.exp(-abs(t)))) - count * t - room
        step = value / (requests * p - count)
        t -= max(-5.0, min(5.0, step))
        if abs(step) < 1e-9:
            break
    return 1.0 / (1.0 + math.exp(-t))


def log_rate_e(events: int, trials: int, limit: float) -> float:
    """Return the log e-value of `events` in `trials` against "the rate is at most `limit`".

    Mean of likelihood ratios against the limit over odds ratios 1.5 to 1000, each at most a
    martingale below the limit. A limit of 0 is broken by the first event.
    """
    if not trials:
        return 0.0
    if limit <= 0.0:
        return math.inf if events else 0.0
    if limit >= 1.0:
        return 0.0
    ratios = (1.5, 2.0, 3.0, 6.0, 15.0, 60.0, 1000.0)
    bets = [log_ratio(limit, math.log(odds)) for odds in ratios]
    mean = log_sum(events * hit + (trials - events) * miss for hit, miss in bets)
    return mean - math.log(len(ratios))
