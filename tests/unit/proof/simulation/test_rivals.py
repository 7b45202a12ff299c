"""Claims about the rules that the judge is set beside."""

import random

import pytest
from evenkeel_proof.simulation import rivals


@pytest.mark.parametrize(
    ("statistic", "freedom", "tail"),
    [(6.635, 1, 0.01), (9.210, 2, 0.01), (11.345, 3, 0.01), (21.666, 9, 0.01), (18.307, 10, 0.05)],
)
def test_the_tail_of_chi_square_is_that_of_the_tables(statistic, freedom, tail):
    assert rivals.chi_square_tail(statistic, freedom) == pytest.approx(tail, rel=2e-3)


def test_a_chi_square_looked_at_every_500_requests_alarms_far_more_often_than_it_says():
    shares, alarms = [1 / 3] * 3, 0
    for seed in range(60):
        stream = bytes(random.Random(seed).choices(range(3), k=40_000))
        alarms += rivals.chi_square_fails(stream, shares, 0.05) is not None
    assert alarms >= 9


def test_a_threshold_and_mann_whitney_see_a_gross_fault():
    bad = bytes(random.Random(1).choices(range(3), [8, 1, 1], k=5000))
    good = bytes(random.Random(2).choices(range(3), k=5000))
    assert rivals.threshold_fails(bad, [1 / 3] * 3, 0.3) == 500
    assert rivals.mann_whitney_fails(bad, good, 3)


def test_u_counts_ties_half():
    assert rivals.u_statistic([1, 2], [1, 2]) == 2.0
    assert rivals.u_statistic([1] * 10, [2] * 10) == 0.0
