import signal

import pytest
from unit.change.build import Sample

from evenkeel.commands import watch
from evenkeel.errors import Refused


@pytest.fixture
def change(tmp_path):
    made = Sample(tmp_path / "changes").rendered().rehearsed().approved_without_signature()
    return made.planned((1, 2))


def words(change):
    return [change.change_id, f"--changes-dir={change.changes}"]


def end(change, code=11):
    verdict = {"verdict": "fail"}
    change.closed(1, {**verdict, "hosts": {"lb1": verdict}})
    change.ended({"outcome": "rolled_back", "exit_code": code, "hosts": {"lb1": "reverted"}})


def test_it_ends_with_the_deploy_and_its_exit_code_in_plain_lines(change, capsys, monkeypatch):
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: end(change))
    assert watch.main(words(change)) == 11
    said = capsys.readouterr().out
    assert said.splitlines()[0].endswith("not started")
    assert said.splitlines()[-2].endswith("rolled back (exit code 11)")
    assert "\x1b" not in said


def test_on_a_terminal_each_picture_takes_the_place_of_the_one_before(change, monkeypatch, capsys):
    monkeypatch.setattr(watch, "draws", lambda *_: True)
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: end(change))
    assert watch.main(words(change)) == 11
    second = capsys.readouterr().out.split("not started", 1)[1]
    assert "rolled back (exit code 11)" in second
    assert "\r\x1b[2K" in second, "the first picture is not erased"
    assert second.rindex("\x1b[?25h") > second.rindex("lb1  reverted"), "the cursor stays hidden"


def test_a_watch_that_is_stopped_shows_the_cursor_again(change, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(watch, "draws", lambda *_: True)
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: signal.raise_signal(signal.SIGTERM))
    try:
        with pytest.raises(SystemExit, match="143"):
            watch.main(words(change))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().out.endswith("\x1b[?25h")


def test_one_look_ends_well_whatever_it_sees(change):
    end(change)
    assert watch.main([*words(change), "--once"]) == 0


def test_a_folder_that_stays_damaged_is_told(change, monkeypatch):
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: None)
    change.folder.plan_json.write_text("nothing")
    with pytest.raises(Refused, match="damaged"):
        watch.main(words(change))


def test_a_folder_that_is_just_being_changed_is_looked_at_again(change, monkeypatch):
    plan = change.folder.plan_json.read_bytes()

    def mended(seconds):
        change.folder.plan_json.write_bytes(plan)
        end(change)

    change.folder.plan_json.write_text("nothing")
    monkeypatch.setattr(watch.time, "sleep", mended)
    assert watch.main(words(change)) == 11
