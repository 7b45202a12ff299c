"""Claims about the ratio of two rates, enumerated."""

import math

import pytest

from evenkeel.judge.rates import RateRatio


def chances(trials, rate):
    return [math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(trials + 1)]


def mean_e(limit, alternatives, rate, control_rate, requests=12, others=18):
    total = 0.0
    for events, chance in enumerate(chances(requests, rate)):
        for more, other_chance in enumerate(chances(others, control_rate)):
            ratio = RateRatio(limit, alternatives)
            ratio.update(events, requests, more, others)
            total += chance * other_chance * math.exp(ratio.log_e())
    return total


@pytest.mark.parametrize("control", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("times", [0.2, 1.0, 1.2])
def test_no_mean_is_above_one_within_the_limit_however_frequent_the_events(control, times):
    assert mean_e(1.2, (1.5, 3.0, 10.0), times * control, control) <= 1.0 + 1e-9


@pytest.mark.parametrize("control", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("times", [2.0, 3.0])
def test_with_alternatives_below_the_limit_it_speaks_against_being_that_bad(control, times):
    assert mean_e(2.0, (1.0, 0.5), times * control, control) <= 1.0 + 1e-9


def test_an_interval_without_the_other_side_says_nothing():
    ratio = RateRatio(1.2, (2.0,))
    ratio.update(9, 10, 0, 0)
    ratio.update(0, 0, 9, 10)
    assert ratio.log_e() == 0.0
