"""What is kept: by count and by age, pinned for ever, and always what a host could go back to."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from unit.host.fakes import SECOND, THIRD, Host, digest

from evenkeel.host.state.machine import Machine
from evenkeel.host.system.steps import Steps

DAY = 86400


def later(host: Host, days: float) -> None:
    host.clock.moved += days * DAY


def names(host: Host) -> set[str]:
    return {str(snapshot["name"]) for snapshot in host.status()["snapshots"]}


def changes(host: Host) -> list[Any]:
    return [generation["change"] for generation in host.status()["generations"]]


def pinned(host: Host) -> dict[str, bool]:
    return {one["name"]: one["pinned"] for one in host.status()["snapshots"]}


def test_a_pinned_snapshot_is_never_pruned_not_by_age_either(host: Host) -> None:
    host.deploy("c1", SECOND)
    assert host.must("snapshot", "--name", "friday", "--pinned")["pinned"]
    host.must("snapshot", "--name", "monday")
    for number in range(4):
        host.deploy(f"d{number}", THIRD + b"web n%d\n" % number)
    later(host, 1000)
    assert "snapshot monday" in host.must("prune", "--max-age-days", "1", "--keep", "0")["removed"]
    assert "friday" in names(host) and pinned(host)["friday"]
    assert host.must("rollback", "--to", "friday")["to"] == digest(SECOND)
    assert host.driver.running() == SECOND


def test_a_snapshot_that_is_there_can_be_pinned_and_unpinned(host: Host) -> None:
    host.deploy("c1", SECOND)
    words = ("snapshot", "--name", "friday")
    host.must(*words)
    assert not pinned(host)["friday"]
    assert host.must(*words, "--pinned")["changed"]
    assert not host.must(*words, "--pinned")["changed"]
    assert host.must(*words)["pinned"] and pinned(host)["friday"]
    host.deploy("c2", THIRD)
    assert host.must(*words, "--unpin")["changed"]
    assert not host.must(*words, "--unpin")["changed"]
    later(host, 2)
    assert "snapshot friday" in host.must("prune", "--max-age-days", "1")["removed"]


def test_what_cannot_be_pinned_or_unpinned_is_refused(host: Host) -> None:
    host.deploy("c1", SECOND)
    code, answer = host.program("snapshot", "--name", "friday", "--unpin")
    assert code == 10 and "no snapshot of this name" in answer["error"]["what"]
    assert host.program("snapshot", "--name", "friday", "--pinned", "--unpin")[0] == 2
    host.must("snapshot", "--name", "friday")
    host.deploy("c2", THIRD)
    assert host.program("snapshot", "--name", "friday", "--pinned")[0] == 10
    assert not pinned(host)["friday"]


def test_prune_by_count_keeps_the_newest_so_many_and_never_fewer_than_two(host: Host) -> None:
    for number in range(6):
        host.deploy(f"c{number}", SECOND + b"web n%d\n" % number)
    later(host, 1)
    host.must("prune", "--keep", "4")
    assert changes(host) == ["c2", "c3", "c4", "c5"]
    host.must("prune", "--keep", "0")
    assert changes(host) == ["c4", "c5"]


def test_prune_by_age_keeps_what_is_young_and_what_a_rollback_would_go_to(host: Host) -> None:
    for number in range(4):
        later(host, 10)
        host.deploy(f"c{number}", SECOND + b"web n%d\n" % number)
    host.must("prune", "--max-age-days", "25")
    assert changes(host) == ["c1", "c2", "c3"]
    later(host, 1000)
    removed = host.must("prune", "--max-age-days", "1")["removed"]
    assert changes(host) == ["c2", "c3"]
    assert f"release {digest(SECOND + b'web n1' + bytes([10]))}" in removed
    assert host.must("rollback")["outcome"] == "rolled back"
    assert host.driver.running() == SECOND + b"web n2\n"


def test_a_generation_of_which_nobody_knows_the_age_is_kept(host: Host) -> None:
    for number in range(4):
        host.deploy(f"c{number}", SECOND + b"web n%d\n" % number)
    path = host.root / "journal"
    content = json.loads(path.read_bytes())
    for generation in content["generations"]:
        del generation["confirmed"]
    path.write_text(json.dumps(content))
    later(host, 1000)
    host.must("prune", "--max-age-days", "1")
    assert len(changes(host)) == 5


class Histories(RuleBasedStateMachine):
    """Random lives of a host; after every step, what it could need is there and whole."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.host = Host(Path(self._folder.name))
        self.count = 0
        self.pins: dict[str, str] = {}

    def teardown(self) -> None:
        self._folder.cleanup()

    def machine(self) -> Machine:
        return self.host.machine("fake", Steps())

    @rule(data=st.integers(0, 3), confirm=st.booleans())
    def deploy(self, data: int, confirm: bool) -> None:
        """A change of one of few releases, so that releases come back and are shared."""
        if self.machine().journal().pending is not None:
            return
        self.count += 1
        self.host.deploy(f"c{self.count}", SECOND + b"web n%d\n" % data, confirm)

    @rule(confirm=st.booleans())
    def decide(self, confirm: bool) -> None:
        pending = self.machine().journal().pending
        if pending is not None:
            words = ("confirm", "--change") if confirm else ("rollback", "--undo")
            self.host.program(*words, str(pending["change"]))

    @rule()
    def roll_back(self) -> None:
        wanted = self.target()
        if wanted is not None:
            answer = self.host.must("rollback")
            assert answer["to"] == wanted
            assert digest(self.host.driver.running()) == digest(self.host.live()) == wanted

    @rule(pin=st.booleans())
    def snapshot(self, pin: bool) -> None:
        self.count += 1
        name = f"s{self.count}"
        flags = ("--pinned",) if pin else ()
        code, answer = self.host.program("snapshot", "--name", name, *flags)
        if code == 0 and pin:
            self.pins[name] = str(answer["release"])

    @precondition(lambda self: self.pins)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.pins)))
        self.host.must("snapshot", "--name", name, "--unpin")
        del self.pins[name]

    @rule(days=st.sampled_from([0.0, 0.02, 0.05, 1.0, 40.0]))
    def wait(self, days: float) -> None:
        later(self.host, days)
        # As the timer does: what is pending by now went back.
        self.host.must("expire")

    @rule(keep=st.sampled_from(["0", "1", "2", "3", "9"]), days=st.sampled_from([None, "0", "30"]))
    def prune(self, keep: str, days: str | None) -> None:
        age = () if days is None else ("--max-age-days", days)
        wanted = self.target()
        self.host.must("prune", "--keep", keep, *age)
        self.host.must("prune", "--keep", keep, *age)
        assert self.target() == wanted

    def target(self) -> str | None:
        """Where `rollback` without a word leads, or None."""
        machine = self.machine()
        journal = machine.journal()
        if journal.pending is not None:
            return str(journal.pending["from"])
        return str(journal.generations[-2]["release"]) if len(journal.generations) > 1 else None

    @invariant()
    def what_could_be_needed_is_whole(self) -> None:
        machine = self.machine()
        journal, store = machine.journal(), machine.store
        needed = {str(generation["release"]) for generation in journal.generations}
        needed |= {str((journal.pending or {}).get(key)) for key in ("from", "release")}
        needed |= {str(store.live_digest()), str(self.target())} - {"None"}
        for release in needed - {"None"}:
            assert store.release_damage(release) is None, release
        for name, release in self.pins.items():
            assert store.snapshot_damage(name) is None and name in journal.pins
            assert store.snapshot(name)["release"] == release
            assert store.release_damage(release) is None
        assert sorted(self.pins) == sorted(journal.pins)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
