"""The way back: the revert of an unconfirmed change, and the rollback of a confirmed one.

Both write down each move before they make it, so that the next run can finish after a kill: `begin`
writes the target, `finish` flips, loads, proves and closes.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Optional

from evenkeel.host.errors import BalancerDown, BalancerError, RollbackFailed
from evenkeel.host.state import live
from evenkeel.host.state.journal import ACTIVATED, CHANGE, GOING_BACK, Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system.lease import is_over
from evenkeel.host.verbs import drains, reload_proof

UNCONFIRMED = "nobody confirmed it within its lease"


def settle(machine: Machine, journal: Journal) -> bool:
    """Finish what is overdue: a revert that was cut short, a lease that is over, then the drains.

    Every verb does this first, under the lock. Tells whether the host went back. Raises
    RollbackFailed when it could not.
    """
    went = _settle_pending(machine, journal)
    drains.settle(machine, journal)
    return went


def _settle_pending(machine: Machine, journal: Journal) -> bool:
    pending = journal.pending
    if pending is None:
        return False
    if pending["phase"] == GOING_BACK:
        finish(machine, journal)
        return True
    if is_over(machine.clock, pending["lease"]):
        revert(machine, journal, UNCONFIRMED)
        return True
    return False


def revert(machine: Machine, journal: Journal, reason: str, boot: bool = False) -> Dict[str, Any]:
    """Take the host back from its pending change, and give how that ended.

    With `boot` the balancer is left alone: it has not started yet and will read the old bytes.
    Raises RollbackFailed when the old state could not be reached.
    """
    pending = journal.under_way()
    if pending["phase"] != GOING_BACK:
        begin(machine, journal, reason, boot)
    return finish(machine, journal, boot)


def begin(machine: Machine, journal: Journal, reason: str, boot: bool = False) -> None:
    """Write down where to go back to. Nothing is touched before this is on the disk."""
    pending = journal.under_way()
    target = _intact(machine, journal, pending["from"])
    worker = None
    if not boot:
        # Revert the files even if the balancer is down.
        with contextlib.suppress(BalancerError):
            worker = _worker(machine)
    untouched = machine.store.live_digest() == target and worker == pending["before"]
    if pending["phase"] == ACTIVATED and worker is not None:
        with contextlib.suppress(BalancerError):
            pending["runtime_state"] = _runtime_state(machine, pending["runtime_state"])
    pending.update(
        phase=GOING_BACK,
        to=target,
        reason=reason[:500],
        skip_reload=untouched,
        generations=journal.generations,
    )
    # A full disk must not keep an unconfirmed release live.
    with contextlib.suppress(OSError):
        journal.write(machine.steps, "going back")


def _runtime_state(machine: Machine, before: Dict[str, Any]) -> Dict[str, Any]:
    """Give the runtime state of now; servers that the change took away keep theirs of before."""
    state: Dict[str, Any] = {}
    pools = machine.driver.loaded()["pools"]
    for pool, servers in before.items():
        gone = {name: one for name, one in servers.items() if name not in pools.get(pool, ())}
        if gone:
            state[pool] = gone
    for pool, servers in machine.driver.runtime_state().items():
        state[pool] = {**state.get(pool, {}), **servers}
    return state


def finish(machine: Machine, journal: Journal, boot: bool = False) -> Dict[str, Any]:
    """Do what `begin` wrote down, prove it, and close the journal. Gives the outcome."""
    pending = journal.under_way()
    try:
        if not machine.store.mend(pending["to"], machine.clock.now()):
            raise BalancerError(
                f"release {pending['to'][:12]} is damaged, and so are its snapshots"
            )
        live.flip_back(machine, pending["to"])
        proved = None if boot else _load(machine, pending)
    except (BalancerError, OSError) as error:
        if pending["kind"] != CHANGE:
            _stay(machine, journal, error)
        raise _failed(machine, pending, error) from error
    outcome = {
        "change": pending["change"],
        "release": pending["release"],
        "from": pending["release"],
        "to": pending["to"],
        "outcome": "reverted" if pending["kind"] == CHANGE else "rolled back",
        "reason": pending["reason"],
        "at": machine.clock.now(),
        "late_seconds": _late_seconds(machine, pending),
        "generation": journal.next_number() - 1,
    }
    journal.generations = pending["generations"]
    journal.loaded = proved and {**reload_proof.worker_of(proved), "release": pending["to"]}
    journal.last, journal.pending = outcome, None
    journal.write(machine.steps, "back")
    if pending.get("timer"):
        machine.steps.run("timer: disarm", lambda: machine.units.disarm(pending["timer"]))
    if not boot:
        drains.settle(machine, journal)
    return {**outcome, "proof": proved}


def _late_seconds(machine: Machine, pending: Dict[str, Any]) -> Optional[float]:
    """Give how long after the end of its lease the change is gone; None when it was not over."""
    lease = pending.get("lease")
    if lease is None or lease.get("boot_id") != machine.clock.boot_id():
        return None
    late = machine.clock.boottime() - float(lease["deadline"])
    return round(late, 3) if late > 0 else None


def _load(machine: Machine, pending: Dict[str, Any]) -> Dict[str, Any]:
    worker = _worker(machine)
    if worker is None:
        return reload_proof.start(machine, pending["to"])
    if pending["skip_reload"] and worker == pending["before"]:
        return {**worker, "reloaded": False}
    return reload_proof.reload(machine, pending["to"], worker, pending["runtime_state"])


def _worker(machine: Machine) -> Optional[Dict[str, Any]]:
    try:
        return reload_proof.worker_of(machine.driver.loaded())
    except BalancerDown:
        return None


def _intact(machine: Machine, journal: Journal, wanted: str) -> str:
    """Give `wanted` when its bytes are intact, or the latest generation whose bytes are."""
    candidates = [wanted] + [str(g["release"]) for g in reversed(journal.generations)]
    for digest in candidates:
        if machine.store.mend(digest, machine.clock.now()):
            return digest
    raise RollbackFailed(
        "Every confirmed release on this host is damaged",
        where=machine.store.releases,
        wanted=f"release {wanted[:12]}, or a snapshot of it",
        got="all of them are damaged or gone",
        next_step="put a good configuration in place by hand and reload the balancer",
    )


def _stay(machine: Machine, journal: Journal, error: BaseException) -> None:
    """Keep what was confirmed, when the balancer cannot run what a rollback wanted."""
    pending = journal.under_way()
    live.flip_back(machine, pending["from"])
    journal.pending = None
    try:
        proved = _load(machine, {**pending, "to": pending["from"]})
        journal.loaded = {**reload_proof.worker_of(proved), "release": pending["from"]}
    except (BalancerError, OSError):
        journal.loaded = None
    journal.last = {
        "change": pending["change"],
        "release": pending["to"],
        "outcome": "failed",
        "reason": str(error)[:500],
        "at": machine.clock.now(),
        "generation": journal.next_number() - 1,
    }
    journal.write(machine.steps, "stays")


def _failed(machine: Machine, pending: Dict[str, Any], error: BaseException) -> RollbackFailed:
    return RollbackFailed(
        "The host could not go back",
        where=machine.driver.UNIT,
        wanted=f"release {pending['to'][:12]} running",
        got=str(error)[:500],
        next_step="see the balancer's log on the host, then run: "
        f"evenkeel-host --balancer {machine.balancer} recover",
    )
