"""Claims about what is wrong whatever the traffic's luck was."""

import pytest

from evenkeel.judge import guards

OLD = {"worker_pid": 7, "worker_started": 100.0}


def test_a_burst_is_many_errors_and_a_large_part():
    assert "11 errors" in guards.burst_problem("web", 11, 50, 10, 20.0)
    assert guards.burst_problem("web", 9, 9, 10, 20.0) is None
    assert guards.burst_problem("web", 10, 50, 10, 20.0) is None


def test_a_pool_needs_its_minimum_of_active_servers():
    assert guards.active_problem("web", 1, 2) == "pool web has 1 active servers, wanted at least 2"
    assert guards.active_problem("web", 2, 2) is None


def test_a_server_that_should_have_had_so_many_and_had_none_is_named():
    fault = guards.silent_problem("web", ["a", "b"], [0.2, 0.8], [0, 100], 100, 20)
    assert fault == "server a of pool web was sent nothing, wanted about 20 requests"
    assert guards.silent_problem("web", ["a", "b"], [0.2, 0.8], [0, 99], 99, 20) is None
    assert guards.silent_problem("web", ["a", "b"], [0.2, 0.8], [1, 99], 100, 20) is None


def test_the_worker_of_before_the_change_must_not_serve_any_more():
    assert "worker 7" in guards.worker_problem(OLD, dict(OLD))
    assert guards.worker_problem(OLD, {**OLD, "worker_pid": 8}) is None
    assert guards.worker_problem(OLD, {**OLD, "worker_started": 101.0}) is None
    assert guards.worker_problem(None, OLD) is None


def test_a_queue_is_a_fault_when_it_stays():
    assert "at least 60 requests queued in 3 samples" in guards.queue_problem(
        "web", [0, 60, 70, 80], 50, 3
    )
    assert guards.queue_problem("web", [60, 70, 50], 50, 3) is None
    assert guards.queue_problem("web", [60, 70], 50, 3) is None


@pytest.mark.parametrize(
    ("open_now", "controls", "wrong"),
    [(301, [90, 100], True), (300, [90, 100], False), (90, [1], False), (5000, [], False)],
)
def test_connections_are_compared_with_the_busiest_control(open_now, controls, wrong):
    assert bool(guards.connections_problem(open_now, controls, 3.0)) is wrong
