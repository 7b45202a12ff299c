"""Claims about the order of the four verdicts."""

import itertools

import pytest

from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS, worst


def test_nothing_to_judge_is_no_data_and_never_a_pass():
    assert worst([]) == NO_DATA


def test_the_worst_verdict_decides_in_any_order():
    order = [FAIL, NO_DATA, INCONCLUSIVE, PASS]
    for size in (1, 2, 3, 4):
        for some in itertools.permutations(order, size):
            assert worst(some) == min(some, key=order.index)


def test_refuses_a_word_that_is_no_verdict():
    with pytest.raises(ValueError, match="ok"):
        worst([PASS, "ok"])
