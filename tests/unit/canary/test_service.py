import pytest
from unit.change.build import observed

from evenkeel.canary.plan import Stage
from evenkeel.canary.service import down_by_change
from evenkeel.canary.stage import judge_results


def seen(**states):
    """What a host saw of pool app: each server with its state."""
    answer = observed(dict.fromkeys(states, 200))
    for name, state in states.items():
        answer["pools"]["app"]["servers"][name]["status"] = state
    return answer


WELL = seen(web1="active", web2="active")
ONE_DOWN = seen(web1="active", web2="down")


def test_a_server_that_is_down_on_the_canary_and_well_on_a_control_host_counts_against_the_change():
    (reason,) = down_by_change({"lb1": ONE_DOWN}, {"lb2": WELL, "lb3": WELL})
    assert reason == "server web2 of pool app is down on lb1, and is well on lb2, lb3"


def test_a_new_server_that_is_down_wherever_the_change_is_counts_against_it():
    (reason,) = down_by_change({"lb1": ONE_DOWN}, {"lb2": seen(web1="active")})
    assert "down on lb1, and no host without the change has it (1 asked)" in reason


def test_a_server_that_a_control_host_finds_down_too_fell_by_itself():
    assert down_by_change({"lb1": ONE_DOWN}, {"lb2": ONE_DOWN, "lb3": WELL}) == []


def test_without_control_hosts_a_server_counts_that_is_well_on_another_host_with_the_change():
    (reason,) = down_by_change({"lb1": WELL, "lb2": ONE_DOWN}, {})
    assert "down on lb2, and is well on lb1" in reason
    assert down_by_change({"lb1": ONE_DOWN, "lb2": ONE_DOWN}, {}) == []


@pytest.mark.parametrize("state", ["active", "draining", "inactive"])
def test_a_server_in_another_state_than_down_is_nobodys_problem(state):
    assert down_by_change({"lb1": seen(web1="active", web2=state)}, {"lb2": WELL}) == []


def test_a_stage_fails_whose_hosts_passed_without_a_server_that_the_change_lost():
    stage = Stage(1, ("lb1",), (), 60, 200, 15)
    results = {
        host: {"host": host, "role": role, "status": "ok", "verb": "observe", "result": answer}
        for host, role, answer in (("lb1", "canary", ONE_DOWN), ("lb2", "control", WELL))
    }
    body = judge_results(stage, results)
    assert body["verdict"] == "fail"
    assert body["reasons"] == ["server web2 of pool app is down on lb1, and is well on lb2"]
