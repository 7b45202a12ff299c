"""A host's life: verbs, crashes, power losses, reboots, clocks and hands, in any order.

After every step the invariants of docs/decisions/0011-what-is-never-violated.md are demanded, by
their numbers there. `python -m faults --steps N` lives at least N steps.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from unit.host.fakes import FIRST, INVALID, UNLOADABLE, Host, archive, digest

from evenkeel.host.state.store import Store
from evenkeel.host.system.steps import Steps
from faults.cases import OVER_SECONDS, POLICY
from faults.disk import Dead, Disk
from faults.invariants import NEXT, demand_idle, demand_next, demand_settled
from faults.kills import boot

# Some have the same pools and servers, so that only a proof of the worker tells them apart.
BYTES = tuple(
    b"web a\nweb %s\n%s" % (server, tuning)
    for server in (b"b", b"c", b"d")
    for tuning in (b"", b"one\n", b"two\n")
)
WEIGHED = st.one_of(st.sampled_from(BYTES), st.sampled_from([*BYTES, UNLOADABLE, INVALID]))
CHANGES = st.sampled_from(["c1", "c2", "c3"])
# Where a run is cut short: nowhere, or at the n-th thing it does; by a kill, or by a power loss
# that leaves the n-th of the possible trees.
FAULTS = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.sampled_from(["kill", "power"]), st.integers(1, 60), st.integers(0, 40)),
)
LIVED: Counter[str] = Counter()


class CutShort(Steps):
    """Ends the program at the n-th step or operation on the disk, before it happens."""

    def __init__(self, disk: Disk, at: int) -> None:
        self._disk, self._left = disk, at
        disk.before = lambda kind, path: self.count()

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            self._disk.dead = True
            raise Dead

    def run(self, name: str, action: Any) -> Any:
        if self._disk.dead:
            raise Dead
        self.count()
        return action()


class Life(RuleBasedStateMachine):
    """One host; its disk remembers what was not synced from one run to the next."""

    @initialize()
    def begin(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="evenkeel-life-")
        self.host = Host(Path(self._temporary.name))
        self.disk = Disk(self.host.folder, self.host.clock.wall)
        self.host.around = self.disk.watched
        self.known = {FIRST, NEXT, *BYTES}
        self.ran = {digest(FIRST)}
        # Times of files tell nothing any more.
        self.jumped = False
        self.numbers: dict[int, str] = {}
        # The release that a verb has said is confirmed, and its generation.
        self.promised: tuple[int, str] | None = None
        spawn = self.host.driver.spawn

        def spawned() -> None:
            spawn()
            self.ran.add(digest(self.host.driver.running()))

        self.host.driver.spawn = spawned

    def teardown(self) -> None:
        if hasattr(self, "_temporary"):
            self._temporary.cleanup()

    # The verbs.

    def run(self, fault: Any, *words: str, stdin: bytes = b"") -> tuple[int, dict[str, Any]] | None:
        """Run a verb; give None when it was cut short, after a boot when the power was lost."""
        LIVED[words[0]] += 1
        host, disk = self.host, self.disk
        if len(disk.operations) > 300:
            disk.settle()
        steps = CutShort(disk, fault[1]) if fault else Steps()
        try:
            ended = host.program(*words, stdin=stdin, steps=steps)
        except Dead:
            ended = None
        disk.dead = False
        disk.before = lambda kind, path: None
        if ended is None:
            LIVED[fault[0]] += 1
            if fault[0] == "power":
                self.lose_power(fault[2])
        self.look()
        return ended

    def lose_power(self, which: int) -> None:
        trees = list(self.disk.losses())
        self.disk.put(trees[which % len(trees)][1])
        self.boot()

    def boot(self) -> None:
        boot(self.host)
        pending = self.journal()["pending"]
        assert pending is None, "after a boot something is pending"  # 5

    @rule(change=CHANGES, data=WEIGHED, fault=FAULTS)
    def prepare(self, change: str, data: bytes, fault: Any) -> None:
        words = ("prepare", "--change", change, "--release", digest(data))
        self.run(fault, *words, stdin=archive(change, data))

    @rule(change=CHANGES, data=WEIGHED, lease=st.sampled_from(["60", "300"]), fault=FAULTS)
    def activate(self, change: str, data: bytes, lease: str, fault: Any) -> None:
        words = ("--change", change, "--release", digest(data))
        self.run(None, "prepare", *words, stdin=archive(change, data))
        ended = self.run(fault, "activate", *words, "--lease-seconds", lease)
        if ended and ended[0] == 0 and self.alive():
            assert self.host.live() == self.host.driver.running() == data

    @rule(change=CHANGES, fault=FAULTS)
    def confirm(self, change: str, fault: Any) -> None:
        ended = self.run(fault, "confirm", "--change", change)
        if ended and ended[0] == 0:
            self.promised = (ended[1]["generation"], ended[1]["release"])
            self.look()

    @rule(data=st.sampled_from(BYTES), fault=FAULTS)
    def deploy(self, data: bytes, fault: Any) -> None:
        self.activate("c4", data, "60", None)
        self.confirm("c4", fault)

    @rule(change=CHANGES, fault=FAULTS)
    def renew(self, change: str, fault: Any) -> None:
        self.run(fault, "renew", "--change", change, "--lease-seconds", "120")

    @rule(change=CHANGES, uneven=st.booleans(), fault=FAULTS)
    def observe(self, change: str, uneven: bool, fault: Any) -> None:
        if self.alive():
            self.host.driver.count({"a": 3000, "b": 0 if uneven else 3000})
        words = ("observe", "--change", change, "--seconds", "1", "--judge", "--revert-on-fail")
        self.run(fault, *words, stdin=POLICY)

    @rule(how=st.sampled_from(["", "undo", "snapshot", "release"]), data=st.data(), fault=FAULTS)
    def rollback(self, how: str, data: Any, fault: Any) -> None:
        more: tuple[str, ...] = ()
        if how == "undo":
            more = ("--undo", data.draw(CHANGES))
        elif how == "snapshot":
            more = ("--to", data.draw(st.sampled_from(["friday", "before-c1", "confirmed-c4"])))
        elif how == "release":
            more = ("--to", digest(data.draw(st.sampled_from(BYTES))))
        # Somebody asks for it, so nothing is promised any more.
        self.promised = None
        self.run(fault, "rollback", *more)

    @rule(fault=FAULTS)
    def snapshot(self, fault: Any) -> None:
        ended = self.run(fault, "snapshot", "--name", "friday")
        if ended and ended[0] == 0:
            assert self.store().snapshot_damage("friday") is None

    @rule(keep=st.integers(0, 3), fault=FAULTS)
    def prune(self, keep: int, fault: Any) -> None:
        self.run(fault, "prune", "--keep", str(keep), "--max-age-days", "1")

    @rule(end=st.sampled_from([(), ("--for-seconds", "600")]), fault=FAULTS)
    def drain(self, end: tuple[str, ...], fault: Any) -> None:
        why = ("--reason", "disk full", "--owner", "ann@example.com")
        self.run(fault, "drain", "--pool", "web", "--server", "a", *why, *end)

    @rule(fault=FAULTS)
    def undrain(self, fault: Any) -> None:
        self.run(fault, "undrain", "--pool", "web", "--server", "a")

    @rule(fault=FAULTS)
    def recover(self, fault: Any) -> None:
        self.run(fault, "recover")

    @rule(fault=FAULTS)
    def expire(self, fault: Any) -> None:
        self.run(fault, "expire")

    # The world.

    @precondition(lambda self: self.is_ours())
    @rule(hours=st.sampled_from([-1, 1]))
    def the_clock_jumps(self, hours: int) -> None:
        LIVED["clock jumps"] += 1
        self.host.program("status")
        self.host.clock.jumped += 3600 * hours
        self.jumped = True
        before = self.journal()["pending"]
        self.host.program("status")
        assert self.journal()["pending"] == before, "a jump of the clock ended a lease"
        self.look()

    @rule(fault=FAULTS)
    def no_sign_of_life_comes(self, fault: Any) -> None:
        LIVED["leases run out"] += 1
        self.host.clock.moved += OVER_SECONDS
        armed = list(self.host.units.armed)
        self.host.units.armed.clear()
        for _ in armed:
            self.run(fault, "expire")

    @rule()
    def days_pass(self) -> None:
        LIVED["days pass"] += 1
        self.host.clock.moved += 2 * 86400
        self.disk.settle()

    @rule()
    def the_machine_restarts(self) -> None:
        LIVED["reboots"] += 1
        self.boot()
        self.look()

    @rule(which=st.integers(0, 40))
    def the_power_is_lost(self, which: int) -> None:
        LIVED["power"] += 1
        self.lose_power(which)
        self.look()

    @rule(comes_back=st.booleans())
    def the_balancer_dies(self, comes_back: bool) -> None:
        LIVED["balancer dies"] += 1
        self.host.driver.die()
        if comes_back and self.host.live() not in (b"", UNLOADABLE):
            self.host.driver.spawn()
        self.look()

    @rule(server=st.sampled_from([b"x", b"y"]), in_place=st.booleans(), reload=st.booleans())
    def somebody_edits_the_live_file(self, server: bytes, in_place: bool, reload: bool) -> None:
        LIVED["edits"] += 1
        data = b"web a\nweb %s\n" % server
        native = self.host.driver.native
        if not in_place:
            native.unlink(missing_ok=True)
        elif native.is_symlink() and not self.copies().get(str(self.store().live_digest())):
            # It would take the only copy away; nobody can give that back.
            return
        elif not native.exists():
            return
        native.write_bytes(data)
        self.written_by_hand(native.resolve(), data)
        if reload:
            self.host.clock.moved += 1
            self.host.driver.spawn()
        self.promised = None
        self.look()

    @rule(which=st.integers(0, 20), snapshot=st.booleans(), gone=st.booleans())
    def a_copy_is_damaged(self, which: int, snapshot: bool, gone: bool) -> None:
        """One copy of a release that has another whole one, and is not what is read now."""
        store = self.store()
        whole = self.copies()
        for release in list(whole):
            if store.release_damage(release) is None:
                whole[release].insert(0, Path(store.release_dir(release), "fake.cfg"))
        live = self.host.driver.native.resolve()
        found = [
            place
            for places in whole.values()
            if len(places) > 1
            for place in (places[1:] if snapshot else places[:1])
            if place != live
        ]
        if not found:
            return
        LIVED["damages"] += 1
        place = found[which % len(found)]
        if gone:
            place.unlink()
            self.disk.settle()
        else:
            place.write_bytes(b"w" + place.read_bytes()[1:][::-1])
            self.disk.settle()

    def copies(self) -> dict[str, list[Path]]:
        """Give the whole copies in snapshots, by release."""
        store = self.store()
        whole: dict[str, list[Path]] = {}
        for name in store.snapshot_names():
            if store.snapshot_damage(name) is None:
                place = Path(store.snapshots, name, "files", "fake.cfg")
                whole.setdefault(store.snapshot(name)["release"], []).append(place)
        return whole

    def store(self) -> Store:
        """Give the store; made by this where there was none, and on the disk then."""
        new = not self.host.root.exists()
        store = self.host.machine("fake", Steps()).store
        if new:
            self.disk.settle()
        return store

    def written_by_hand(self, path: Path, data: bytes) -> None:
        self.disk._stamp(str(path))
        self.known.add(data)
        self.host.edits.add(data)
        self.disk.settle()

    @rule()
    def everything_is_settled(self) -> None:
        """Recover, let every lease run out: nothing unconfirmed stays (2, 5, 7, 8, 10)."""
        LIVED["settled"] += 1
        host = self.host
        if not self.alive():
            host.driver.spawn()
        host.must("recover")
        host.clock.moved += OVER_SECONDS
        host.must("expire")
        host.must("recover")
        if host.live() in host.edits:
            # Files that were not loaded since somebody wrote them are no business of ours.
            host.clock.moved += 1
            host.driver.spawn()
            host.must("recover")
        demand_settled(host, self.known, says_so=not self.jumped)
        demand_idle(host)
        self.look()

    @precondition(lambda self: self.is_ours())
    @rule()
    def the_next_change_goes_all_the_way(self) -> None:
        LIVED["next"] += 1
        self.everything_is_settled()
        self.promised = None
        demand_next(self.host)
        self.look()

    # What holds after every step.

    def alive(self) -> bool:
        return (self.host.folder / "process.json").exists()

    def is_ours(self) -> bool:
        """Taken over, and not edited: no time on a wall is needed to know what is loaded."""
        native = self.host.driver.native
        return native.is_symlink() and self.host.live() not in self.host.edits

    def journal(self) -> dict[str, Any]:
        path = self.host.root / "journal"
        if path.exists():
            found: dict[str, Any] = json.loads(path.read_bytes())
            return found
        return {"pending": None, "generations": [], "loaded": None}

    def look(self) -> None:
        """Demand what holds at every moment, a kill's included (1, 3, 4, 8, 9)."""
        LIVED["steps"] += 1
        host, journal = self.host, self.journal()
        assert host.live() in self.known | {UNLOADABLE}, "what is live is no whole release"  # 1
        if self.alive():
            assert host.driver.running() in self.known, "what runs was never whole"  # 1
        for generation in journal["generations"]:
            number, release = generation["number"], generation["release"]
            assert release in self.ran, "confirmed, and never ran"  # 3
            assert self.numbers.setdefault(number, release) == release, "a number came twice"  # 9
        order = [generation["number"] for generation in journal["generations"]]
        assert order == sorted(set(order)), "generations do not strictly increase"  # 9
        self._look_at_promise(journal)
        self._look_at_lease(journal)

    def _look_at_promise(self, journal: dict[str, Any]) -> None:
        if self.promised is None:
            return
        now = journal["generations"][-1]
        # A takeover of what a person made is the only other way that a generation is made.
        assert (now["number"], now["release"]) >= self.promised, "a confirmed release went"  # 4

    def _look_at_lease(self, journal: dict[str, Any]) -> None:
        pending = journal["pending"]
        if pending and pending["kind"] == "change" and pending["phase"] != "going back":
            flipped = digest(self.host.live()) == pending["release"] != pending["from"]
            assert not flipped or self.host.units.armed, "flipped without a timer"  # 5
