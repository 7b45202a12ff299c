"""A disk that is full, or can only be read, from any of its operations on: every verb meets it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from unit.host.fakes import Host

from faults.cases import Case, ready
from faults.disk import Disk
from faults.invariants import demand_idle, demand_next, demand_settled, demand_whole
from faults.kills import STRANDED, Course, Injection, course, run_out

TAKES_ROOM = ("create", "write", "mkdir", "symlink", "fsync", "rename")
# What fails, with which error, and whether it goes on failing.
BROKEN = {
    "no space left, once": (errno.ENOSPC, TAKES_ROOM, False),
    "no space left": (errno.ENOSPC, TAKES_ROOM[:-1], True),
    "read-only": (
        errno.EROFS, ("open to write", "mode", "unlink", "rmdir", *TAKES_ROOM), True,
    ),
}  # fmt: skip


class Breaks:
    """A hook for a disk: its n-th operation fails, and with `stays` every one after it."""

    def __init__(self, number: int, kinds: tuple[str, ...], at: int, stays: bool) -> None:
        self.struck = False
        self.seen = 0
        self._number, self._kinds, self._at, self._stays = number, kinds, at, stays

    def __call__(self, kind: str, path: str) -> None:
        if kind not in self._kinds:
            return
        self.seen += 1
        if self.seen == self._at or (self.seen > self._at and self._stays):
            self.struck = True
            raise OSError(self._number, os.strerror(self._number), path)


def inject(
    folder: Path, cases: Iterable[Case], broken: Iterable[str] = tuple(BROKEN), one_of: int = 1
) -> Iterator[Injection]:
    """Break the disk at every operation of every case; look, mend it, and look again."""
    for number, case in enumerate(cases):
        way = course(folder / f"{number}", case)
        for name in broken:
            at, struck = 1, True
            while struck:
                host = ready(folder / f"{number}-{name}-{at}", case)
                struck, outcome, why = _one(host, case, way, name, at)
                if struck:
                    yield Injection(case.name, case.verb, f"operation {at}", name, outcome, why)
                at += one_of


def _one(host: Host, case: Case, way: Course, name: str, at: int) -> tuple[bool, str, str]:
    error, kinds, stays = BROKEN[name]
    hook = Breaks(error, kinds, at, stays)
    disk = Disk(host.folder, host.clock.wall)
    disk.before = hook
    host.around = disk.watched
    try:
        was_whole = host.live() == host.driver.running()
        code, answer = host.program(*case.words, stdin=case.stdin)
        if not hook.struck:
            return False, "", ""
        assert answer["ok"] or answer["error"]["next_step"], "it does not say what to do"
        _demand_no_worse(host, way, name != "read-only" and was_whole, code)
        disk.before = lambda kind, path: None
        run_out(host)
        host.must("recover")
        demand_settled(host, set(way.allowed))
        demand_idle(host)
        outcome = f"exit code {code}"
        demand_next(host)
    except (AssertionError, OSError) as fault:
        return True, STRANDED, f"{type(fault).__name__} {fault}"[:500]
    return True, outcome, ""


def _demand_no_worse(host: Host, way: Course, has_a_way_back: bool, code: int) -> None:
    """While the disk is broken still: the service is no worse than it was."""
    running = host.driver.running()
    assert running in way.allowed, "what runs is neither old nor new"
    assert code in (0, 10, 11, 12), f"exit code {code}"
    if has_a_way_back:
        # Room on the disk is not needed to go back to what was there.
        demand_whole(host, set(way.allowed))
