"""Every verb that changes a host, in every state where it does something different."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unit.host.fakes import FIRST, SECOND, THIRD, UNLOADABLE, Host, archive, digest

from faults.disk import Disk

# The same pools and servers as SECOND: only its bytes tell it from that.
TUNED = SECOND + b"timeout\n"
JUDGE = {
    "alpha": 0.01,
    "tolerance": 0.3,
    "minimum_requests": 200,
    "error_budget_percent": 1.0,
    "minimum_active_servers": 1,
    "pools": {"web": {"required": True, "judged": "share"}},
    "default_required": False,
}
OVER_SECONDS = 1000
DAY_SECONDS = 86400

Arrange = Callable[[Host], Any]


@dataclass(frozen=True)
class Case:
    """A verb in a state. `again` is what a person would run after a kill; empty when nothing."""

    name: str
    arrange: Arrange
    words: tuple[str, ...]
    stdin: bytes = b""
    codes: tuple[int, ...] = (0,)
    again: tuple[str, ...] | None = None

    @property
    def verb(self) -> str:
        return self.words[0]

    def repeated(self) -> tuple[str, ...]:
        return self.words if self.again is None else self.again


def ready(folder: Path, case: Case) -> Host:
    """Give a new host in the state of `case`."""
    folder.mkdir(parents=True)
    host = Host(folder)
    host.around = lambda: Disk(folder, host.clock.wall).watched()
    case.arrange(host)
    return host


def every(*parts: Arrange) -> Arrange:
    def arrange(host: Host) -> None:
        for part in parts:
            part(host)

    return arrange


def nothing(host: Host) -> None:
    """A host that was never taken over."""


def deployed(change: str, data: bytes, confirm: bool = True) -> Arrange:
    return lambda host: host.deploy(change, data, confirm)


def prepared(change: str, data: bytes) -> Arrange:
    return lambda host: host.prepare(change, data)


def later(seconds: float) -> Arrange:
    def arrange(host: Host) -> None:
        host.clock.moved += seconds

    return arrange


def said(*words: str) -> Arrange:
    return lambda host: host.must(*words)


def by_hand(host: Host, path: Path, data: bytes) -> None:
    """Write a file past the program, at the host's own time."""
    path.write_bytes(data)
    os.utime(path, (host.clock.wall(), host.clock.wall()))


def damaged(data: bytes) -> Arrange:
    """One byte of a release is not what it was; its snapshots are."""

    def arrange(host: Host) -> None:
        by_hand(host, host.root / "releases" / digest(data) / "fake.cfg", b"W" + data[1:])

    return arrange


def gone(data: bytes) -> Arrange:
    """The file of a release is missing; its snapshots are whole."""
    return lambda host: (host.root / "releases" / digest(data) / "fake.cfg").unlink()


def edited(data: bytes) -> Arrange:
    """Somebody put another file in place of the symlink, and reloaded."""

    def arrange(host: Host) -> None:
        host.driver.native.unlink()
        by_hand(host, host.driver.native, data)
        host.clock.moved += 1
        host.driver.spawn()
        host.edits.add(data)

    return arrange


def killed(words: tuple[str, ...], step: str, moment: str = "after", stdin: bytes = b"") -> Arrange:
    """A run of `words` was killed at the step of that name."""
    return lambda host: host.killed(*words, at=step, moment=moment, stdin=stdin)


def traffic(**each_second: int) -> Arrange:
    """While the program waits, servers get these requests."""

    def arrange(host: Host) -> None:
        plain = type(host.clock).sleep

        def sleep(seconds: float) -> None:
            plain(host.clock, seconds)
            host.driver.count(each_second)

        host.clock.sleep = sleep

    return arrange


def aged(host: Host) -> None:
    """Everything in the store is older than what pruning spares."""
    host.clock.moved += 2 * DAY_SECONDS
    then = host.clock.wall() - 2 * DAY_SECONDS
    for folder, names, files in os.walk(host.root):
        for name in [*names, *files]:
            os.utime(Path(folder, name), (then, then), follow_symlinks=False)


def litter(host: Host) -> None:
    """What killed runs leave behind, and a file that nobody knows."""
    for folder in (host.root, host.root / "releases", host.root / "snapshots"):
        (folder / ".evenkeel-tmp-x-1-00").mkdir()
        (folder / ".evenkeel-tmp-x-1-00" / "half").write_bytes(b"half")
    (host.root / ".evenkeel-tmp-journal-1-00").write_bytes(b"{")
    (host.driver.native.parent / ".evenkeel-tmp-fake.cfg-1-00").symlink_to("nowhere")


def switch(change: str, data: bytes, lease: int = 60) -> tuple[str, ...]:
    release = ("--change", change, "--release", digest(data))
    return ("activate", *release, "--lease-seconds", str(lease))


def prepare(change: str, data: bytes) -> tuple[str, ...]:
    return ("prepare", "--change", change, "--release", digest(data))


C1 = deployed("c1", SECOND)
C2 = deployed("c2", THIRD)
C2_PENDING = deployed("c2", THIRD, confirm=False)
PENDING = every(C1, C2_PENDING)
CONFIRM = ("confirm", "--change", "c2")
RENEW = ("renew", "--change", "c2", "--lease-seconds", "300")
UNDO = ("rollback", "--undo", "c2")
OBSERVE = ("observe", "--change", "c2", "--seconds", "9", "--judge", "--revert-on-fail")
POLICY = json.dumps(JUDGE).encode()
SERVER_B = ("--pool", "web", "--server", "b")
DRAIN = ("drain", *SERVER_B, "--reason", "disk full", "--owner", "ann@example.com")
UNEVEN = traffic(a=300, d=0)

PREPARES = (
    Case("prepare a new release", nothing, prepare("c1", SECOND), archive("c1", SECOND)),
    Case(
        "prepare a release that is there",
        every(C1, prepared("c2", THIRD)),
        prepare("c2", THIRD),
        archive("c2", THIRD),
    ),
    Case(
        "prepare a release that is damaged",
        every(C1, prepared("c2", THIRD), damaged(THIRD)),
        prepare("c2", THIRD),
        archive("c2", THIRD),
    ),
    Case(
        "prepare when a lease is over",
        every(PENDING, later(OVER_SECONDS)),
        prepare("c3", TUNED),
        archive("c3", TUNED),
    ),
)
ACTIVATES = (
    Case("activate the first change", prepared("c1", SECOND), switch("c1", SECOND)),
    Case("activate the bytes that are live", prepared("c1", FIRST), switch("c1", FIRST)),
    Case("activate the next change", every(C1, prepared("c2", THIRD)), switch("c2", THIRD)),
    Case(
        "activate a change with the same servers",
        every(C1, prepared("c2", TUNED)),
        switch("c2", TUNED),
    ),
    Case("activate a change that is active", PENDING, switch("c2", THIRD)),
    *(
        Case(
            f"activate again after a kill at {step}",
            every(C1, prepared("c2", THIRD), killed(switch("c2", THIRD), step)),
            switch("c2", THIRD),
        )
        for step in ("journal started: rename", "live: rename", "balancer: reload")
    ),
    Case(
        "activate over an edit by hand",
        every(C1, edited(SECOND + b"web z\n"), prepared("c2", THIRD)),
        switch("c2", THIRD),
    ),
    Case(
        "activate a release that cannot be loaded",
        every(C1, prepared("c2", UNLOADABLE)),
        switch("c2", UNLOADABLE),
        codes=(11,),
        again=(),
    ),
    Case(
        "activate when the lease of another change is over",
        every(PENDING, later(OVER_SECONDS), prepared("c3", TUNED)),
        switch("c3", TUNED),
    ),
)
SIGNS_OF_LIFE = (
    Case("confirm", PENDING, CONFIRM),
    Case("confirm the first change", deployed("c2", THIRD, confirm=False), CONFIRM),
    Case("confirm and tidy", every(C1, deployed("x", TUNED), aged, C2_PENDING), CONFIRM),
    Case("renew", PENDING, RENEW),
    Case(
        "renew with a shorter lease",
        PENDING,
        ("renew", "--change", "c2", "--lease-seconds", "20"),
    ),
)
BACK = (
    Case("rollback of a pending change", PENDING, ("rollback",), again=UNDO),
    Case("rollback of a generation", every(C1, C2), UNDO),
    Case(
        "rollback to a snapshot",
        every(C1, said("snapshot", "--name", "friday"), C2),
        ("rollback", "--to", "friday"),
    ),
    Case("rollback to a release", every(C1, C2), ("rollback", "--to", digest(FIRST))),
    Case("rollback to a damaged release", every(C1, C2, damaged(SECOND)), UNDO),
    Case("rollback with the same servers", every(C1, deployed("c2", TUNED)), UNDO),
    Case("rollback of an edit by hand", every(C1, C2, edited(TUNED)), UNDO),
    Case("expire a lease that is over", every(PENDING, later(OVER_SECONDS)), ("expire",)),
    Case(
        "expire a lease that was renewed",
        every(PENDING, later(30), said(*RENEW)),
        ("expire",),
    ),
    Case(
        "observe a spread that is uneven",
        every(PENDING, UNEVEN),
        OBSERVE,
        POLICY,
        codes=(11,),
        again=(),
    ),
    Case("observe a spread that is even", every(PENDING, traffic(a=300, d=300)), OBSERVE, POLICY),
    Case("status when a lease is over", every(PENDING, later(OVER_SECONDS)), ("status",)),
)
KEEPING = (
    Case("snapshot", C1, ("snapshot", "--name", "friday")),
    Case(
        "snapshot that is there",
        every(C1, said("snapshot", "--name", "friday")),
        ("snapshot", "--name", "friday"),
    ),
    Case("snapshot that is pinned", C1, ("snapshot", "--name", "friday", "--pinned")),
    Case(
        "snapshot that loses its pin",
        every(C1, said("snapshot", "--name", "friday", "--pinned")),
        ("snapshot", "--name", "friday", "--unpin"),
    ),
    Case(
        "prune",
        every(
            C1,
            C2,
            deployed("c3", TUNED),
            deployed("c4", FIRST, confirm=False),
            said("observe", "--change", "c3", "--seconds", "0"),
            said("rollback"),
            aged,
            litter,
        ),
        ("prune", "--keep", "2"),
    ),
)
DRAINS = (
    Case("drain", C1, DRAIN),
    Case("drain for a while", C1, (*DRAIN, "--for-seconds", "3600")),
    Case("undrain", every(C1, said(*DRAIN)), ("undrain", *SERVER_B)),
    Case(
        "activate with a server drained",
        every(C1, said(*DRAIN), prepared("c2", TUNED)),
        switch("c2", TUNED),
    ),
    Case(
        "expire the end of a drain",
        every(C1, said(*DRAIN, "--for-seconds", "60"), later(OVER_SECONDS)),
        ("expire",),
    ),
    Case(
        "recover after the balancer forgot a drain",
        every(C1, said(*DRAIN), lambda host: host.driver.spawn()),
        ("recover",),
    ),
)
RECOVERIES = (
    Case("recover from litter", every(C1, litter), ("recover",)),
    Case("recover a pending change", PENDING, ("recover",)),
    Case("recover when a lease is over", every(PENDING, later(OVER_SECONDS)), ("recover",)),
    Case("recover a live release whose file is gone", every(C1, gone(SECOND)), ("recover",)),
)
CASES = (*PREPARES, *ACTIVATES, *SIGNS_OF_LIFE, *BACK, *KEEPING, *DRAINS, *RECOVERIES)
