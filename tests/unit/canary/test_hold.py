"""A held stage goes on from its records and the hosts' own word, or it does not go on at all."""

from datetime import UTC, datetime

import pytest
from unit.change.build import Sample

from evenkeel.canary import hold as holds
from evenkeel.canary.host_results import final_results
from evenkeel.canary.plan import load
from evenkeel.canary.stage import require_passed, require_previous
from evenkeel.errors import Inconclusive, Problems, Refused
from evenkeel.records import read_record

NOW = datetime(2024, 6, 20, 13, 0, tzinfo=UTC)
UNCLEAR = {"verdict": "inconclusive", "reasons": ["too few requests"]}
RENEWED = {"status": "ok", "result": {"remaining_seconds": 900.0}}


@pytest.fixture
def change(tmp_path):
    made = Sample(tmp_path).rendered().rehearsed().approved_without_signature().planned((1, 2))
    return made.closed(1, {**UNCLEAR, "hosts": {"lb1": UNCLEAR}})


@pytest.fixture
def held(change):
    holds.hold(change.folder, 1, {"lb1": RENEWED}, ["lb1"], NOW)
    return change


def carrying(change, host="lb1", **more):
    release = change.folder.manifest()["hosts"][host]["release"]
    live = {"change": change.change_id, "release": release, "confirmed": False}
    pending = {"change": change.change_id, "phase": "activated", "remaining_seconds": 400.0}
    return {host: {"live": live, "pending": pending, "last": None} | more}


def resume(change, answers=None, start_at="2", *, write=True):
    answers = carrying(change) if answers is None else answers
    return holds.resume(change.folder, load(change.folder), start_at, answers, "eve", write=write)


def test_a_hold_is_on_record_with_its_end(held):
    record = holds.open_hold(held.folder)
    assert record.body["until"] == "2024-06-20T13:15:00Z"
    assert (
        record.previous
        == read_record(held.folder.stage_json(1), kind="canary", next_step="").sha256
    )


@pytest.mark.parametrize("answer", [{}, {"status": "failed", "result": {}}])
def test_a_stage_is_not_held_when_a_host_did_not_take_the_longer_lease(change, answer):
    with pytest.raises(Inconclusive, match="cannot be held") as error:
        holds.hold(change.folder, 1, {"lb1": answer}, ["lb1"], NOW)
    assert error.value.where == "lb1"
    assert holds.open_hold(change.folder) is None


@pytest.mark.parametrize(
    ("verdict", "may"),
    [("fail", False), ("pass", False), (None, False), ("inconclusive", True), ("no_data", True)],
)
def test_only_a_stage_without_a_clear_verdict_may_be_held(verdict, may):
    assert holds.may_be_held(verdict) is may


def test_nothing_goes_on_from_a_held_stage_before_a_person_says_so(held):
    with pytest.raises(Refused, match="Nothing goes on"):
        require_previous(held.folder, 2)
    assert resume(held) == 1
    assert require_previous(held.folder, 2)


def test_who_let_it_go_on_is_on_record(held):
    resume(held)
    record = read_record(holds.resume_path(held.folder, 1), kind="resume", next_step="")
    assert (record.body["person"], record.body["start_at"]) == ("eve", "2")
    assert list(record.body["hosts"]) == ["lb1"]
    assert (
        record.previous
        == read_record(holds.hold_path(held.folder, 1), kind="hold", next_step="").sha256
    )


def test_a_look_in_check_mode_lets_nothing_go_on(held):
    assert resume(held, write=False) == 1
    assert not holds.let_go_on(held.folder, 1)


def test_going_on_may_be_said_again_after_a_crash(held):
    resume(held)
    assert resume(held) == 1


GONE = {
    "change": "2024-06-20-two-more",
    "outcome": "reverted",
    "at": "13:15",
    "reason": "its lease",
}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"live": {"change": "older", "release": "0"}, "last": GONE}, "it went back at 13:15"),
        ({"live": {"change": "other", "release": "0"}}, "change other live"),
        ({"live": None}, "no answer"),
        ({"pending": None}, "it is going back"),
        (
            {"pending": {"change": "2024-06-20-two-more", "phase": "going back"}},
            "it is going back",
        ),
        (
            {"pending": {"change": "2024-06-20-two-more", "phase": "activated",
                         "remaining_seconds": 3.0}},
            "3 s of its lease left",
        ),
    ],
)  # fmt: skip
def test_a_person_who_comes_too_late_is_refused_and_told_what_became_of_the_host(
    held, state, words
):
    with pytest.raises(Problems, match=r"The hold of .* is over") as refused:
        resume(held, carrying(held, **state))
    assert words in str(refused.value)
    assert "2024-06-20T13:15:00Z" in refused.value.where
    assert not holds.let_go_on(held.folder, 1)


def test_a_host_that_does_not_answer_keeps_the_deploy_from_going_on(held):
    with pytest.raises(Problems, match="no answer"):
        resume(held, {})


def test_a_host_that_has_confirmed_the_change_needs_no_lease(held):
    answers = carrying(held, pending=None)
    answers["lb1"]["live"]["confirmed"] = True
    assert resume(held, answers) == 1


@pytest.mark.parametrize("start_at", ["1", "3", "confirm", "all", "-1"])
def test_a_held_deploy_goes_on_at_the_next_stage_and_nowhere_else(held, start_at):
    with pytest.raises(Refused, match="cannot go on at") as refused:
        resume(held, start_at=start_at)
    assert refused.value.wanted.startswith("2")


def test_a_deploy_that_is_not_held_has_nothing_to_go_on_from(change):
    with pytest.raises(Refused, match="cannot go on"):
        resume(change)


def test_after_the_last_stage_what_is_left_is_the_confirm(held):
    resume(held)
    held.closed(2, {**UNCLEAR, "hosts": {"lb2": UNCLEAR, "lb3": UNCLEAR}})
    hosts = ("lb1", "lb2", "lb3")
    holds.hold(held.folder, 2, dict.fromkeys(hosts, RENEWED), hosts, NOW)
    answers = {name: each[name] for name in hosts for each in [carrying(held, name)]}
    with pytest.raises(Refused):
        require_passed(held.folder, 2)
    assert resume(held, answers, "confirm") == 2
    assert require_passed(held.folder, 2)


def test_a_hold_of_an_earlier_attempt_at_the_stage_holds_nothing(held):
    held.closed(1, {**UNCLEAR, "hosts": {"lb1": UNCLEAR}, "attempt": 2})
    with pytest.raises(Refused, match="does not fit"):
        resume(held)


@pytest.mark.parametrize("which", [holds.hold_path, holds.resume_path])
def test_an_altered_record_lets_nothing_go_on(held, which):
    resume(held)
    path = which(held.folder, 1)
    path.write_text(path.read_text().replace('"stage":1', '"stage": 1'))
    with pytest.raises(Refused, match="altered"):
        require_previous(held.folder, 2)


def test_what_was_let_go_on_is_forgotten_when_the_stage_is_held_anew(held):
    resume(held)
    holds.hold(held.folder, 1, {"lb1": RENEWED}, ["lb1"], NOW)
    assert not holds.let_go_on(held.folder, 1)
    assert holds.open_hold(held.folder)


def test_a_silent_host_of_the_stage_after_a_hold_is_not_taken_for_untouched(held):
    plan = load(held.folder)
    assert final_results(held.folder, plan)["lb2"]
    resume(held)
    assert not final_results(held.folder, plan)["lb2"]
