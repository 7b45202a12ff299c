"""The program is killed before and after every step of every verb that changes a host.

Which steps there are is found by tracing each verb on the host itself, so a new step is covered
without anybody naming it here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from evenkeel_proof.fault_injection import checks
from evenkeel_proof.fault_injection.fault_host import KILLED, FaultHost, Release
from evenkeel_proof.fault_injection.tally import Note, Stranded, Tally, demand

MOMENTS = ("before", "after")
# Names of releases and of snapshots made older than `prune` spares.
_AGE = (
    'find "$1/releases" "$1/observations" -mindepth 1 -maxdepth 1 -exec touch -d "2 days ago" {} +'
)


@dataclass(frozen=True)
class Ready:
    """A host on which a verb is about to run: its words, and what may be live afterwards."""

    words: tuple[str, ...]
    releases: tuple[Release, ...]
    stdin: bytes = b""
    orders: dict[str, Any] = field(default_factory=dict)


def prepare(host: FaultHost) -> Ready:
    """A release that is not on the host yet."""
    old, new, change = host.ready(), host.new_release(), host.new_change()
    words = ("prepare", "--change", change, "--release", new.digest)
    return Ready(words, (old,), new.archive(change))


def takeover(host: FaultHost) -> Ready:
    """The first change of a host that is configured by hand."""
    old, change = host.forget(), host.new_change()
    new = host.new_release(besides=("web1", "web2", "web3"))
    host.prepare(change, new)
    return Ready(host.activate_words(change, new), (old, new))


def activate(host: FaultHost) -> Ready:
    """A change on a host that has a confirmed one."""
    old, new, change = host.ready(), host.new_release(), host.new_change()
    host.prepare(change, new)
    return Ready(host.activate_words(change, new), (old, new))


def confirm(host: FaultHost) -> Ready:
    """A change that waits for its confirmation."""
    old, new = host.ready(), host.new_release()
    return Ready(("confirm", "--change", host.activate(new)), (old, new))


def revert(host: FaultHost) -> Ready:
    """The rollback of a change that waits for its confirmation."""
    old, new = host.ready(), host.new_release()
    host.activate(new)
    return Ready(("rollback",), (old, new))


def expire(host: FaultHost) -> Ready:
    """What the timer runs when the lease is over; the timer itself is stopped."""
    old, new = host.ready(), host.new_release()
    host.activate(new, lease_seconds="3")
    host.shell("systemctl stop 'evenkeel-expire-*.timer'")
    return Ready(("expire",), (old, new), orders={"after_lease": True})


def rollback(host: FaultHost) -> Ready:
    """The rollback of a confirmed change."""
    old, new = host.ready(), host.new_release()
    change = host.deploy(new)
    return Ready(("rollback", "--undo", change), (old, new))


def rollback_to(host: FaultHost) -> Ready:
    """The rollback to a snapshot that has a name."""
    old, name = host.ready(), host.new_change().replace("fault", "kept")
    host.must("snapshot", "--name", name)
    new = host.new_release()
    host.deploy(new)
    return Ready(("rollback", "--to", name), (old, new))


def snapshot(host: FaultHost) -> Ready:
    """A snapshot with a name."""
    name = host.new_change().replace("fault", "kept")
    return Ready(("snapshot", "--name", name), (host.ready(),))


def prune(host: FaultHost) -> Ready:
    """Generations, releases and snapshots that nobody needs any more."""
    words = ("prune", "--keep", "2", "--max-age-days", "0")
    host.ready()
    # What other faults have left must not make one run of this longer than another.
    host.shell(_AGE, host.store)
    host.must(*words)
    for _ in range(2):
        host.deploy(host.new_release())
    host.must("snapshot", "--name", host.new_change().replace("fault", "kept"))
    host.activate(host.new_release())
    host.must("rollback")
    host.shell(_AGE, host.store)
    return Ready(words, (host.ready(),))


def recover(host: FaultHost) -> Ready:
    """What a kill in the middle of an activation left."""
    ready = activate(host)
    steps = trace(host, ready)
    host.must("rollback")
    ready = activate(host)
    at = steps.index("live: rename") + 1
    kill(host, ready, at, "after")
    return Ready(("recover",), ready.releases)


def recover_at_boot(host: FaultHost) -> Ready:
    """What the boot does about an unconfirmed change."""
    old, new = host.ready(), host.new_release()
    host.activate(new)
    return Ready(("recover", "--boot"), (old, new))


CASES: dict[str, Callable[[FaultHost], Ready]] = {
    "prepare": prepare,
    "activate, the takeover": takeover,
    "activate": activate,
    "confirm": confirm,
    "rollback of what is pending": revert,
    "rollback of a confirmed change": rollback,
    "rollback to a snapshot": rollback_to,
    "expire": expire,
    "snapshot": snapshot,
    "prune": prune,
    "recover": recover,
    "recover at boot": recover_at_boot,
}
# Every step of the verbs that a change cannot do without, once.
FAST = {"activate": ("after",), "confirm": ("before",)}


def run(host: FaultHost, tally: Tally, fast: bool = False) -> None:
    """Trace every case, then kill it at each of its steps on a host made ready anew."""
    for name in FAST if fast else CASES:
        with_it = CASES[name]
        try:
            steps = trace(host, with_it(host))
            finish(host, host.must("status")["pending"] is not None)
        except Stranded as wrong:
            with tally.fault("crash", f"{name}: traced"):
                raise wrong
            host.forget()
            continue
        moments = FAST[name] if fast else MOMENTS
        tally.points += len(steps) * len(moments)
        for at, step in enumerate(steps, 1):
            for moment in moments:
                with tally.fault("crash", f"{name}: killed {moment} {_plain(step)}") as note:
                    inject(host, with_it, at, moment, note)


def trace(host: FaultHost, ready: Ready) -> list[str]:
    """Run the verb whole and give the names of the steps that it went through."""
    done = host.inject(ready.orders, *ready.words, stdin=ready.stdin)
    said = done.stdout.decode(errors="replace")
    demand(done.returncode == 0, f"{ready.words[0]} ended with {done.returncode}: {said[:300]}")
    steps: list[str] = json.loads(done.stderr.splitlines()[-1])
    demand(steps, f"{ready.words[0]} went through no step")
    return steps


def kill(host: FaultHost, ready: Ready, at: int, moment: str) -> None:
    """Run the verb and kill it at its step number `at`. Raises Stranded when it gets past that."""
    orders = {**ready.orders, "at": at, "moment": moment}
    done = host.inject(orders, *ready.words, stdin=ready.stdin)
    demand(done.returncode == KILLED, f"the step was not met, code {done.returncode}")


def inject(
    host: FaultHost, with_it: Callable[[FaultHost], Ready], at: int, moment: str, note: Note
) -> None:
    """Kill the verb at a step of it, and demand that the host is whole and goes on."""
    try:
        ready = with_it(host)
        kill(host, ready, at, moment)
        release, pending = checks.recovered(host, ready.releases)
        note.outcome = "new bytes" if release is ready.releases[-1] else "old bytes"
        if len(ready.releases) == 1:
            note.outcome = "as before"
        if pending:
            note.outcome += ", under their lease"
        finish(host, pending)
    except Exception:
        # The next fault needs a host that is whole, whatever became of this one.
        host.base = None
        host.forget()
        raise


def finish(host: FaultHost, pending: bool) -> None:
    """End what waits for its confirmation, and take the next change all the way."""
    if pending:
        host.must("rollback")
    checks.goes_on(host)


def _plain(step: str) -> str:
    """Give a step's name without digests and change ids, which differ from run to run."""
    words = step.split(" ")
    return " ".join(w for w in words if not any(letter.isdigit() for letter in w))
