"""Facts about the program, and the status of what is live and what runs."""

from __future__ import annotations

from typing import Any, Dict, List

from evenkeel.host.errors import BalancerError, Refused
from evenkeel.host.state import live
from evenkeel.host.state.journal import Journal
from evenkeel.host.state.machine import VERSION, Machine
from evenkeel.host.system import fingerprint
from evenkeel.host.system.driver import Loaded
from evenkeel.host.system.lease import remaining
from evenkeel.host.verbs import drains, reload_proof

Answer = Dict[str, Any]


def facts(machine: Machine) -> Answer:
    """Give what never changes while the program and the driver stay the same."""
    driver = machine.driver
    return {
        "changed": False,
        "balancer": machine.balancer,
        "program": VERSION,
        "unit": driver.UNIT,
        "native_paths": dict(driver.NATIVE_PATHS),
        "capabilities": dict(driver.CAPABILITIES),
        "store": machine.store.root,
    }


def status(machine: Machine, with_files: bool) -> Answer:
    """Give what is live, pending, confirmed and running; with `with_files` the live bytes too."""
    journal = machine.journal()
    now = live.read(machine)
    answer: Answer = {
        "changed": False,
        "balancer": machine.balancer,
        "program": VERSION,
        "build": fingerprint.installed(machine.balancer),
        "live": _live(journal, now),
        "pending": _pending(machine, journal),
        "generations": journal.generations,
        "snapshots": _snapshots(machine, journal),
        "drift": bool(now.drift),
        "drift_reason": now.drift,
        "last": journal.last,
        **_policy(machine),
    }
    try:
        answer.update(_running(machine, journal, now))
        answer["drains"] = drains.listed(journal, drains.drained(machine))
    except BalancerError as error:
        running = {"agrees": False, "worker_pid": None, "reason": str(error)[:300]}
        answer.update(version=machine.driver.version(), running=running, servers={})
        answer["drains"] = drains.listed(journal, {})
    if with_files:
        answer["files"] = _files(now)
    return answer


def _policy(machine: Machine) -> Dict[str, Any]:
    """Give how many approvals the host demands; None if its policy cannot be trusted."""
    try:
        policy = machine.policy()
    except Refused as error:
        return {"approvals_required": None, "policy_fault": f"{error.what}: {error.got}"}
    return {"approvals_required": policy.approvals_required if policy else 0}


def _live(journal: Journal, now: live.Live) -> Dict[str, Any]:
    pending, confirmed = journal.pending or {}, journal.confirmed() or {}
    holder: Dict[str, Any] = {}
    if pending.get("release") == now.digest:
        holder = pending
    elif confirmed.get("release") == now.digest:
        holder = confirmed
    return {
        "release": now.digest,
        "change": holder.get("change"),
        "confirmed": bool(holder) and holder is confirmed,
        "adopted": now.adopted,
    }


def _pending(machine: Machine, journal: Journal) -> Any:
    pending = journal.pending
    if pending is None:
        return None
    lease = pending.get("lease")
    return {
        "kind": pending["kind"],
        "change": pending["change"],
        "release": pending["release"],
        "from": pending["from"],
        "phase": pending["phase"],
        "remaining_seconds": remaining(machine.clock, lease) if lease else 0.0,
    }


def _snapshots(machine: Machine, journal: Journal) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = []
    for name in machine.store.snapshot_names():
        try:
            meta = machine.store.snapshot(name)
            said = {key: meta.get(key) for key in ("name", "release", "change", "created")}
            found.append({**said, "pinned": name in journal.pins})
        except (OSError, ValueError):
            found.append({"name": name, "damaged": True})
    return found


def _running(machine: Machine, journal: Journal, now: live.Live) -> Dict[str, Any]:
    seen = machine.driver.observe()
    pools = {pool: sorted(facts["servers"]) for pool, facts in seen["pools"].items()}
    loaded: Loaded = {
        "worker_pid": seen["worker_pid"],
        "worker_started": seen["worker_started"],
        "pools": pools,
    }
    agrees = (
        not now.drift
        and now.digest is not None
        and (
            live.is_loaded(machine, journal, now.digest, loaded)
            if now.adopted
            else live.is_newer(machine, loaded)
        )
    )
    return {
        "version": machine.driver.version(),
        "running": {
            "agrees": agrees,
            **reload_proof.worker_of(seen),
            "leaving": seen.get("leaving", 0),
        },
        "servers": {pool: facts["servers"] for pool, facts in seen["pools"].items()},
    }


def _files(now: live.Live) -> Dict[str, Dict[str, str]]:
    import base64

    return {
        name: {
            "mode": f"{now.modes.get(name, 0o640):04o}",
            "content_base64": base64.b64encode(data).decode("ascii"),
        }
        for name, data in now.files.items()
    }
