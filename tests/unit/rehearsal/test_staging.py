import json
import subprocess
import sys

import pytest
from unit.rehearsal.measured import counts, measured, reloads, world_of

from evenkeel.errors import EvenkeelError, Refused
from evenkeel.rehearsal import staging, verifier
from evenkeel.rehearsal.bundles import Bundle, Settings
from evenkeel.rehearsal.checks import verdicts

BUNDLE = Bundle("b1", "1" * 64, "b" * 64, "lb1", ("lb1", "lb2"), ())
EVEN = counts(100, 100, 100)
JUNIT = """<testsuites><testsuite>{cases}</testsuite></testsuites>"""
CASE = '<testcase classname="tests.{file}" name="{name}[{bundle}]">{inner}</testcase>'


def case(name, inner="", file="test_container", bundle="b1"):
    return CASE.format(name=name, inner=inner, file=file, bundle=bundle)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(verifier.names, "state_folder", lambda name: tmp_path / "state")
    (tmp_path / "state").mkdir()
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def leave(results, after, cases=None, **parts):
    world = world_of()
    found = {"world": world, "measured": measured(world, EVEN, after), "reloads": reloads()} | parts
    for what, value in found.items():
        if value is not None:
            (results / f"b1.{what}.json").write_text(json.dumps(value))
    (results / "verify.xml").write_text(
        JUNIT.format(cases="".join([case("test_bytes")] if cases is None else cases))
    )


def test_a_good_bundle_passes_with_its_effect(results):
    leave(results, EVEN)
    (one,), versions = staging._read_and_judge([BUNDLE], results, 0)
    assert verdicts.verdict_of(one["checks"]) == "pass"
    assert one["hosts"] == ["lb1", "lb2"]
    assert one["effect"]["web"]["servers"]["web1"]["after"] == 0.33333
    assert versions == {"haproxy": "2.6"}


def test_a_bundle_that_fails_is_a_result_with_reasons_and_no_error(results):
    leave(results, counts(150, 150))
    (one,), _ = staging._read_and_judge([BUNDLE], results, 1)
    assert verdicts.verdict_of(one["checks"]) == "fail"
    reasons = [reason for check in one["checks"] for reason in check["reasons"]]
    assert any("server web3 of pool web got no request" in reason for reason in reasons)


@pytest.mark.parametrize("missing", ["world", "measured", "reloads"])
def test_a_container_that_measured_nothing_is_trouble_and_never_a_pass(results, missing):
    leave(results, EVEN, **{missing: None})
    with pytest.raises(EvenkeelError, match="came to no verdict"):
        staging._read_and_judge([BUNDLE], results, 1)


def test_a_verification_that_did_not_run_is_trouble(results):
    leave(results, EVEN, cases=())
    with pytest.raises(EvenkeelError, match="came to no verdict"):
        staging._read_and_judge([BUNDLE], results, 0)


def test_a_tool_that_failed_though_every_check_passed_is_trouble(results):
    leave(results, EVEN)
    with pytest.raises(EvenkeelError, match="came to no verdict"):
        staging._read_and_judge([BUNDLE], results, 2)


def test_a_container_that_is_not_what_it_claims_to_be_fails(results):
    broken = case("test_no_network", '<failure message="eth0 is there">long</failure>')
    leave(results, EVEN, cases=(case("test_bytes"), broken))
    (one,), _ = staging._read_and_judge([BUNDLE], results, 1)
    check = one["checks"][-1]
    assert (check["verdict"], check["reasons"]) == ("fail", ["no network: eth0 is there"])


def test_trouble_names_what_the_program_said_and_keeps_the_log(results, tmp_path):
    log = "TASK [x]\nfatal: [b1]: FAILED!\n    rc: 1\n    stderr: 'converge: no driver'\n"
    (results / "molecule.log").write_text(log)
    error = verifier.trouble(results)
    assert error.got == "converge: no driver"
    assert (tmp_path / "state" / "staging.log").read_text() == log


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("  stderr: |-\n  Traceback\n  OSError: gone\n  stderr_lines: <omitted>", "OSError: gone"),
        ("INFO x\nCRITICAL Ansible return code was 4", "Ansible return code was 4"),
        ("podman: not found", "podman: not found"),
        ("", ""),
    ],
)
def test_finds_the_line_that_says_what_went_wrong(log, said):
    assert verifier.said_last(log) == said


def test_a_second_rehearsal_of_the_same_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENKEEL_LAB", "unit")
    with (
        staging._locked(tmp_path),
        pytest.raises(Refused, match="Another rehearsal"),
        staging._locked(tmp_path),
    ):
        pass


def test_progress_follows_the_steps_and_the_exit_code_comes_back(tmp_path, monkeypatch):
    steps = "".join(f"print('INFO     [staging > {step}] Executing');" for step in staging._SAYS)
    words = [sys.executable, "-c", f"{steps}raise SystemExit(3)"]
    started = staging._started
    monkeypatch.setattr(staging, "_started", lambda _, *rest: started(words, *rest))
    monkeypatch.setenv(staging._IMAGE, "image")
    monkeypatch.setenv("EVENKEEL_LAB", "unit")
    settings = Settings(tmp_path, tmp_path / "results", tmp_path, None)
    said = []
    with staging._locked(tmp_path) as lock:
        code, seconds = staging._molecule(settings, tmp_path / "run", tmp_path, said.append, lock)
    assert code == 3
    assert said == [f"staging: {text}" for text in staging._SAYS.values()]
    assert list(seconds) == list(staging._SAYS)


def test_what_a_killed_run_left_running_keeps_the_lock_until_it_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENKEEL_LAB", "unit")
    with staging._locked(tmp_path) as lock:
        words = [sys.executable, "-c", "input()"]
        left = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=(lock,))
    with pytest.raises(Refused, match="Another rehearsal"), staging._locked(tmp_path):
        pass
    left.communicate(b"\n", timeout=30)
    with staging._locked(tmp_path):
        pass


def test_what_a_container_prints_reaches_no_terminal_as_it_is():
    said = {"reasons": ["\x1b]0;gone\x07 \u202eback", "x" * 9000], "n\x1b[2J": 3}
    found = verifier.plain(said)
    assert found["reasons"][0] == "?]0;gone? ?back"
    assert len(found["reasons"][1]) == 4000
    assert found["n?[2J"] == 3
