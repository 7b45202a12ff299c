"""Anytime-valid evidence about proportions: e-processes and confidence sequences.

An e-process starts at 1 and, while its null hypothesis holds, is at most a non-negative
martingale. Ville's inequality (J. Ville, 1939) then says that the probability that it *ever*
reaches 1/alpha is at most alpha, so it may be looked at after every request, and watching may stop
or go on at will. Means of e-processes with fixed weights are e-processes.

Sources: M. Lindon, A. Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022
(arXiv 2011.03567) for the Dirichlet mixture and its confidence sequences. What is bet against a
whole band of shares stands in `band`.
All values are natural logarithms unless the name says otherwise.
"""

from __future__ import annotations

import math
from typing import Iterable, List, Sequence, Tuple

# Concentrations of the Dirichlet mixture, per server: small ones see gross faults at once, large
# ones see small faults late.
CONCENTRATIONS = (1.0, 10.0, 100.0, 1000.0)


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


def log_dirichlet(counts: Sequence[float], shares: Sequence[float], concentration: float) -> float:
    """Return the log probability of one order of `counts` under Dirichlet(concentration * shares).

    lnG(A) - lnG(A+n) + sum_i [lnG(a_i+S_i) - lnG(a_i)], a_i = concentration * shares_i, A = sum a_i
    (Lindon & Malek 2022, eq. 6, without the null's likelihood). `shares` are positive.
    """
    lgamma = math.lgamma
    total = lgamma(concentration) - lgamma(concentration + sum(counts))
    for at, count in enumerate(counts):
        if count:
            prior = concentration * shares[at]
            total += lgamma(prior + count) - lgamma(prior)
    return total


def log_point_e(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the log e-value against exactly `shares`: the mean over CONCENTRATIONS."""
    size = len(shares)
    null = sum(count * math.log(shares[at]) for at, count in enumerate(counts))
    terms = [log_dirichlet(counts, shares, size * each) for each in CONCENTRATIONS]
    return log_sum(terms) - math.log(len(terms)) - null


def log_likelihood_in_band(
    counts: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> float:
    """Return the largest sum_i S_i ln p_i with low_i <= p_i <= high_i and sum p = 1.

    The maximum has p_i = S_i t cut to [low_i, high_i] for the one t that makes the sum 1
    (Lagrange); t is found by walking over the 2k corners of that piecewise linear sum.
    """
    corners: List[Tuple[float, float]] = []
    for at, count in enumerate(counts):
        if count:
            corners.append((low[at] / count, count))
            corners.append((high[at] / count, -count))
    corners.sort()
    mass, slope, scale = sum(low), 0.0, 0.0
    for corner, change in corners:
        reached = mass + slope * (corner - scale)
        if reached >= 1.0 and slope:
            break
        mass, scale, slope = reached, corner, slope + change
    if slope > 0:
        scale += (1.0 - mass) / slope
    total = 0.0
    for at, count in enumerate(counts):
        if count:
            total += count * math.log(min(max(count * scale, low[at]), high[at]))
    return total


def shifted(share: float, odds: float) -> float:
    """Return the share whose odds are `odds` times those of `share`."""
    return share * odds / (1.0 - share + share * odds)


def ratio_term(weight: float, edge: float, other: float) -> Tuple[float, float, float]:
    """Return (ln weight, gain per request that hit, gain per request) of one likelihood ratio."""
    base = math.log((1.0 - other) / (1.0 - edge))
    return math.log(weight), math.log(other / edge) - base, base


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
    rows = [ratio_term(1.0 / len(ratios), limit, shifted(limit, odds)) for odds in ratios]
    return log_sum(weight + events * hit + trials * base for weight, hit, base in rows)
