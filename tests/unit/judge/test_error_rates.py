"""Claims about errors: against a budget, and canary against control."""

import json
import random

import pytest

from evenkeel.judge.error_rates import ErrorComparison, compare_errors, error_budget


def test_a_rate_within_the_budget_passes_when_enough_was_seen():
    assert error_budget(0, 200, 1.0)["verdict"] == "pass"
    assert error_budget(2, 200, 1.0)["verdict"] == "pass"
    assert error_budget(0, 199, 1.0)["verdict"] == "inconclusive"


def test_no_request_is_no_data():
    assert error_budget(0, 0, 1.0)["verdict"] == "no_data"


@pytest.mark.parametrize(("errors", "requests"), [(3, 3), (6, 30), (20, 300)])
def test_clearly_more_errors_than_the_budget_fail_and_the_reason_shows_both(errors, requests):
    result = error_budget(errors, requests, 1.0, where="pool web")
    assert result["verdict"] == "fail"
    assert f"{errors} of {requests} requests of pool web failed" in result["reasons"][0]
    assert "wanted at most 1 %" in result["reasons"][0]


def test_a_little_over_the_budget_is_inconclusive():
    assert error_budget(3, 250, 1.0)["verdict"] == "inconclusive"


def test_a_budget_of_nothing_is_broken_by_one_error():
    assert error_budget(1, 100_000, 0.0)["verdict"] == "fail"


def test_a_rate_at_the_budget_hardly_ever_fails_however_often_one_looks():
    draw, failed = random.Random(5), 0
    for _ in range(100):
        errors = 0
        for n in range(1, 1001):
            errors += draw.random() < 0.01
            if error_budget(errors, n, 1.0)["verdict"] == "fail":
                failed += 1
                break
    assert failed <= 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((2, 1, 1.0), "errors <= requests"),
        ((-1, 1, 1.0), "errors"),
        ((0, 1, 101.0), "budget_percent"),
    ],
)
def test_refuses_numbers_that_make_no_sense(arguments, word):
    with pytest.raises(ValueError, match=word):
        error_budget(*arguments)


def test_a_canary_that_fails_ten_times_as_often_as_its_control_fails():
    result = compare_errors(30, 1000, 27, 9000)
    assert result["verdict"] == "fail"
    assert (
        "3.00 % of the canary's 1000 requests failed, 0.30 % of the control's 9000"
        in (result["reasons"][0])
    )


def test_a_canary_like_its_control_passes():
    assert compare_errors(5, 1000, 45, 9000)["verdict"] == "pass"


def test_a_canary_no_worse_than_a_broken_control_passes_and_says_so():
    result = compare_errors(100, 1000, 950, 9000)
    assert result["verdict"] == "pass"
    assert "not because of this change" in result["reasons"][0]


def test_without_control_hosts_the_budget_decides_and_the_reasons_say_so():
    good, bad = compare_errors(0, 1000, 0, 0), compare_errors(50, 1000, 0, 0)
    assert (good["verdict"], bad["verdict"]) == ("pass", "fail")
    assert good["basis"] == bad["basis"] == "budget"
    assert any("no control host" in reason for reason in good["reasons"])


def test_a_control_without_errors_leaves_it_to_the_budget():
    assert compare_errors(3, 1000, 0, 9000)["verdict"] == "pass"
    assert compare_errors(50, 1000, 0, 9000)["verdict"] == "fail"


def test_no_request_to_the_canary_is_no_data():
    assert compare_errors(0, 0, 3, 9000)["verdict"] == "no_data"


@pytest.mark.parametrize("ratio", [1.0, 1.2])
def test_error_rates_that_drift_for_all_hosts_alike_hardly_ever_fail(ratio):
    draw, failed = random.Random(3), 0
    for _ in range(60):
        comparison = ErrorComparison(budget_percent=100.0)
        for interval in range(60):
            base = 0.002 * (1 + interval % 7)
            mine = 40 + 10 * (interval % 5)
            canary = sum(draw.random() < base * ratio for _ in range(mine))
            control = sum(draw.random() < base for _ in range(400))
            comparison.update(canary, mine, control, 400)
        failed += comparison.result()["verdict"] == "fail"
    assert failed <= 2


def test_a_comparison_that_was_saved_and_resumed_goes_on():
    one = ErrorComparison()
    one.update(3, 100, 2, 900)
    other = ErrorComparison.from_state(json.loads(json.dumps(one.state())))
    for comparison in (one, other):
        comparison.update(9, 100, 2, 900)
    assert one.result() == other.result()
    with pytest.raises(ValueError, match="damaged"):
        ErrorComparison.from_state({})
