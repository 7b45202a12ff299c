"""Verbs that take a host back: rollback on request, expire by timer, recover at boot."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Dict, List, Optional

from evenkeel.host.errors import BalancerError, Refused, RollbackFailed
from evenkeel.host.state import live
from evenkeel.host.state.archive import Release
from evenkeel.host.state.journal import ACTIVATED, GOING_BACK, ROLLBACK, Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system import durable
from evenkeel.host.system.lease import remaining
from evenkeel.host.verbs import drains, reload_proof, revert

# The timer tries a failed `expire` again after this.
RETRY_SECONDS = 10.0
_DIGEST = r"[0-9a-f]{64}"

Answer = Dict[str, Any]


def rollback(machine: Machine, to: Optional[str], undo: Optional[str]) -> Answer:
    """Go back: from a pending change to the last confirmed state, otherwise one generation further.

    `to` names a snapshot or a confirmed release instead; `undo` names the change that must go, and
    a host that does not carry it stays untouched. Raises Refused when there is nothing intact to go
    back to, RollbackFailed when the balancer cannot run it.
    """
    with machine.locked("rollback") as journal:
        pending = journal.pending
        other = pending is not None and undo is not None and pending["change"] != undo
        if other and not revert.settle(machine, journal):
            return _untouched(machine, f"another change is live than {undo}")
        if journal.pending is not None:
            outcome = revert.revert(machine, journal, "rollback was asked for")
            if to is None:
                return _answer(outcome)
        target = _target(machine, journal, to, undo)
        if target is None:
            return _untouched(machine, f"this host does not carry {undo}")
        if to is not None and _is_there(machine, journal, str(target["release"])):
            return _untouched(machine, f"{to} is confirmed, live and loaded")
        _keep_what_is_live(machine)
        _begin(machine, journal, target, undo)
        return _answer(revert.finish(machine, journal))


def _answer(outcome: Dict[str, Any]) -> Answer:
    return {"changed": True, **outcome}


def _untouched(machine: Machine, why: str) -> Answer:
    now = machine.store.live_digest()
    return {"changed": False, "from": now, "to": now, "outcome": "untouched", "reason": why}


def _is_there(machine: Machine, journal: Journal, release: str) -> bool:
    """Whether `release` is what this host confirmed last, has on disk and has loaded."""
    now = live.read(machine)
    if now.digest != release or now.drift:
        return False
    if (journal.confirmed() or {}).get("release") != release:
        return False
    try:
        return live.is_loaded(machine, journal, release, machine.driver.loaded())
    except BalancerError:
        return False


def _target(
    machine: Machine, journal: Journal, to: Optional[str], undo: Optional[str]
) -> Optional[Dict[str, Any]]:
    generations = journal.generations
    if to is not None:
        return _named(machine, journal, to)
    if undo is not None and (not generations or generations[-1]["change"] != undo):
        return None
    if len(generations) < 2:
        raise Refused(
            "This host has nothing to go back to",
            where="journal",
            wanted="a confirmed release before the one that is live",
            got=f"{len(generations)} confirmed releases",
            next_step="deploy the wanted configuration as a change",
        )
    release = str(generations[-2]["release"])
    if not machine.store.mend(release, machine.clock.now()):
        raise _damaged(machine, journal, f"release {release[:12]}", release)
    return {"release": release, "generations": generations[:-1]}


def _named(machine: Machine, journal: Journal, to: str) -> Dict[str, Any]:
    store = machine.store
    change: Optional[str] = None
    if re.fullmatch(_DIGEST, to):
        known = [g for g in journal.generations if g["release"] == to]
        if not known:
            raise Refused(
                "This release was never confirmed on this host",
                where=to,
                wanted="a release that was confirmed, or the name of a snapshot",
                got=to[:12],
                next_step=_offer(machine, journal, ""),
            )
        release, change = to, known[-1]["change"]
        if not store.mend(release, machine.clock.now()):
            raise _damaged(machine, journal, f"release {to[:12]}", release)
    else:
        if to not in store.snapshot_names():
            raise Refused(
                "There is no snapshot of this name",
                where=to,
                wanted="the name of a snapshot, or a confirmed release",
                got="nothing of that name",
                next_step=_offer(machine, journal, ""),
            )
        if store.snapshot_damage(to):
            raise _damaged(machine, journal, f"snapshot {to}", "")
        meta = store.snapshot(to)
        release, change = meta["release"], meta.get("change")
        if not meta.get("confirmed"):
            raise Refused(
                "This snapshot holds a release that was never confirmed",
                where=to,
                wanted="a snapshot of a confirmed release",
                got=f"release {release[:12]}",
                next_step=_offer(machine, journal, ""),
            )
        store.mend(release, machine.clock.now())
    generation = {
        "number": journal.next_number(),
        "release": release,
        "change": change,
        "confirmed": machine.clock.now(),
        "by": "rollback",
    }
    return {"release": release, "generations": [*journal.generations, generation]}


def _damaged(machine: Machine, journal: Journal, what: str, release: str) -> Refused:
    return Refused(
        f"The {what} is damaged",
        where=machine.store.root,
        wanted="bytes with the digest of their name",
        got="other bytes, or none",
        next_step=_offer(machine, journal, release),
    )


def _offer(machine: Machine, journal: Journal, without: str) -> str:
    """Name the latest confirmed state that is intact."""
    for generation in reversed(journal.generations[:-1]):
        release = str(generation["release"])
        if release != without and machine.store.release_damage(release) is None:
            return f"rollback --to {release}"
    for name in _newest_first(machine):
        if machine.store.snapshot_damage(name) is None:
            return f"rollback --to {name}"
    return "no other confirmed state is intact: deploy the configuration that you want"


def _newest_first(machine: Machine) -> List[str]:
    """Give the snapshots of confirmed states, the newest first."""
    found = []
    for name in machine.store.snapshot_names():
        with contextlib.suppress(OSError, ValueError, Refused):
            meta = machine.store.snapshot(name)
            if meta.get("confirmed"):
                found.append((str(meta.get("created")), name))
    return [name for _, name in sorted(found, reverse=True)]


def _keep_what_is_live(machine: Machine) -> None:
    """Keep bytes that somebody edited by hand as a release, before a flip replaces them."""
    now = live.read(machine)
    if now.digest is None or machine.store.release_damage(now.digest) is None:
        return
    release = Release(now.digest, now.files, now.modes, "", "")
    folder = machine.store.write_release(release, machine.clock.now())
    machine.store.publish_release(folder, now.digest)


def _begin(machine: Machine, journal: Journal, target: Dict[str, Any], undo: Optional[str]) -> None:
    confirmed = journal.confirmed() or {}
    current = machine.store.live_digest() or str(confirmed.get("release"))
    state: Dict[str, Any] = {}
    worker = None
    skip = False
    try:
        loaded = machine.driver.loaded()
        worker = reload_proof.worker_of(loaded)
        state = machine.driver.runtime_state()
        same = target["release"] == current and not live.read(machine).drift
        skip = same and live.is_loaded(machine, journal, current, loaded)
    except BalancerError:
        pass
    journal.pending = {
        "kind": ROLLBACK,
        "phase": GOING_BACK,
        "change": undo or confirmed.get("change"),
        "release": current,
        "from": current,
        "to": target["release"],
        "generations": target["generations"],
        "before": worker,
        "skip_reload": skip,
        "runtime_state": state,
        "reason": "rollback was asked for",
        "timer": None,
        "started": machine.clock.now(),
    }
    journal.write(machine.steps, "going back")
    # A rollback without room for it still goes back.
    with contextlib.suppress(OSError):
        live.keep_a_way_back(machine, current)


def expire(machine: Machine) -> Answer:
    """Revert when the lease is over, end drains that are; arm the timer again for what is not.

    What is not over and was watched is judged by what was counted since, and reverts on `fail`.
    Whatever goes wrong, a lock that stays taken included, the timer is armed for another try.
    """
    try:
        return _expire(machine)
    except BaseException:
        with contextlib.suppress(Exception):
            timer = machine.units.new_timer()
            machine.steps.run("timer: arm", lambda: machine.units.arm(timer, RETRY_SECONDS))
        raise


def _expire(machine: Machine) -> Answer:
    with machine.locked("expire", machine.expire_lock_seconds) as journal:
        waited = journal.pending is not None
        went = waited and revert.settle(machine, journal)
        done = drains.settle(machine, journal, timer_ran=True)
        if not waited:
            return {"changed": bool(done), "outcome": "nothing was pending"}
        if went:
            return {"changed": True, **(journal.last or {})}
        from evenkeel.host.verbs import watchdog

        watched, error = watchdog.look(machine, journal)
        if error:
            revert.revert(machine, journal, error)
            return {"changed": True, **(journal.last or {})}
        left = _arm_again(machine, journal, watchdog.LOOK_SECONDS if watched else None)
        return {"changed": True, "outcome": "renewed", "remaining_seconds": left}


def _arm_again(machine: Machine, journal: Journal, most: Optional[float] = None) -> float:
    """Arm the timer for the end of the lease, or for `most` seconds; give what is left."""
    pending = journal.under_way()
    left = remaining(machine.clock, pending["lease"])
    pause = left if most is None else min(left, most)
    timer = machine.units.new_timer()
    machine.steps.run("timer: arm", lambda: machine.units.arm(timer, pause))
    pending["timer"] = timer
    journal.write(machine.steps, "armed")
    return left


def recover(machine: Machine, boot: bool) -> Answer:
    """Repair whatever a killed run left: finish or take back, mend, sweep. Repeating it is safe.

    With `boot`, what is not confirmed is taken back on disk, before the balancer starts.
    """
    repaired: List[str] = []
    with machine.locked("recover") as journal:
        swept = machine.store.sweep() + _sweep_native(machine)
        repaired += [f"removed {name}" for name in swept]
        pending = journal.pending
        if pending is not None:
            before_start = boot and not _runs(machine)
            if boot or pending["phase"] != ACTIVATED or not _holds(machine, journal):
                reason = "the host was rebooted before it was confirmed" if boot else "cut short"
                outcome = revert.revert(machine, journal, reason, before_start)
                repaired.append(f"{outcome['outcome']} to {outcome['to'][:12]}: {reason}")
            elif revert.settle(machine, journal):
                repaired.append(f"reverted: {revert.UNCONFIRMED}")
            else:
                old = pending["timer"]
                _arm_again(machine, journal)
                machine.steps.run("timer: disarm", lambda: machine.units.disarm(old))
                repaired.append("armed the timer again")
        confirmed = journal.confirmed()
        if journal.pending is None and confirmed:
            repaired += _mend_live(machine, str(confirmed["release"]))
        if boot:
            drains.come_back(machine, journal)
        else:
            repaired += drains.settle(machine, journal)
        return {"changed": bool(repaired), "repaired": repaired, "last": journal.last}


def _runs(machine: Machine) -> bool:
    try:
        machine.driver.loaded()
    except BalancerError:
        return False
    return True


def _holds(machine: Machine, journal: Journal) -> bool:
    pending = journal.under_way()
    try:
        loaded = machine.driver.loaded()
    except BalancerError:
        return False
    if reload_proof.restarted(pending.get("proof"), loaded):
        return False
    now = live.read(machine)
    release = pending["release"]
    return now.digest == release and live.is_loaded(machine, journal, release, loaded)


def _mend_live(machine: Machine, release: str) -> List[str]:
    """Finish a takeover, and give a live release whose files are gone its bytes again.

    An edit by hand is left alone: it is somebody's work, and `status` shows it.
    """
    store = machine.store
    now = live.read(machine)
    done = f"mended release {release[:12]}"
    if not now.adopted:
        if now.digest not in (release, None):
            return []
        done = f"led the balancer's files to release {release[:12]}"
    elif _is_readable(machine):
        return []
    if not store.mend(release, machine.clock.now()):
        raise RollbackFailed(
            "The live release is damaged, and so are its snapshots",
            where=store.release_dir(release),
            wanted="one intact copy",
            got="none",
            next_step="put a good configuration in place by hand and reload the balancer",
        )
    live.flip(machine, release)
    return [done]


def _is_readable(machine: Machine) -> bool:
    try:
        machine.store.release_files(machine.store.live_digest() or "none")
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _sweep_native(machine: Machine) -> List[str]:
    import os

    removed = []
    for path in machine.driver.NATIVE_PATHS.values():
        folder = os.path.dirname(path)
        prefix = f"{durable.TEMPORARY}{os.path.basename(path)}-"
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            if name.startswith(prefix):
                durable.unlink(machine.steps, "temporary file", os.path.join(folder, name))
                removed.append(name)
    return removed
