"""SIGKILL before and after every step of every case, then: recover, run out, run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unit.host.fakes import Host, Recorded

from faults.cases import OVER_SECONDS, Case, every, ready
from faults.invariants import demand_idle, demand_next, demand_settled, demand_whole

MOMENTS = ("before", "after")
STRANDED = "stranded"


@dataclass(frozen=True)
class Injection:
    """One fault: in which case, at which step, before or after it, and how the host ended."""

    case: str
    verb: str
    step: str
    moment: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Course:
    """How a case goes when nothing disturbs it: its steps, and what is live on its way."""

    steps: tuple[str, ...]
    before: bytes
    after: bytes
    allowed: frozenset[bytes]
    on_disk: frozenset[bytes]


def course(folder: Path, case: Case) -> Course:
    """Run `case` undisturbed, then let its lease run out: what may be live is what was then."""
    host = ready(folder, case)
    steps = Seen(host)
    before, confirmed = host.live(), host.confirmed()
    code, answer = host.program(*case.words, stdin=case.stdin, steps=steps)
    assert code in case.codes, answer
    after = host.live()
    run_out(host)
    other = ready(folder.with_name(folder.name + "-out"), case)
    run_out(other)
    allowed = frozenset({before, after, confirmed, host.live(), other.live()} - {b""})
    return Course(tuple(steps.names), before, after, allowed, frozenset(steps.live))


class Seen(Recorded):
    """Writes down what is live after each step as well."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.live = {host.live()}
        self._host = host

    def run(self, name: str, action: Any) -> Any:
        try:
            return super().run(name, action)
        finally:
            self.live.add(self._host.live())


def run_out(host: Host) -> None:
    """No sign of life comes any more: the timer looks, as often as it was armed."""
    host.clock.moved += OVER_SECONDS
    host.program("expire")


Ending = Callable[[Host, Case, Course], str]


def recovered(host: Host, case: Case, way: Course) -> str:
    """`recover` repairs, a second one does nothing, the lease runs out, the next change goes."""
    assert host.live() in way.on_disk, "what is on the disk is neither old nor new"
    host.must("recover")
    demand_whole(host, set(way.allowed))
    demand_idle_but_timer(host)
    if host.status()["pending"]:
        assert host.units.armed, "a change is pending and no timer is armed"
        run_out(host)
    demand_settled(host, set(way.allowed))
    demand_idle(host)
    return _named(host, way, demand_next)


def left_alone(host: Host, case: Case, way: Course) -> str:
    """Nobody comes: the timers that are armed take the host where it is safe."""
    flipped = host.live() != way.before
    assert not (waits(host) and flipped) or host.units.armed, "flipped, and no timer is armed"
    if host.units.armed:
        run_out(host)
        demand_whole(host, set(way.allowed))
    host.must("recover")
    demand_settled(host, set(way.allowed))
    return _named(host, way, demand_next)


def run_again(host: Host, case: Case, way: Course) -> str:
    """The same verb again ends as if nothing had happened."""
    words = case.repeated()
    if words:
        code, answer = host.program(*words, stdin=case.stdin)
        assert code in case.codes, answer
        demand_whole(host, {way.after})
    run_out(host)
    host.must("recover")
    demand_settled(host, set(way.allowed))
    return _named(host, way, demand_next)


def rebooted(host: Host, case: Case, way: Course) -> str:
    """The machine restarts; the balancer starts after `recover --boot` with what it then finds."""
    boot(host)
    demand_settled(host, set(way.allowed))
    demand_idle(host)
    return _named(host, way, demand_next)


def waits(host: Host) -> bool:
    """Whether the journal says that a change waits for its confirmation."""
    path = host.root / "journal"
    pending = json.loads(path.read_bytes())["pending"] if path.exists() else None
    return pending is not None and pending["kind"] == "change"


def boot(host: Host) -> None:
    """Restart the machine: no process and no timer is left, and every lease is over."""
    host.power_off()
    host.must("recover", "--boot")
    host.clock.moved += 1
    host.driver.spawn()
    if host.units.armed:
        # It waits for the balancer, to put in force what was drained.
        host.clock.moved += 20
        host.must("expire")


def demand_idle_but_timer(host: Host) -> None:
    """A second `recover` finds nothing to repair; it may only arm the timer of a lease again."""
    repaired = host.must("recover")["repaired"]
    assert repaired in ([], ["armed the timer again"]), repaired


def _named(host: Host, way: Course, then: Callable[[Host], None]) -> str:
    outcome = "old" if host.live() == way.before else "new" if host.live() == way.after else "older"
    then(host)
    return outcome


ENDINGS: dict[str, Ending] = {
    "recover": recovered,
    "left alone": left_alone,
    "again": run_again,
    "boot": rebooted,
}


def inject(folder: Path, cases: Iterable[Case], in_turn: bool = False) -> Iterator[Injection]:
    """Kill every case before and after each of its steps, once for each ending.

    With `in_turn` each step is killed once, and moments and endings take turns.
    """
    count = 0
    for number, case in enumerate(cases):
        # A recovery at boot that is cut short is followed by another boot.
        endings = ["boot"] if case.words == ("recover", "--boot") else list(ENDINGS)
        ways = [(moment, ending) for ending in endings for moment in MOMENTS]
        way = course(folder / f"{number}", case)
        for at, step in enumerate(way.steps, 1):
            count += 1
            for moment, ending in [ways[count % len(ways)]] if in_turn else ways:
                place = folder / f"{number}-{at}-{moment}-{ending}"
                outcome, why = _one(place, case, way, at, moment, ending)
                said = f"{moment}, {ending}"
                yield Injection(case.name, case.verb, step, said, outcome, why)


def _one(
    folder: Path, case: Case, way: Course, at: int, moment: str, ending: str
) -> tuple[str, str]:
    host = ready(folder, case)
    host.killed(*case.words, at=at, moment=moment, stdin=case.stdin)
    try:
        return ENDINGS[ending](host, case, way), ""
    except (AssertionError, OSError) as fault:
        return STRANDED, str(fault)[:500]


def interrupted(folder: Path, cases: Iterable[Case]) -> Iterator[Case]:
    """Give `recover`, also at boot, after one kill for every way in which it then goes."""
    seen: set[tuple[bool, tuple[str, ...]]] = set()
    for number, case in enumerate(cases):
        way = course(folder / f"i{number}", case)
        for at, step in enumerate(way.steps, 1):
            for at_boot in (False, True):
                cut = replace(
                    case,
                    name=f"recover{' at boot' * at_boot} after {case.name} was killed at {step}",
                    arrange=every(case.arrange, _kill(case, at, at_boot)),
                    words=("recover", "--boot") if at_boot else ("recover",),
                    stdin=b"",
                    codes=(0,),
                    again=None,
                )
                host, steps = ready(folder / f"i{number}-{at}-{at_boot}", cut), Recorded()
                host.must(*cut.words, steps=steps)
                kind = (at_boot, tuple(steps.names))
                if steps.names and kind not in seen:
                    seen.add(kind)
                    yield cut


def _kill(case: Case, at: int, at_boot: bool) -> Callable[[Host], None]:
    def kill(host: Host) -> None:
        host.killed(*case.words, at=at, moment="after", stdin=case.stdin)
        if at_boot:
            host.power_off()

    return kill
