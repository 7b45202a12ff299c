import itertools

import pytest
from unit.change.build import Sample

from evenkeel.canary.change_outcome import outcome, recap
from evenkeel.canary.plan import load
from evenkeel.change.ledger import next_after
from evenkeel.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_ROLLBACK_FAILED,
    EXIT_ROLLED_BACK,
    EXIT_SPLIT_FLEET,
)


def answer(status="ok", **answered):
    return {"status": status, "result": answered}


ACTIVE = {"activate": answer()}
CONFIRMED = ACTIVE | {"confirm": answer()}
REVERTED = ACTIVE | {"rollback": answer(outcome="reverted")}
UNTOUCHED = {"rollback": answer(outcome="untouched")}
STUCK = ACTIVE | {"rollback": answer("failed", error={"what": "The snapshot is damaged"})}


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path).rendered().planned(sizes=(1, 2))


@pytest.fixture
def plan(change):
    return load(change.folder)


def ended(plan, *answers, **more):
    return outcome(plan, dict(zip(plan.hosts, answers, strict=False)), **more)


@pytest.mark.parametrize(
    ("answers", "word", "exit_code"),
    [
        ((CONFIRMED, CONFIRMED, CONFIRMED), "confirmed", EXIT_OK),
        ((REVERTED, UNTOUCHED, UNTOUCHED), "rolled_back", EXIT_ROLLED_BACK),
        ((UNTOUCHED, UNTOUCHED, UNTOUCHED), "refused", EXIT_REFUSED),
        ((STUCK, UNTOUCHED, UNTOUCHED), "rollback_failed", EXIT_ROLLBACK_FAILED),
        ((CONFIRMED, REVERTED, REVERTED), "split", EXIT_SPLIT_FLEET),
        ((CONFIRMED, STUCK, CONFIRMED), "split", EXIT_SPLIT_FLEET),
        ((CONFIRMED, CONFIRMED, ACTIVE), "split", EXIT_SPLIT_FLEET),
    ],
)
def test_the_fleets_outcome_follows_from_its_hosts(plan, answers, word, exit_code):
    body = ended(plan, *answers)
    assert (body["outcome"], body["exit_code"]) == (word, exit_code)


def test_a_change_that_left_hosts_out_leaves_the_fleet_in_two_states_and_names_them(plan):
    body = ended(plan, CONFIRMED, CONFIRMED, CONFIRMED, left_out=["lb4"])
    assert (body["outcome"], body["hosts"]["lb4"]) == ("split", "untouched")
    assert "lb4" in next_after("c1", body) and "lb1" not in next_after("c1", body)


def test_a_change_that_went_back_everywhere_left_nobody_in_another_state(plan):
    assert ended(plan, REVERTED, left_out=["lb4"])["outcome"] != "split"


def test_every_planned_host_is_in_exactly_one_state_whatever_was_answered(plan):
    kinds = [{}, ACTIVE, CONFIRMED, REVERTED, UNTOUCHED, STUCK]
    for answers in itertools.product(kinds, repeat=3):
        body = ended(plan, *answers)
        assert list(body["hosts"]) == list(plan.hosts)
        assert set(body["hosts"].values()) <= {"confirmed", "reverted", "untouched", "failed"}
        if "confirmed" in body["hosts"].values() and len(set(body["hosts"].values())) > 1:
            assert body["exit_code"] == EXIT_SPLIT_FLEET


def test_a_change_that_went_back_for_want_of_data_is_inconclusive(plan):
    for verdict in ("inconclusive", "no_data"):
        body = ended(plan, REVERTED, UNTOUCHED, UNTOUCHED, verdict=verdict)
        assert body["exit_code"] == EXIT_INCONCLUSIVE


def test_a_canary_that_fell_silent_has_failed_and_its_lease_is_named(plan):
    body = ended(plan, ACTIVE, UNTOUCHED, UNTOUCHED)
    assert body["hosts"] == {"lb1": "failed", "lb2": "untouched", "lb3": "untouched"}
    assert "lease" in body["notes"]["lb1"]


def test_a_host_that_never_answered_may_have_the_change(plan):
    assert ended(plan, {}, UNTOUCHED, UNTOUCHED)["hosts"]["lb1"] == "failed"
    assert ended(plan, REVERTED, {}, UNTOUCHED)["hosts"]["lb2"] == "failed"


def test_a_host_whose_turn_never_came_is_untouched_without_an_answer(plan):
    body = ended(plan, {"rollback": answer(outcome="untouched")})
    assert body["hosts"] == {"lb1": "untouched", "lb2": "untouched", "lb3": "untouched"}


def test_a_canary_that_went_back_before_it_was_asked_to_is_reverted_not_untouched(plan):
    body = ended(plan, ACTIVE | UNTOUCHED, UNTOUCHED, UNTOUCHED)
    assert body["hosts"]["lb1"] == "reverted"
    assert body["exit_code"] == EXIT_ROLLED_BACK
    assert body["notes"]["lb1"] == "it went back by itself"


def test_a_host_that_reverted_in_its_activation_says_so(plan):
    body = ended(plan, {"activate": answer("failed", reverted=True)}, UNTOUCHED, UNTOUCHED)
    assert body["hosts"]["lb1"] == "reverted"


def test_a_host_that_went_back_in_its_activation_is_reverted_also_when_asked_again(plan):
    back = {"activate": answer("failed", outcome="reverted"), **UNTOUCHED}
    body = ended(plan, back, UNTOUCHED, UNTOUCHED)
    assert body["hosts"]["lb1"] == "reverted"
    assert body["exit_code"] == EXIT_ROLLED_BACK


def test_a_host_that_another_change_holds_is_untouched_and_the_change_is_named(plan):
    error = {"what": "Change other holds this host"}
    held = {"activate": answer("failed", outcome="untouched", error=error), **UNTOUCHED}
    body = ended(plan, held, UNTOUCHED, UNTOUCHED)
    assert body["hosts"] == {"lb1": "untouched", "lb2": "untouched", "lb3": "untouched"}
    assert body["exit_code"] == EXIT_REFUSED
    assert body["notes"]["lb1"] == "Change other holds this host"


def test_the_recap_is_a_table_of_hosts_and_the_next_command(change, plan):
    text = recap(change.folder, ended(plan, STUCK, UNTOUCHED, UNTOUCHED))
    assert text.splitlines()[:4] == [
        "host  outcome",
        "lb1   failed     The snapshot is damaged",
        "lb2   untouched",
        "lb3   untouched",
    ]
    assert f"change {change.change_id}: rollback failed (exit code 12)" in text
    assert text.splitlines()[-2].endswith(f"-e undo={change.change_id} --limit lb1")
    assert text.splitlines()[-1] == f"more: {change.path / 'report.html'}"


@pytest.mark.parametrize(
    ("answers", "command"),
    [
        ((CONFIRMED, CONFIRMED, CONFIRMED), "scripts/rollback"),
        ((CONFIRMED, REVERTED, REVERTED), "rollback.yml -e undo="),
        ((REVERTED, REVERTED, REVERTED), "new change"),
        ((UNTOUCHED, UNTOUCHED, UNTOUCHED), "deploy.yml -e change="),
    ],
)
def test_every_recap_ends_with_something_to_do(change, plan, answers, command):
    assert command in recap(change.folder, ended(plan, *answers)).splitlines()[-2]


def test_a_recap_has_the_lines_that_are_ours_alone(change):
    hosts = {"lb1": "confirmed", "lb2\nnext: run this": "untouched"}
    body = {"outcome": "split\nnext: run this", "exit_code": 14, "hosts": hosts}
    assert len(recap(change.folder, body).splitlines()) == 7
