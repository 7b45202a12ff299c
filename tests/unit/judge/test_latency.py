"""Claims about slow requests of a canary beside its control hosts."""

import json
import random

import pytest

from evenkeel.judge.latency import LatencyComparison, slow_requests

EDGES = (10.0, 100.0, 500.0, 1000.0)


def histogram(fast, slow):
    return [fast, 0, 0, slow, 0]


def run(canary, control, intervals=1, **settings):
    comparison = LatencyComparison(EDGES, 500.0, **settings)
    for _ in range(intervals):
        comparison.update(histogram(*canary), histogram(*control))
    return comparison.result()


def test_slow_is_what_lies_above_the_limit():
    assert slow_requests([1, 2, 4, 8, 16], EDGES, 100.0) == 28
    assert slow_requests([1, 2, 4, 8, 16], EDGES, 1000.0) == 16


@pytest.mark.parametrize(
    ("counts", "edges", "limit", "word"),
    [
        ([1, 2], (10.0, 20.0), 10.0, "counts: wanted 3"),
        ([1, 2, 3], (20.0, 10.0), 10.0, "edges"),
        ([1, 2, 3], (10.0, 20.0), 15.0, "one of the edges"),
        ([1, -2, 3], (10.0, 20.0), 10.0, "whole numbers"),
        ([], (), 10.0, "edges"),
    ],
)
def test_refuses_histograms_that_make_no_sense(counts, edges, limit, word):
    with pytest.raises(ValueError, match=word):
        slow_requests(counts, edges, limit)


def test_a_canary_that_is_slow_five_times_as_often_fails_and_shows_both():
    result = run((90, 10), (196, 4), intervals=10)
    assert result["verdict"] == "fail"
    assert "10.00 % of the canary's 1000 requests took longer than 500" in result["reasons"][0]
    assert "2.00 % of the control's 2000" in result["reasons"][0]


def test_a_failure_is_final():
    comparison = LatencyComparison(EDGES, 500.0)
    comparison.update(histogram(50, 50), histogram(200, 0))
    comparison.update(histogram(100_000, 0), histogram(0, 100_000))
    assert comparison.result()["verdict"] == "fail"


def test_what_is_slow_more_seldom_than_the_budget_matters_to_nobody():
    assert run((99_950, 50), (99_999, 1))["verdict"] == "pass"


def test_a_slow_service_whose_canary_is_no_slower_passes():
    result = run((90, 10), (180, 20), intervals=30)
    assert result["verdict"] == "pass"
    assert "no worse than the control" in result["reasons"][0]


def test_too_few_slow_requests_are_inconclusive():
    assert run((195, 5), (390, 10))["verdict"] == "inconclusive"


def test_without_control_hosts_a_canary_over_its_budget_is_inconclusive():
    result = run((900, 100), (0, 0))
    assert result["verdict"] == "inconclusive"
    assert "no control host" in result["reasons"][0]


def test_nothing_timed_is_no_data():
    assert run((0, 0), (900, 100))["verdict"] == "no_data"


def test_a_canary_as_slow_as_its_control_hardly_ever_fails_however_often_one_looks():
    failed = 0
    for seed in range(100):
        draw = random.Random(seed)
        comparison = LatencyComparison(EDGES, 500.0)
        for _ in range(100):
            rate = draw.choice((0.02, 0.2))
            slow = [sum(draw.random() < rate for _ in range(n)) for n in (10, 30)]
            comparison.update(histogram(10 - slow[0], slow[0]), histogram(30 - slow[1], slow[1]))
        failed += comparison.result()["verdict"] == "fail"
    assert failed <= 2


def test_a_comparison_resumes_where_it_was_saved():
    comparison = LatencyComparison(EDGES, 500.0)
    comparison.update(histogram(90, 10), histogram(190, 10))
    again = LatencyComparison.from_state(json.loads(json.dumps(comparison.state())))
    for each in (comparison, again):
        each.update(histogram(80, 20), histogram(190, 10))
    assert again.result() == comparison.result()


@pytest.mark.parametrize("damage", [{"worse": [0.0]}, {"totals": [1]}, {"edges": None}])
def test_a_damaged_state_is_refused(damage):
    state = LatencyComparison(EDGES, 500.0).state()
    with pytest.raises(ValueError, match="state of latencies"):
        LatencyComparison.from_state({**state, **damage})


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"budget_percent": 101.0}])
def test_refuses_settings_that_make_no_sense(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        LatencyComparison(EDGES, 500.0, **settings)
