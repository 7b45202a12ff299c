"""The switch: make a prepared release live under a lease, and prove that it runs."""

from __future__ import annotations

from typing import Any, Dict, Optional

from evenkeel.host.errors import HostError, Refused, Reverted
from evenkeel.host.state import live, snapshots
from evenkeel.host.state.journal import ACTIVATED, CHANGE, STARTED, Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system.driver import Loaded
from evenkeel.host.system.lease import grant, remaining
from evenkeel.host.verbs import confirm, reload_proof, revert

Answer = Dict[str, Any]


def activate(
    machine: Machine, change: str, release: str, lease_seconds: float, base: Optional[str]
) -> Answer:
    """Make a prepared release live and prove that the running balancer has it.

    What is live and loaded already for this change needs nobody's approval; everything else does,
    where the host's policy asks for it, and then the base is the one that was approved.

    Raises Refused before anything is touched, Reverted when the host went back by itself, and
    RollbackFailed when it could not.
    """
    with machine.locked("activate") as journal:
        revert.settle(machine, journal)
        pending = journal.pending
        if pending is None:
            done = _already_confirmed(machine, journal, change, release)
            if done:
                return done
            base = _require_approved(machine, change, release) or base
            _begin(machine, journal, change, release, lease_seconds, base)
        else:
            _require_same(pending, change, release)
            done = _already_active(machine, journal, lease_seconds)
            if done:
                return done
            _require_approved(machine, change, release)
            pending.update(phase=STARTED, lease=grant(machine.clock, lease_seconds))
            pending["timer"] = machine.units.new_timer()
            journal.write(machine.steps, "started")
        return _go(machine, journal, lease_seconds)


def _require_approved(machine: Machine, change: str, release: str) -> Optional[str]:
    """Give the base that was approved, None when none was or the host's policy asks for nothing.

    Raises Refused when the policy asks for more approvals than there are.
    """
    policy = machine.policy()
    if policy is None:
        return None
    from evenkeel.host.state import approvals

    kept = approvals.kept(machine, change)
    return approvals.require(machine, policy, change, release, kept).base


def _already_confirmed(
    machine: Machine, journal: Journal, change: str, release: str
) -> Optional[Answer]:
    confirmed = journal.confirmed()
    if not confirmed or (confirmed["change"], confirmed["release"]) != (change, release):
        return None
    now = live.read(machine)
    loaded = machine.driver.loaded()
    if now.digest != release or now.drift or not live.is_loaded(machine, journal, release, loaded):
        return None
    return {
        "changed": False,
        "release": release,
        "from": release,
        "snapshot": None,
        "lease_deadline_seconds": None,
        "outcome": "confirmed",
        "proof": {**reload_proof.worker_of(loaded), "reloaded": False},
    }


def _require_same(pending: Dict[str, Any], change: str, release: str) -> None:
    if (pending["change"], pending["release"]) != (change, release):
        raise Refused(
            f"Change {pending['change']} holds this host",
            where="journal",
            wanted="no other change that waits for its confirmation",
            got=f"change {pending['change']}, release {pending['release'][:12]}",
            next_step="confirm it or roll it back, or wait until its lease is over",
        )


def _already_active(machine: Machine, journal: Journal, lease_seconds: float) -> Optional[Answer]:
    pending = journal.under_way()
    if pending["phase"] != ACTIVATED:
        return None
    now, loaded = live.read(machine), machine.driver.loaded()
    release = pending["release"]
    if now.digest != release or not live.is_loaded(machine, journal, release, loaded):
        return None
    confirm.extend(machine, journal, lease_seconds)
    worker = {**reload_proof.worker_of(loaded), "reloaded": False}
    return _answer(machine, pending, worker, changed=False)


def _begin(
    machine: Machine,
    journal: Journal,
    change: str,
    release: str,
    lease_seconds: float,
    base: Optional[str],
) -> None:
    """Look before leaping, adopt what is live, keep a snapshot, and write down what comes."""
    error = machine.store.release_damage(release)
    if error:
        raise Refused(
            "The release is not ready on this host",
            where=machine.store.release_dir(release),
            wanted=f"release {release[:12]}, prepared and intact",
            got=error,
            next_step="prepare it again, then activate it",
        )
    _require_allowed(machine, release)
    now = live.read(machine)
    _require_base(machine, journal, now, base)
    loaded = machine.driver.loaded()
    _require_few_leaving(machine, loaded)
    before = reload_proof.worker_of(loaded)
    state = machine.driver.runtime_state()
    source = _adopt(machine, journal, now, before)
    snapshot = f"before-{change}"
    lease = grant(machine.clock, lease_seconds)
    snapshots.take(machine, journal, snapshot, source, state)
    confirmed = journal.confirmed()
    journal.pending = {
        "kind": CHANGE,
        "phase": STARTED,
        "change": change,
        "release": release,
        "from": source,
        "from_change": confirmed and confirmed["change"],
        "snapshot": snapshot,
        "runtime_state": state,
        "before": before,
        "lease": lease,
        "timer": machine.units.new_timer(),
        "started": machine.clock.now(),
    }
    journal.write(machine.steps, "started")


def _require_base(machine: Machine, journal: Journal, now: live.Live, base: Optional[str]) -> None:
    """Refuse when something else is live than was reviewed, and name the change that it is of."""
    if base is None or now.digest == base:
        return
    confirmed = journal.confirmed() or {}
    got = f"release {(now.digest or 'none')[:12]}"
    if confirmed.get("change") and confirmed["release"] == now.digest:
        got += f", of change {confirmed['change']}"
    raise Refused(
        "What is live on this host is not what the change was reviewed against",
        where=now.drift or machine.store.live,
        wanted=f"release {base[:12]}",
        got=got,
        next_step="render the change again from what is live now",
    )


def _require_few_leaving(machine: Machine, loaded: Loaded) -> None:
    """Refuse to add one more to many workers that long connections keep alive.

    Each holds its memory and its connections to the servers. Going back is never refused for it.
    """
    leaving = int(loaded.get("leaving") or 0)
    if leaving >= machine.most_leaving:
        raise Refused(
            "Too many old workers still serve long connections",
            where=machine.driver.UNIT,
            wanted=f"fewer than {machine.most_leaving} workers that are leaving",
            got=f"{leaving}",
            next_step="wait until their connections have ended, or end them, then try again",
        )


def _require_allowed(machine: Machine, release: str) -> None:
    """Refuse a release that an older program or driver has let in."""
    folder = machine.store.release_dir(release)
    names = set(machine.store.manifest(release)["files"])
    problems = [
        f"{name}: the balancer does not read it"
        for name in sorted(names - set(machine.driver.NATIVE_PATHS))
    ]
    problems += machine.driver.forbidden(folder)
    if problems:
        raise Refused(
            "The release holds what a release may not hold",
            where=folder,
            wanted="a release that `prepare` accepts",
            got="; ".join(problems)[:1000],
            next_step="correct the intent and render the change again",
        )


def _adopt(machine: Machine, journal: Journal, now: live.Live, worker: Dict[str, Any]) -> str:
    """Give the release that is live, taking the host over when its files are not ours yet.

    The journal knows of the takeover before any path changes, so `recover` can finish it.
    """
    confirmed = journal.confirmed()
    if now.adopted and not now.drift and confirmed and confirmed["release"] == now.digest:
        return str(now.digest)
    edited = machine.store.live_digest()
    digest = live.take_in(machine, journal, now)
    if not confirmed or confirmed["release"] != digest:
        journal.push(
            {
                "number": journal.next_number(),
                "release": digest,
                "change": None,
                "confirmed": machine.clock.now(),
                "by": "takeover",
            }
        )
    journal.loaded = {**worker, "release": digest}
    journal.write(machine.steps, "taken over")
    live.flip(machine, digest)
    if edited and edited != digest:
        machine.store.mend(edited, machine.clock.now())
    return digest


def _go(machine: Machine, journal: Journal, lease_seconds: float) -> Answer:
    """Arm, flip, load and prove what the journal says has started; on any error, go back."""
    pending = journal.under_way()
    release = pending["release"]
    try:
        _arm(machine, journal, pending, lease_seconds)
        live.keep_a_way_back(machine, pending["from"])
        live.flip(machine, release)
        proved = _load(machine, journal, pending)
        pending.update(phase=ACTIVATED, proof=proved)
        journal.loaded = {**reload_proof.worker_of(proved), "release": release}
        journal.write(machine.steps, "activated")
    except Exception as error:
        # Whatever the error: an unproven release must not stay live.
        if journal.pending is None:
            raise
        _go_back(machine, journal, error)
    return _answer(machine, pending, proved, changed=proved["reloaded"])


def _arm(machine: Machine, journal: Journal, pending: Dict[str, Any], lease_seconds: float) -> None:
    timer = pending["timer"]
    try:
        machine.steps.run("timer: arm", lambda: machine.units.arm(timer, lease_seconds))
    except (HostError, OSError):
        if machine.store.live_digest() == pending["from"]:
            journal.pending = None
            journal.write(machine.steps, "withdrawn")
        raise


def _load(machine: Machine, journal: Journal, pending: Dict[str, Any]) -> Dict[str, Any]:
    """Reload, unless the running worker has these very bytes already."""
    release, state = pending["release"], pending["runtime_state"]
    loaded = machine.driver.loaded()
    worker = reload_proof.worker_of(loaded)
    if live.is_loaded(machine, journal, release, loaded):
        # A killed run may have left it out.
        refused = reload_proof.restore(machine, state) if worker != pending["before"] else []
        started = loaded.get("service_started")
        facts = {"reloaded": False, "runtime_state_refused": refused, "service_started": started}
        return {**worker, **facts}
    return reload_proof.reload(machine, release, worker, state)


def _go_back(machine: Machine, journal: Journal, error: Exception) -> None:
    seen = error.got or error.what if isinstance(error, HostError) else str(error)
    pending = journal.under_way()
    outcome = revert.revert(machine, journal, seen)
    raise Reverted(
        "The release could not be activated, and the host went back by itself",
        where=machine.driver.UNIT,
        wanted=f"release {pending['release'][:12]} running",
        got=seen[:1000],
        next_step=f"the host runs {outcome['to'][:12]}; mend the change and render it again",
    ) from error


def _answer(
    machine: Machine, pending: Dict[str, Any], proved: Dict[str, Any], changed: bool
) -> Answer:
    return {
        "changed": changed,
        "release": pending["release"],
        "from": pending["from"],
        "snapshot": pending["snapshot"],
        "lease_deadline_seconds": remaining(machine.clock, pending["lease"]),
        "outcome": "activated",
        "proof": proved,
    }
