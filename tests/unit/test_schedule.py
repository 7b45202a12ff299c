import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from unit.change.build import Sample, make_key, public_key, result

from evenkeel.canary import hold as holds
from evenkeel.canary.plan import load
from evenkeel.canary.stage import judge
from evenkeel.change import approval, ledger
from evenkeel.commands.scheduled_deploy import LOCK, deploy_due, only_one
from evenkeel.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_ROLLBACK_FAILED,
    EXIT_ROLLED_BACK,
    Problems,
    Refused,
)
from evenkeel.records import Record, read_record, utc_now, write_record
from evenkeel.schedule.due import Settings, due
from evenkeel.schedule.runner import Ran, note

NOW = datetime.now(UTC)
SCHEDULED = {"scheduled": True}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("alice", "bob")}


@pytest.fixture
def signers(tmp_path, keys):
    path = tmp_path / "allowed_signers"
    path.write_text("".join(f"{name} {public_key(key)}\n" for name, key in keys.items()))
    return path


@pytest.fixture
def settings(tmp_path, signers):
    (tmp_path / "changes").mkdir()
    return Settings(changes=tmp_path / "changes", allowed_signers=signers)


@pytest.fixture
def make(settings, keys, signers):
    def make(name="nightly", about=SCHEDULED, *, approved=True):
        change = Sample(settings.changes, name, about=about).rendered().rehearsed()
        if approved:
            approval.approve(change.folder, "bob", keys["bob"], signers)
        return change

    return make


class Playbooks:
    """Stands in for ansible-runner: does to the folder what the playbooks would do."""

    def __init__(self, change, stages=("pass", "pass"), rollback="reverted", confirm=True):
        self.change, self.stages, self.rollback = change, stages, rollback
        self.confirm = confirm
        self.calls = []

    def __call__(self, call):
        self.calls.append(call)
        (call.artifacts / "artifacts" / call.ident).mkdir(parents=True)
        part = call.extra.get("evenkeel_stage")
        if call.playbook == "rollback":
            return self.take_back()
        if part == "confirm":
            return self.end("confirmed") if self.confirm else Ran("successful")
        return self.stage(int(part))

    @property
    def parts(self):
        return [call.ident for call in self.calls]

    def stage(self, number):
        change, verdict = self.change, self.stages[number - 1]
        if verdict == "refused":
            return Ran("failed", messages=["The fleet is not as it was\n  where: x"])
        if number == 1:
            change.planned(sizes=(1, 2))
        plan = load(change.folder)
        hosts = plan.stage(number).hosts
        for host in hosts:
            answer = {"host": host, "verb": "activate", "status": "ok", "result": {}}
            change.folder.write_json(f"hosts/{host}/activate.json", answer)
        if verdict == "killed":
            change.saw(number, result(hosts[0]))
            return Ran("timeout")
        if verdict != "silent":
            change.saw(number, *(result(host, verdict=verdict) for host in plan.hosts))
        chain = ledger.verify_chain(change.folder, ledger.CANARY, stage=number - 1)
        body = judge(change.folder, plan, number)
        record = Record(
            ledger.CANARY,
            change.change_id,
            chain.tip.digest,
            chain.tip.sha256,
            utc_now(),
            utc_now(),
            body,
            {},
        )
        write_record(change.folder.stage_json(number), record)
        # What Ansible thinks of it all is not to be trusted: it calls everything a success.
        return Ran("successful")

    def end(self, word):
        self.change.ended({"outcome": word, "exit_code": 0, "hosts": {"lb1": word}})
        return Ran("successful")

    def take_back(self):
        answers = {}
        for host in self.change.hosts:
            touched = (self.change.path / "hosts" / host).exists()
            said = self.rollback if touched else "untouched"
            status = "failed" if said == "failed" else "ok"
            answers[host] = {"status": status, "result": {"verb": "rollback", "outcome": said}}
        return Ran("successful", answers)


def run(settings, playbooks, now=None):
    return deploy_due(settings, playbooks, now or datetime.now(UTC))


def outcome_of(change):
    return json.loads(change.folder.outcome_json.read_text())["body"]


def test_a_due_change_goes_stage_by_stage_and_is_confirmed(settings, make):
    change = make()
    playbooks = Playbooks(change)
    assert run(settings, playbooks) == EXIT_OK
    assert playbooks.parts == ["nightly.stage-1.1", "nightly.stage-2.1", "nightly.confirm.1"]
    assert [call.extra["evenkeel_stage"] for call in playbooks.calls] == ["1", "2", "confirm"]
    assert all(call.artifacts == change.path / "runner" for call in playbooks.calls)


def test_nothing_is_asked_for_that_was_not_approved(settings, make):
    playbooks = Playbooks(make())
    run(settings, playbooks)
    assert {word for call in playbooks.calls for word in call.extra} == {"change", "evenkeel_stage"}


def test_nothing_due_is_no_problem(settings, capsys):
    assert run(settings, None) == EXIT_OK
    assert "nothing is due" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("fail", EXIT_ROLLED_BACK),
        ("inconclusive", EXIT_INCONCLUSIVE),
        ("no_data", EXIT_INCONCLUSIVE),
        ("silent", EXIT_ROLLED_BACK),
        ("killed", EXIT_ROLLED_BACK),
    ],
)
def test_a_stage_that_did_not_pass_ends_in_a_rollback_whatever_ansible_says(
    settings, make, verdict, code
):
    change = make()
    playbooks = Playbooks(change, stages=(verdict,))
    assert run(settings, playbooks) == code
    assert playbooks.parts == ["nightly.stage-1.1", "nightly.rollback.1"]
    assert playbooks.calls[-1].extra == {"undo": "nightly"}
    assert outcome_of(change)["hosts"] == {
        "lb1": "reverted",
        "lb2": "untouched",
        "lb3": "untouched",
    }
    assert (change.path / "report.html").exists()


class Holding(Playbooks):
    """Holds its first stage for `seconds`, as the playbooks of a change do that may be held."""

    seconds = 600.0

    def stage(self, number):
        ran = super().stage(number)
        renewed = {"lb1": {"status": "ok", "result": {"remaining_seconds": self.seconds}}}
        holds.hold(self.change.folder, number, renewed, ["lb1"], datetime.now(UTC))
        return ran


def test_a_held_change_is_left_to_a_person_and_not_taken_back(settings, make, capsys):
    change = make()
    playbooks = Holding(change, stages=("inconclusive",))
    assert run(settings, playbooks) == EXIT_INCONCLUSIVE
    assert playbooks.parts == ["nightly.stage-1.1"]
    assert not change.folder.outcome_json.exists()
    assert "nightly is held" in capsys.readouterr().out


def test_while_a_change_is_held_neither_it_nor_another_one_is_begun(settings, make, capsys):
    first, second = make("a-first"), make("b-second")
    run(settings, Holding(first, stages=("inconclusive",)))
    assert run(settings, None) == EXIT_OK
    said = capsys.readouterr().out
    assert "a-first waits: it was held until" in said
    assert "b-second waits: the hosts are held by a-first" in said
    assert not (second.path / "runner").exists()


@pytest.mark.parametrize("until", [None, 5, "soon", "2026-01-01T00:00:00", "\x1b[2J\nb-second"])
def test_a_hold_that_says_no_time_keeps_no_other_change_out(settings, make, capsys, until):
    first, second = make("a-first"), make("b-second")
    run(settings, Holding(first, stages=("inconclusive",)))
    path = holds.hold_path(first.folder, 1)
    record = read_record(path, kind=holds.HOLD_RECORD, next_step="")
    write_record(path, replace(record, body={**record.body, "until": until}))
    playbooks = Playbooks(second)
    assert run(settings, playbooks) == EXIT_REFUSED
    assert playbooks.parts[-1] == "b-second.confirm.1"
    assert "a-first is refused: The record of the hold cannot be read" in capsys.readouterr().out


def test_why_a_change_waits_is_one_line_without_what_moves_a_cursor(settings, make, capsys):
    about = {"change_id": "x\nb-second is due\x1b[2J", "not_before": "2999-01-01T00:00Z"}
    make("a-first", about={**SCHEDULED, **about}, approved=False)
    assert run(settings, None) == EXIT_OK
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_hold_that_nobody_decided_keeps_no_other_change_out(settings, make):
    first, second = make("a-first"), make("b-second")
    holding = Holding(first, stages=("inconclusive",))
    holding.seconds = 0.0
    run(settings, holding)
    playbooks = Playbooks(second)
    assert run(settings, playbooks) == EXIT_OK
    assert playbooks.parts[0] == "b-second.stage-1.1"


def test_a_later_stage_that_fails_takes_all_hosts_back(settings, make):
    change = make()
    playbooks = Playbooks(change, stages=("pass", "fail"))
    assert run(settings, playbooks) == EXIT_ROLLED_BACK
    assert set(outcome_of(change)["hosts"].values()) == {"reverted"}


def test_a_confirm_without_an_outcome_is_taken_back(settings, make):
    change = make()
    playbooks = Playbooks(change, confirm=False)
    assert run(settings, playbooks) == EXIT_ROLLED_BACK
    assert playbooks.parts[-2:] == ["nightly.confirm.1", "nightly.rollback.1"]


def test_a_host_that_cannot_go_back_has_its_own_exit_code(settings, make):
    change = make()
    assert run(settings, Playbooks(change, ("fail",), "failed")) == EXIT_ROLLBACK_FAILED
    assert outcome_of(change)["hosts"]["lb1"] == "failed"


def test_a_decided_change_is_not_due_again(settings, make):
    change = make()
    run(settings, Playbooks(change, stages=("fail",)))
    playbooks = Playbooks(change)
    assert run(settings, playbooks) == EXIT_OK
    assert playbooks.calls == []


def test_an_interrupted_change_begins_anew_under_another_ident(settings, make):
    change = make()

    def killed(call):
        Playbooks(change)(call)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, killed)
    playbooks = Playbooks(change)
    assert run(settings, playbooks) == EXIT_OK
    assert playbooks.parts[0] == "nightly.stage-1.2"


def test_the_record_of_an_interrupted_attempt_lets_nothing_pass(settings, make):
    change = make()
    with pytest.raises(KeyboardInterrupt):
        run(settings, _then_interrupt(Playbooks(change)))
    playbooks = Playbooks(change, stages=("refused",))
    assert run(settings, playbooks) == EXIT_ROLLED_BACK
    assert playbooks.parts == ["nightly.stage-1.2", "nightly.rollback.2"]


def _then_interrupt(playbooks):
    def call(what):
        playbooks(what)
        raise KeyboardInterrupt

    return call


def test_a_change_that_is_kept_out_waits_and_goes_when_it_may(settings, make):
    change = make()
    for _ in range(5):
        with pytest.raises(Refused, match=r"kept out before any host was touched[\s\S]*as it was"):
            run(settings, Playbooks(change, stages=("refused",)))
    kept = [path.name for path in (change.path / "runner" / "artifacts").iterdir()]
    assert kept == ["nightly.kept-out"]
    playbooks = Playbooks(change)
    assert run(settings, playbooks) == EXIT_OK
    assert playbooks.parts[0] == "nightly.stage-1.1"


def test_a_change_that_may_have_reached_hosts_is_tried_three_times_at_most(settings, make):
    change = make()
    for number in (1, 2, 3):
        (change.path / "runner" / "artifacts" / f"nightly.stage-1.{number}").mkdir(parents=True)
    playbooks = Playbooks(change)
    with pytest.raises(Refused, match="tried 3 times"):
        run(settings, playbooks)
    assert playbooks.calls == []


def test_after_one_that_did_not_end_confirmed_the_next_is_not_begun(settings, make):
    first, second = make("a-first"), make("b-second")
    assert run(settings, Playbooks(first, stages=("fail",))) == EXIT_ROLLED_BACK
    assert not (second.path / "runner").exists()


def test_a_freeze_keeps_a_due_change_out_and_nothing_else(settings, make):
    freeze = {"from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "reason": "inventory"}
    frozen = Settings(**{**vars(settings), "freeze_windows": [freeze]})
    assert run(frozen, None) == EXIT_OK
    playbooks = Playbooks(make())
    with pytest.raises(Refused, match="frozen: inventory"):
        run(frozen, playbooks)
    assert playbooks.calls == []


def test_a_freeze_that_cannot_be_read_keeps_everything_out(settings, make):
    make()
    broken = Settings(**{**vars(settings), "freeze_windows": [{"from": "soon", "to": "later"}]})
    with pytest.raises(Problems):
        run(broken, None)


def names(found):
    return [folder.change_id for folder in found.ready]


def test_a_change_is_due_when_it_is_scheduled_or_named_by_the_inventory(settings, make):
    make("a-scheduled")
    make("b-by-hand", about={})
    make("c-named", about={})
    named = Settings(**{**vars(settings), "scheduled_changes": ["c-named"]})
    assert names(due(named, NOW)) == ["a-scheduled", "c-named"]


@pytest.mark.parametrize(
    ("window", "ready"),
    [
        ({"not_before": "2024-01-01T00:00:00Z"}, True),
        ({"not_before": "2999-01-01T00:00:00Z"}, False),
        ({"not_after": "2999-01-01T00:00:00Z"}, True),
        ({"not_after": "2024-01-01T00:00:00Z"}, False),
        ({"not_before": "2024-01-01T00:00:00Z", "not_after": "2999-01-01T00:00:00Z"}, True),
    ],
)
def test_a_change_is_due_inside_its_window_only(settings, make, window, ready):
    make(about=SCHEDULED | window)
    found = due(settings, NOW)
    assert bool(found.ready) is ready
    assert bool(found.waiting) is not ready


def test_the_oldest_due_change_goes_first(settings, make):
    make("a-late", about=SCHEDULED | {"not_before": "2024-03-01T00:00:00Z"})
    make("b-early", about=SCHEDULED | {"not_before": "2024-02-01T00:00:00Z"})
    assert names(due(settings, NOW)) == ["b-early", "a-late"]


def test_an_unapproved_change_waits_and_is_no_problem(settings, make, capsys):
    make(approved=False)
    assert run(settings, None) == EXIT_OK
    assert "nightly waits: it is not approved yet" in capsys.readouterr().out


def test_an_altered_change_is_refused_by_name_and_never_run(settings, make, capsys):
    change = make()
    (change.path / "bundle/lb1/haproxy.cfg").write_bytes(b"listen x")
    assert run(settings, None) == EXIT_REFUSED
    assert "bundle/lb1/haproxy.cfg" in capsys.readouterr().out


def test_a_schedule_that_was_moved_after_the_approval_is_refused(settings, make):
    change = make(about=SCHEDULED | {"not_before": "2999-01-01T00:00:00Z"})
    about = json.loads((change.path / "change.json").read_text())
    change.folder.write_json("change.json", about | {"not_before": ""})
    assert list(due(settings, NOW).refused) == ["nightly"]


def test_a_damaged_change_does_not_keep_the_others_from_running(settings, make):
    make("a-damaged")
    (settings.changes / "a-damaged" / "change.json").write_text("garbage")
    make("b-good")
    found = due(settings, NOW)
    assert names(found) == ["b-good"]
    assert list(found.refused) == ["a-damaged"]


def test_two_runs_never_overlap_and_a_killed_one_leaves_no_lock(tmp_path):
    hold = (
        "import sys, pathlib; from evenkeel.commands.scheduled_deploy import only_one\n"
        "with only_one(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    path = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, env=path, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="Another scheduled deploy"), only_one(tmp_path):
            raise AssertionError
        other.kill()
        other.wait(timeout=10)
    with only_one(tmp_path):
        pass


def test_the_lock_follows_no_link_that_lies_in_its_place(tmp_path):
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="lock"), only_one(tmp_path / "changes"):
        raise AssertionError
    assert not (tmp_path / "elsewhere").exists()


def event(kind, name, **res):
    return {"event": f"runner_on_{kind}", "event_data": {"host": name, "res": res}}


def test_the_last_answer_of_each_host_is_kept():
    ran = Ran("")
    note(ran, event("ok", "lb1", host={"verb": "status"}))
    note(ran, event("ok", "lb1", host={"verb": "rollback", "outcome": "reverted"}))
    note(ran, event("ok", "lb1", changed=True))
    note(ran, event("unreachable", "lb2", msg="timeout"))
    note(ran, event("failed", "lb3", msg="No\n  why", evenkeel={"what": "No", "exit_code": 12}))
    assert ran.answers["lb1"]["result"]["outcome"] == "reverted"
    assert ran.answers["lb2"]["status"] == "unreachable"
    assert ran.answers["lb3"] == {
        "status": "failed",
        "result": {"error": {"what": "No", "exit_code": 12}},
    }
    assert ran.messages == ["No\n  why"]


def test_events_without_data_are_passed_over():
    ran = Ran("")
    for strange in ({}, {"event": "runner_on_ok"}, {"event": "verbose", "event_data": None}):
        note(ran, strange)
    assert ran.answers == {}
