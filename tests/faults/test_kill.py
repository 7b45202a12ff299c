"""Killed before and after every step of every verb, a host is never stranded.

The steps are traced, so a new one is covered by itself; the cases are in tests/faults/cases.py,
what must hold in tests/faults/invariants.py. Here each step meets one moment and one of the four
endings (recover, left alone, run again, reboot) in turn; `python -m faults` lets it meet them all.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.host.fakes import FIRST, SECOND, Host, Recorded

from evenkeel.host import arguments
from evenkeel.host import main as program
from evenkeel.host.system.steps import Steps
from evenkeel.host.verbs import metrics
from faults import kills
from faults.cases import CASES, Case, ready
from faults.disk import Disk

# Verbs that change nothing, whatever they find.
ONLY_LOOK = {"facts"}
# The words in a lock say who holds it; nothing is decided by them, and the kernel drops the lock.
LOCKS = (".lock", "/lock")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_at_any_step_no_host_is_stranded(tmp_path: Path, case: Case) -> None:
    found = list(kills.inject(tmp_path, [case], in_turn=True))
    assert not [injection for injection in found if injection.outcome == kills.STRANDED]


@pytest.mark.parametrize(
    "name",
    ["activate the next change", "rollback to a damaged release"],
)
def test_killed_at_any_step_of_its_recovery_no_host_is_stranded(tmp_path: Path, name: str) -> None:
    case = next(case for case in CASES if case.name.startswith(name))
    cut = list(kills.interrupted(tmp_path / "cut", [case]))
    assert cut
    found = list(kills.inject(tmp_path / "again", cut, in_turn=True))
    assert found
    assert not [injection for injection in found if injection.outcome == kills.STRANDED]


def test_every_verb_that_changes_a_host_is_killed() -> None:
    covered = {case.verb for case in CASES}
    # `metrics` writes one file that nothing reads back; test_metrics_... below holds it.
    assert covered >= set(arguments.VERBS) - ONLY_LOOK - {"metrics"}


class Within(Steps):
    """Knows whether a step is being run."""

    def __init__(self) -> None:
        self.depth = 0

    def run(self, name: str, action):
        self.depth += 1
        try:
            return action()
        finally:
            self.depth -= 1


def escapes(host: Host, *words: str, stdin: bytes = b"") -> list[str]:
    """Run a verb and give every change that it made outside of a step."""
    steps, disk, found = Within(), Disk(host.folder, host.clock.wall), []

    def look(kind: str, path: str) -> None:
        if not steps.depth and kind != "fsync" and not path.endswith(LOCKS):
            found.append(f"{kind} {path}")

    def inside(name: str):
        whole = getattr(thing, name)

        def call(*arguments):
            if not steps.depth:
                found.append(f"{name} {arguments}")
            return whole(*arguments)

        return call

    disk.before = look
    host.around = disk.watched
    for thing, names in (
        (host.units, ("arm", "disarm", "start")),
        (host.driver, ("reload", "restore_runtime_state", "drain", "undrain")),
    ):
        for name in names:
            setattr(thing, name, inside(name))
    host.program(*words, stdin=stdin, steps=steps)
    # Whatever changed by another way than through the wrapped functions shows here.
    disk.demand_complete()
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_change_of_a_host_happens_outside_of_a_step(tmp_path: Path, case: Case) -> None:
    host = ready(tmp_path / "host", case)
    assert escapes(host, *case.words, stdin=case.stdin) == []


@pytest.mark.parametrize("failing", ["write", "rename", "mkdir", "symlink", "fsync"])
@pytest.mark.parametrize("name", ["activate the first change", "confirm", "prepare a new release"])
def test_what_is_cleared_away_after_a_fault_is_a_step_too(
    tmp_path: Path, name: str, failing: str
) -> None:
    case = next(case for case in CASES if case.name == name)
    for at in range(1, 9):
        host = ready(tmp_path / f"{at}", case)
        steps, disk, found, seen = Within(), Disk(host.folder, host.clock.wall), [], []

        def look(kind: str, path: str, at=at, steps=steps, found=found, seen=seen) -> None:
            if not steps.depth and kind != "fsync" and not path.endswith(LOCKS):
                found.append(f"{kind} {path}")
            seen.extend([kind] * (kind == failing))
            if kind == failing and len(seen) == at:
                raise OSError(5, "Input/output error", path)

        disk.before = look
        host.around = disk.watched
        host.program(*case.words, stdin=case.stdin, steps=steps)
        assert found == []


def test_metrics_change_nothing_outside_of_a_step(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = host.folder / "metrics" / "out"
    output = str(folder / "x.prom")
    monkeypatch.setattr(metrics, "FOLDERS", (str(folder),))
    monkeypatch.setattr(program, "_metrics", lambda machine, *_: metrics.metrics(machine, output))
    monkeypatch.setitem(program.VERBS, "metrics", program._metrics)
    host.deploy("c1", SECOND)
    assert escapes(host, "metrics") == []
    assert (folder / "x.prom").read_text() and folder.stat().st_mode & 0o777 == 0o755


def test_a_run_that_was_killed_leaves_its_name_in_the_lock_and_nobody_waits_for_it(
    host: Host,
) -> None:
    host.prepare("c1", SECOND)
    host.killed(*host.activate_words("c1", SECOND), at="timer: arm", moment="before")
    assert b'"verb": "activate"' in (host.root / "lock").read_bytes()
    steps = Recorded()
    assert host.program("recover", steps=steps)[0] == 0
    assert b'"verb"' not in (host.root / "lock").read_bytes()


def test_a_takeover_that_was_cut_short_can_be_run_again_without_a_recovery(
    tmp_path: Path,
) -> None:
    case = next(case for case in CASES if case.name == "activate the first change")
    host = ready(tmp_path / "host", case)
    host.killed(*case.words, at="live: rename", moment="after")
    assert host.live() == FIRST and not host.driver.native.is_symlink()
    code, answer = host.program(*case.words)
    assert code == 0, answer
    assert host.live() == host.driver.running() == SECOND
