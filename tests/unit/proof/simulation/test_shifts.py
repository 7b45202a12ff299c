"""Claims about the set of faults and the least that any judge needs for them."""

import itertools
import math

import pytest
from evenkeel_proof.simulation import detection
from evenkeel_proof.simulation.false_alarms import summed, upper_end
from evenkeel_proof.simulation.shifts import (
    SERVERS,
    Shift,
    every_shift,
    information_limit,
    nearest_inside,
)

EVERY = list(every_shift(0.3, 0.01))


def test_every_shift_is_a_fault_and_moves_its_points():
    for shift in EVERY:
        assert sum(shift.shares) == pytest.approx(1.0)
        assert any(abs(s * shift.servers - 1.0) > 0.3 for s in shift.shares)
        moved = sum(max(0.0, s - 1.0 / shift.servers) for s in shift.shares)
        assert moved == pytest.approx(shift.points / 100.0)


def test_nothing_is_left_out_but_what_is_no_fault_and_what_cannot_be():
    for servers, points in itertools.product(SERVERS, range(5, 50, 5)):
        shares = [1 / servers + points / 100, *[0.0] * (servers - 1)]
        outside = points / 100 > 0.3 / servers + 1e-9
        wanted = outside and shares[0] <= 1.0
        assert wanted == any(
            (one.shape, one.servers, one.points) == ("raised", servers, points) for one in EVERY
        )


def test_the_limit_of_all_on_one_of_three_is_that_of_the_edge():
    assert information_limit([1.0, 0.0, 0.0], 0.3, 0.01) == pytest.approx(
        math.log(100) / math.log(3 / 1.3), rel=1e-6
    )
    assert information_limit([0.4, 0.3, 0.3], 0.3, 0.01) == math.inf


def test_the_nearest_vector_is_nearer_than_its_neighbours():
    shares, low, high = [0.6, 0.25, 0.1, 0.05], 0.175, 0.325

    def distance(other):
        return sum(s * math.log(s / o) for s, o in zip(shares, other, strict=True))

    near = nearest_inside(shares, low, high)
    assert sum(near) == pytest.approx(1.0)
    for a, b in itertools.permutations(range(4), 2):
        other = list(near)
        other[a] += 1e-4
        other[b] -= 1e-4
        if all(low - 1e-12 <= each <= high + 1e-12 for each in other):
            assert distance(other) >= distance(near) - 1e-9


def test_the_ratio_is_the_mean_requests_over_the_limit():
    shift = next(one for one in EVERY if one.name == "raised 45 points, 3 servers")
    row = detection.measured(shift, 5)
    assert row["ratio"] == pytest.approx(row["mean"] / shift.limit)
    assert 1.0 < row["ratio"] < 3.0


def test_the_worst_and_the_mean_are_of_the_counted_set_alone():
    def row(ratio, counted):
        shift = Shift("raised", 3, 20, (), 10.0, counted)
        return {
            "name": shift.name, "shape": "raised", "servers": 3, "counted": counted,
            "ratio": ratio, "median": 10 * ratio, "limit": 10.0,
        }  # fmt: skip

    figures = detection.overall([row(1.0, True), row(2.0, True), row(9.0, False)])
    assert (figures["shifts"], figures["ratio_mean"], figures["ratio_worst"]) == (2, 1.5, 2.0)
    assert figures["scattered_in_large_pools"]["ratio_worst"] == 9.0


def test_the_incident_of_2024_06_20_fails_within_40_requests():
    for name in detection.INCIDENTS:
        assert detection.incident(name, 21)["median"] < 40


def test_no_alarm_in_a_thousand_runs_is_less_than_one_in_three_hundred():
    assert upper_end(0, 1000) == pytest.approx(0.003, abs=1e-4)
    runs = [
        {"judge": at == 0, "judge_by_requests": True, "chi_square": False, "mann_whitney": False,
         "threshold": False, "looks": 10, "calls": 2}
        for at in range(4)
    ]  # fmt: skip
    answer = summed(runs)
    assert (answer["judge"], answer["judge_by_requests"], answer["looks"]) == (0.25, 1.0, 40)
