import json

import pytest
from unit.change.build import Sample

from evenkeel.errors import Problems, Refused, RolledBack, UsageError
from evenkeel.remote import Answer
from evenkeel.verbs.host import act

LIVE = {"release": "a" * 64, "change": "first"}


class FakeTask:
    """A task over one host that gives the same answer to every verb."""

    def __init__(self, folder, answer, *, check=False, diff=False):
        self.folder, self.answer = folder, answer
        self.check_mode, self.diff_mode = check, diff
        self.asked = []
        self.shown = []

    def show(self, line):
        self.shown.append(line)

    def change_folder(self, args):
        return self.folder.path

    def on_host(self, task_vars, verb, options, stdin=b""):
        self.asked.append((verb, dict(options)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path).rendered().planned((1, 2))


def run(change, answer, verb, *, check=False, diff=False, **args):
    task = FakeTask(change.folder, answer, check=check, diff=diff)
    args = {"verb": verb, "change": change.change_id, "changes_dir": "-", **args}
    return task, lambda: act(task, args, {"inventory_hostname": "lb1"})


def good(**more):
    return Answer(0, {"ok": True, "changed": True, **more})


def bad(exit_code):
    return Answer(exit_code, {"ok": False, "error": {"what": "no"}})


def stage_result(change):
    return json.loads((change.folder.stage_results(1) / "lb1.json").read_text())


def test_a_playbook_registers_nothing_that_grows_with_the_servers_or_the_past_of_a_host(change):
    grown = {
        "servers": {"web": {f"web{number}": {} for number in range(1000)}},
        "snapshots": [{"name": "s"}] * 50,
        "generations": [{"change": "older"}] * 30 + [{"change": "first"}],
    }
    _, do = run(change, good(live=LIVE, pending=None, **grown), "status")
    said = {"ok": True, "changed": True, "live": LIVE, "pending": None}
    assert do()["host"] == {**said, "generations": [{"change": "first"}]}


def test_activation_sends_the_release_and_the_base_that_were_rendered(change):
    task, do = run(change, good(), "activate", stage=1, lease_seconds=30)
    assert do()["changed"]
    entry = change.folder.manifest()["hosts"]["lb1"]
    options = {"change": change.change_id, "lease_seconds": 30}
    options |= {"release": entry["release"], "base": entry["base"]}
    assert task.asked == [("activate", options)]


def test_what_a_host_answers_is_kept_beside_the_change(change):
    _, do = run(change, good(outcome="activated"), "activate", stage=1, lease_seconds=30)
    do()
    kept = json.loads((change.path / "hosts" / "lb1" / "activate.json").read_text())
    assert (kept["status"], kept["result"]["outcome"]) == ("ok", "activated")
    assert not change.folder.stage_results(1).exists()


def test_a_host_that_went_back_while_it_was_activated_fails_its_stage(change):
    _, do = run(change, bad(11), "activate", stage=1, lease_seconds=30)
    with pytest.raises(RolledBack):
        do()
    assert stage_result(change)["status"] == "failed"
    assert stage_result(change)["result"]["reverted"] is True


def test_no_host_of_the_first_stage_is_touched_when_the_first_one_is_held(tmp_path):
    change = Sample(tmp_path).rendered().planned((3,))
    said = {"outcome": "untouched", "error": {"what": "Change other holds this host"}}
    value = {"host": "lb1", "verb": "activate", "status": "failed", "result": said}
    change.folder.write_json("hosts/lb1/activate.json", value)
    task = FakeTask(change.folder, good())
    args = {"verb": "activate", "change": change.change_id, "stage": 1, "lease_seconds": 30}
    with pytest.raises(Refused, match="lb1 goes first"):
        act(task, {**args, "changes_dir": "-"}, {"inventory_hostname": "lb2"})
    assert task.asked == []
    assert (
        json.loads((change.folder.stage_results(1) / "lb2.json").read_text())["status"] == "failed"
    )


def test_a_host_that_falls_silent_while_it_is_activated_fails_its_stage_at_once(change):
    _, do = run(change, ConnectionError("gone"), "activate", stage=1, lease_seconds=30)
    with pytest.raises(ConnectionError):
        do()
    assert stage_result(change)["status"] == "failed"
    assert not (change.path / "hosts" / "lb1" / "activate.json").exists()


def test_a_change_that_moved_since_it_was_let_pass_reaches_no_host(change):
    task, do = run(change, good(), "prepare", digest="0" * 64)
    with pytest.raises(Refused, match="was modified after the deploy began"):
        do()
    assert task.asked == []


def test_a_host_that_the_change_was_not_rendered_for_is_refused(tmp_path):
    other = Sample(tmp_path, hosts=("lb2",)).rendered()
    task, do = run(other, good(), "prepare")
    with pytest.raises(Refused, match="holds nothing for this host"):
        do()
    assert task.asked == []


@pytest.mark.parametrize(
    ("verb", "args", "live", "would"),
    [
        ("activate", {"lease_seconds": 30, "stage": 1}, LIVE, True),
        ("activate", {"lease_seconds": 30, "stage": 1}, {"release": "rendered"}, False),
        ("rollback", {"undo": "first"}, LIVE, True),
        ("rollback", {"undo": "second"}, LIVE, False),
        ("rollback", {}, LIVE, True),
        ("snapshot", {"name": "friday"}, LIVE, True),
        ("confirm", {}, LIVE, False),
    ],
)
def test_in_check_mode_a_host_is_asked_for_its_status_alone(change, verb, args, live, would):
    if live["release"] == "rendered":
        live = {"release": change.folder.manifest()["hosts"]["lb1"]["release"]}
    status = good(
        live={**live, "adopted": True}, generations=[{"change": None}, {"change": "first"}]
    )
    task, do = run(change, status, verb, check=True, **args)
    assert do()["changed"] == would
    assert [asked for asked, _ in task.asked] == ["status"]
    assert not (change.path / "hosts").exists()


def test_the_difference_is_shown_without_secrets(tmp_path):
    config = b"frontend www\n    stats auth operator:corr3ct\n"
    change = Sample(tmp_path).rendered(config=config).planned((3,))
    _, do = run(change, good(), "activate", diff=True, stage=1, lease_seconds=30)
    (shown,) = do()["diff"]
    assert "stats auth [redacted]" in shown["after"]
    assert "backend app" in shown["before"]
    assert "corr3ct" not in json.dumps(shown)


@pytest.mark.parametrize("check", [True, False])
def test_the_way_back_is_shown_without_secrets(tmp_path, check):
    config = b"frontend www\n    stats auth operator:corr3ct\n"
    change = Sample(tmp_path).rendered(config=config).planned((3,))
    base = change.folder.manifest()["hosts"]["lb1"]["base"]
    name = change.change_id
    status = {"live": {"change": name}, "generations": [{"release": base}, {"change": name}]}
    said = good(to=base, **status)
    _, do = run(change, said, "rollback", check=check, diff=True, undo=name)
    (shown,) = do()["diff"]
    assert "stats auth [redacted]" in shown["before"]
    assert "backend app" in shown["after"]
    assert "corr3ct" not in json.dumps(shown)


@pytest.mark.parametrize("way", ["to_another_release", "no_folder", "damaged"])
def test_a_rollback_needs_nothing_of_what_it_shows(change, way):
    if way == "damaged":
        change.folder.manifest_json.write_text("{")
    elif way == "no_folder":
        change.folder.manifest_json.unlink()
    _, do = run(change, good(to="f" * 64), "rollback", diff=True, undo=change.change_id)
    result = do()
    assert result["changed"] and "diff" not in result


def test_an_answer_with_whole_configurations_is_not_for_the_log(change):
    _, do = run(change, good(files={}), "status", files=True)
    assert do()["_ansible_no_log"] is True
    _, do = run(change, good(), "status")
    assert "_ansible_no_log" not in do()


def test_a_host_that_cannot_go_back_does_not_keep_the_outcome_from_being_written(change):
    _, do = run(change, bad(12), "rollback", undo=change.change_id, tolerant=True)
    result = do()
    assert result["evenkeel"]["exit_code"] == 12
    assert (change.path / "hosts" / "lb1" / "rollback.json").exists()


WEB1 = {"pool": "web", "server": "web1"}
WHY = {"reason": "disk full", "owner": "ann"}
HAS_WEB1 = {"servers": {"web": {"web1": {}, "web2": {}}}}


def test_a_drain_takes_minutes_and_by_default_the_users_name(change, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    task, do = run(change, good(), "drain", **WEB1, reason="disk full", owner="", minutes="90")
    assert do()["changed"]
    options = {**WEB1, "reason": "disk full", "owner": "bob", "for_seconds": 5400}
    assert task.asked == [("drain", options)]


def test_a_drain_without_an_end_sends_none(change):
    task, do = run(change, good(), "drain", **WEB1, **WHY, minutes="")
    do()
    assert task.asked == [("drain", {**WEB1, **WHY})]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reason", ""),
        ("reason", "  "),
        ("reason", "x" * 201),
        ("reason", "a\nb"),
        ("owner", "ann smith"),
        ("minutes", "0"),
        ("minutes", "soon"),
        ("minutes", "-5"),
    ],
)
def test_a_drain_that_no_host_would_take_reaches_none(change, name, value):
    task, do = run(change, good(), "drain", **{**WEB1, **WHY, name: value})
    with pytest.raises(Problems, match="needs a reason and an owner") as refusal:
        do()
    assert [fault.path for fault in refusal.value.problems] == [name]
    assert task.asked == []


@pytest.mark.parametrize(
    ("verb", "drains", "would"),
    [
        ("drain", [], True),
        ("drain", [{**WEB1, **WHY, "until": None}], False),
        ("drain", [{**WEB1, **WHY, "until": "2026-12-01"}], True),
        ("drain", [{**WEB1, "reason": "", "owner": "", "until": None}], True),
        ("drain", [{**WEB1, **WHY, "server": "web2", "until": None}], True),
        ("undrain", [], False),
        ("undrain", [{**WEB1, **WHY, "until": None}], True),
    ],
)
def test_check_mode_says_whether_a_server_would_be_drained(change, verb, drains, would):
    status = good(drains=drains, **HAS_WEB1)
    task, do = run(change, status, verb, check=True, **WEB1, **(WHY if verb == "drain" else {}))
    assert do()["changed"] == would
    assert [asked for asked, _ in task.asked] == ["status"]


@pytest.mark.parametrize("verb", ["drain", "undrain"])
def test_check_mode_refuses_a_server_that_is_not_there(change, verb):
    _, do = run(change, good(**HAS_WEB1), verb, check=True, pool="web", server="web9", **WHY)
    with pytest.raises(Refused, match="no such server") as refusal:
        do()
    assert "web/web1, web/web2" in refusal.value.wanted


OLD, NOW = "a" * 64, "b" * 64
TAKEN_OVER = {
    "live": {"release": NOW, "change": "first", "confirmed": True, "adopted": True},
    "generations": [{"release": OLD, "change": None}, {"release": NOW, "change": "first"}],
    "snapshots": [
        {"name": "friday", "release": OLD, "pinned": True},
        {"name": "today", "release": NOW, "pinned": False},
    ],
    "running": {"agrees": True},
}
BY_HAND = {"live": {"release": OLD, "change": None, "confirmed": False, "adopted": False}}
WAITS = {**TAKEN_OVER, "pending": {"change": "second"}}


@pytest.mark.parametrize(
    ("verb", "args", "status", "would"),
    [
        ("rollback", {"to": "friday"}, TAKEN_OVER, True),
        ("rollback", {"to": OLD}, TAKEN_OVER, True),
        ("rollback", {"to": "today"}, TAKEN_OVER, False),
        ("rollback", {"to": "today"}, {**TAKEN_OVER, "drift": True}, True),
        ("rollback", {"to": "today"}, WAITS, True),
        ("rollback", {"undo": "second"}, WAITS, True),
        ("rollback", {"undo": "first"}, WAITS, False),
        ("snapshot", {"name": "monday"}, TAKEN_OVER, True),
        ("snapshot", {"name": "today"}, TAKEN_OVER, False),
        ("snapshot", {"name": "today", "pinned": "true"}, TAKEN_OVER, True),
        ("snapshot", {"name": "friday", "pinned": "false"}, TAKEN_OVER, True),
        ("snapshot", {"name": "today", "pinned": "false"}, TAKEN_OVER, False),
    ],
)
def test_check_mode_says_whether_a_host_would_go_back_or_keep_a_snapshot(
    change, verb, args, status, would
):
    _, do = run(change, good(**status), verb, check=True, **args)
    assert do()["changed"] == would


@pytest.mark.parametrize(
    ("verb", "args", "status", "words"),
    [
        ("rollback", {"to": "sunday"}, TAKEN_OVER, "no snapshot and no confirmed release"),
        ("rollback", {"to": "c" * 64}, TAKEN_OVER, "no snapshot and no confirmed release"),
        ("rollback", {"undo": ""}, BY_HAND, "nothing to go back to"),
        ("snapshot", {"name": "friday"}, TAKEN_OVER, "snapshot of this name already"),
        ("snapshot", {"name": "sunday", "pinned": "false"}, TAKEN_OVER, "no snapshot of this name"),
        ("snapshot", {"name": "monday"}, BY_HAND, "no release of this program"),
    ],
)
def test_check_mode_refuses_what_the_host_would_refuse(change, verb, args, status, words):
    _, do = run(change, good(**status), verb, check=True, **args)
    with pytest.raises(Refused, match=words) as refusal:
        do()
    assert refusal.value.where.startswith("lb1")


@pytest.mark.parametrize(
    ("pinned", "flag"),
    [("", {}), ("true", {"pinned": True}), (True, {"pinned": True}), ("False", {"unpin": True})],
)
def test_a_snapshot_is_pinned_or_unpinned_on_request(change, pinned, flag):
    task, do = run(change, good(), "snapshot", name="friday", pinned=pinned)
    do()
    assert task.asked == [("snapshot", {"name": "friday", **flag})]


def test_a_snapshot_that_is_neither_pinned_nor_not_is_refused(change):
    task, do = run(change, good(), "snapshot", name="friday", pinned="maybe")
    with pytest.raises(UsageError, match="pinned or it is not"):
        do()
    assert task.asked == []


def test_what_a_host_notes_beside_its_answer_is_shown(change):
    task, do = run(change, good(notes=["drained web/web1 again for ann"]), "confirm")
    do()
    assert task.shown == ["lb1: drained web/web1 again for ann"]
