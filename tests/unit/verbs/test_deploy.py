"""Stages and outcome are decided from the files that the answers left, and from nothing else."""

import pytest
from unit.change.build import Sample, result
from unit.verbs.tasks import FakeTask, close_stage, run

from evenkeel.canary import plan as plans
from evenkeel.canary.host_results import final_results
from evenkeel.errors import Refused, RolledBack
from evenkeel.verbs import deploy
from evenkeel.verbs.context import Context
from evenkeel.verbs.controller import act
from evenkeel.verbs.preconditions import problem_of_host

PASS = {"verdict": "pass"}


@pytest.fixture
def change(tmp_path):
    """A change whose deploy goes host by host, prepared on all of them."""
    sample = Sample(tmp_path).rendered().rehearsed().approved_without_signature()
    sample.planned((1, 1, 1))
    for host in sample.hosts:
        answered(sample, host, "prepare")
    return sample


def answered(sample, host, verb, status="ok", **answer):
    value = {"host": host, "verb": verb, "status": status, "result": answer}
    sample.folder.write_json(f"hosts/{host}/{verb}.json", value)


def stage_passed(sample, number):
    host = sample.hosts[number - 1]
    sample.closed(number, {**PASS, "hosts": {host: PASS}})


def require_hosts(sample, *alive):
    task = FakeTask(sample.path)
    return act(task, {"verb": "require_hosts"}, {"ansible_play_hosts": list(alive)})


def all_saw(sample, **others):
    rows = {"lb1": result("lb1")}
    rows |= {host: result(host, role="control") for host in ("lb2", "lb3")}
    rows |= others
    sample.saw(1, *(row for row in rows.values() if row))


def test_a_stage_passes_when_its_host_passed_and_every_other_host_is_there(change):
    all_saw(change)
    assert close_stage(change.folder, 1)["verdict"] == "pass"


@pytest.mark.parametrize(
    "silence", [None, result("lb3", role="control", status="failed", answer={"ok": False})]
)
def test_a_host_that_waits_for_its_own_stage_and_falls_silent_fails_the_stage(change, silence):
    all_saw(change, lb3=silence)
    with pytest.raises(RolledBack, match="lb3: it fell silent before its own stage"):
        close_stage(change.folder, 1)


def test_a_stage_does_not_begin_when_a_host_of_the_plan_did_not_take_the_release(change):
    answered(change, "lb3", "prepare", status="failed")
    with pytest.raises(Refused, match="Not every host took the release") as refusal:
        run(change.folder, "open_stage", stage=1)
    assert refusal.value.where == "lb3"


def test_a_stage_begins_without_what_an_earlier_attempt_saw(change):
    all_saw(change)
    run(change.folder, "open_stage", stage=1)
    assert not change.folder.stage_results(1).exists()


def test_a_silent_host_whose_stage_never_began_is_untouched(change):
    change.closed(1, {"verdict": "fail", "hosts": {"lb1": {"verdict": "fail"}}})
    answered(change, "lb1", "activate", outcome="activated")
    answered(change, "lb1", "rollback", outcome="reverted")
    run(change.folder, "outcome")
    body = outcome_of(change)
    assert body["hosts"] == {"lb1": "reverted", "lb2": "untouched", "lb3": "untouched"}
    assert body["exit_code"] == 11


def test_a_silent_host_whose_stage_may_have_begun_is_not_taken_for_untouched(change):
    stage_passed(change, 1)
    for verb in ("activate", "rollback"):
        answered(change, "lb1", verb, outcome="reverted")
    run(change.folder, "outcome")
    body = outcome_of(change)
    assert body["hosts"] == {"lb1": "reverted", "lb2": "failed", "lb3": "untouched"}
    assert body["exit_code"] == 12


def test_what_a_host_answered_counts_more_than_what_the_records_prove(change):
    answered(change, "lb3", "rollback", status="failed")
    found = final_results(change.folder, plans.load(change.folder))
    assert found["lb3"]["rollback"]["status"] == "failed"


def test_nothing_is_confirmed_while_a_host_is_silent(change):
    assert require_hosts(change, "lb1", "lb2", "lb3") == {"changed": False}
    with pytest.raises(Refused, match="none is confirmed"):
        require_hosts(change, "lb1", "lb3")


def test_a_host_on_which_another_change_was_faster_is_named_with_that_change(change):
    entry = {"base": "a" * 64, "release": "b" * 64}
    live = {"release": "c" * 64, "change": "other"}
    fault = problem_of_host("lb1", entry, {"live": live}, change.change_id)
    assert "of change other" in fault.got
    fault = problem_of_host("lb1", entry, {"pending": {"change": "other"}}, change.change_id)
    assert "change other holds it" in fault.got


def outcome_of(sample):
    from evenkeel.change.ledger import verify_chain

    return verify_chain(sample.folder).outcome.body


def test_a_stage_that_failed_is_in_the_report_before_its_hosts_went_back(change):
    all_saw(change, lb3=None)
    with pytest.raises(RolledBack):
        close_stage(change.folder, 1)
    assert "fell silent before its own stage" in (change.path / "report.html").read_text()


def test_closing_a_stage_judges_it_and_draws_nothing(change):
    all_saw(change)
    stage = {"number": 1, "leased": [], "hold_seconds": 0}
    task = FakeTask(change.path)
    deploy.close_stage(Context(task, {"verb": "close_stage", "stage": stage}, {}))
    assert change.folder.stage_json(1).exists()
    assert not (change.path / "report.html").exists()
