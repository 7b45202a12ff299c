"""Power loss at every operation of every case, with everything lost that was not synced.

The case runs once, and before each of its operations on the disk all trees are written down that a
power loss at this moment could leave. Each of them is then put on the disk, and the host boots.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unit.host.fakes import Host

from evenkeel.host.state.journal import Journal, journal_path
from evenkeel.host.system.durable import TEMPORARY
from evenkeel.host.system.steps import Steps
from faults.cases import Case, ready
from faults.disk import Disk, Tree
from faults.invariants import demand_idle, demand_next, demand_settled
from faults.kills import STRANDED, Course, Injection, boot, course

AT_THE_END = "the end"


def inject(folder: Path, cases: Iterable[Case], one_of: int = 1) -> Iterator[Injection]:
    """Lose the power in every case at every moment, in every way; boot, and look.

    With `one_of` only every so many of the trees is tried, and all that follow an answer.
    """
    for number, case in enumerate(cases):
        way = course(folder / f"{number}-course", case)
        host = ready(folder / f"{number}", case)
        seconds = host.clock.moved
        disk = Disk(host.folder, host.clock.wall)
        lost = _losses(host, disk, case)
        said = promised(host)
        for count, (where, what, tree) in enumerate(lost):
            if count % one_of and where != AT_THE_END:
                continue
            host.clock.moved = max(host.clock.moved, seconds) + 60
            disk.put(tree)
            outcome, why = _one(host, way, said if where == AT_THE_END else {})
            yield Injection(case.name, case.verb, where, f"lost: {what}", outcome, why)


def _losses(host: Host, disk: Disk, case: Case) -> list[tuple[str, str, Tree]]:
    """Run `case` and give every different tree that a power loss on its way could leave."""
    found: list[tuple[str, str, Tree]] = []
    seen: set[str] = set()

    def look(kind: str, path: str) -> None:
        for what, tree in disk.losses():
            key = f"{kind == AT_THE_END} {sorted(tree.items())}"
            if key not in seen:
                seen.add(key)
                where = f"{kind} {os.path.basename(path)}" if path else kind
                found.append((where, what, tree))

    disk.before = look
    host.around = disk.watched
    code, answer = host.program(*case.words, stdin=case.stdin)
    assert code in case.codes, answer
    look(AT_THE_END, "")
    disk.demand_complete()
    disk.before = lambda kind, path: None
    return found


def promised(host: Host) -> dict[str, Any]:
    """Give what a verb that has answered has promised to keep, whatever happens."""
    machine = host.machine("fake", Steps())
    journal = Journal.read(journal_path(machine.store.root))
    pending = journal.pending or {}
    return {
        "generations": [] if pending else journal.generations,
        "releases": [n for n in os.listdir(machine.store.releases) if not n.startswith(TEMPORARY)],
        "snapshots": machine.store.snapshot_names(),
    }


def _demand_kept(host: Host, promise: dict[str, Any]) -> None:
    machine = host.machine("fake", Steps())
    journal = Journal.read(journal_path(machine.store.root))
    wanted = promise["generations"]
    assert not wanted or journal.generations == wanted, "a generation that was answered for is gone"
    for release in promise["releases"]:
        assert machine.store.release_damage(release) is None, f"release {release[:12]} was lost"
    for name in promise["snapshots"]:
        assert machine.store.snapshot_damage(name) is None, f"snapshot {name} was lost"


def _one(host: Host, way: Course, promise: dict[str, Any]) -> tuple[str, str]:
    host.around = lambda: Disk(host.folder, host.clock.wall).watched()
    try:
        boot(host)
        demand_settled(host, set(way.allowed))
        demand_idle(host)
        if promise:
            _demand_kept(host, promise)
        outcome = "old" if host.live() == way.before else "new"
        demand_next(host)
    except (AssertionError, OSError) as fault:
        return STRANDED, f"{type(fault).__name__} {fault}"[:500]
    return outcome, ""
