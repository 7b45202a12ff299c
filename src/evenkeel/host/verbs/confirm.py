"""The controller's sign of life: renew the lease of what is pending, or confirm it."""

from __future__ import annotations

from typing import Any, Dict

from evenkeel.host.errors import Refused, Reverted
from evenkeel.host.state import live, snapshots
from evenkeel.host.state.journal import ACTIVATED, CHANGE, Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system.driver import Loaded
from evenkeel.host.system.lease import grant, remaining
from evenkeel.host.verbs import drains, reload_proof, retention, revert

Answer = Dict[str, Any]


def extend(machine: Machine, journal: Journal, lease_seconds: float) -> None:
    """Give the pending change a new lease."""
    pending = journal.under_way()
    before, stale = pending["lease"], ""
    pending["lease"] = grant(machine.clock, lease_seconds)
    if pending["lease"]["deadline"] < before["deadline"]:
        # The timer reads the journal when the longer lease ends.
        stale, timer = str(pending["timer"] or ""), machine.units.new_timer()
        machine.steps.run("timer: arm", lambda: machine.units.arm(timer, lease_seconds))
        pending["timer"] = timer
    journal.write(machine.steps, "renewed")
    if stale:
        machine.steps.run("timer: disarm", lambda: machine.units.disarm(stale))


def renew(machine: Machine, change: str, lease_seconds: float) -> Answer:
    """Give the pending `change` a new lease. Raises Refused or Reverted when it is not pending."""
    with machine.locked("renew") as journal:
        revert.settle(machine, journal)
        pending = _require_pending(journal, change)
        extend(machine, journal, lease_seconds)
        return {"changed": True, "remaining_seconds": remaining(machine.clock, pending["lease"])}


def confirm(machine: Machine, change: str) -> Answer:
    """Make the pending `change` the last-known-good and disarm its timer.

    Raises Refused when what is live or what runs is not the release that was activated.
    """
    with machine.locked("confirm") as journal:
        revert.settle(machine, journal)
        confirmed = journal.confirmed()
        if journal.pending is None and confirmed and confirmed["change"] == change:
            number, release = confirmed["number"], confirmed["release"]
            return {"changed": False, "release": release, "generation": number}
        pending = _require_pending(journal, change)
        loaded = _require_intact(machine, journal, pending)
        generation = {
            "number": journal.next_number(),
            "release": pending["release"],
            "change": change,
            "confirmed": machine.clock.now(),
            "by": "confirm",
        }
        journal.push(generation)
        state = machine.driver.runtime_state()
        snapshots.take(machine, journal, f"confirmed-{change}", pending["release"], state)
        journal.last = {
            "change": change,
            "release": pending["release"],
            "outcome": "confirmed",
            "at": generation["confirmed"],
            "generation": generation["number"],
        }
        journal.loaded = {**reload_proof.worker_of(loaded), "release": pending["release"]}
        journal.pending = None
        journal.generations = journal.generations[-retention.KEEP :]
        journal.write(machine.steps, "confirmed")
        timer = pending["timer"]
        machine.steps.run("timer: disarm", lambda: machine.units.disarm(timer))
        # Servers that the change removed are now gone for good.
        drains.settle(machine, journal)
        return {
            "changed": True,
            "release": pending["release"],
            "generation": generation["number"],
            "outcome": "confirmed",
            **retention.tidy(machine, journal),
        }


def _require_pending(journal: Journal, change: str) -> Dict[str, Any]:
    pending, last = journal.pending, journal.last or {}
    if pending is not None and pending["kind"] == CHANGE and pending["change"] == change:
        return pending
    if pending is None and (last.get("change"), last.get("outcome")) == (change, "reverted"):
        raise Reverted(
            f"Change {change} is not live any more: the host went back",
            where="journal",
            wanted=f"change {change} waiting for its confirmation",
            got=f"{last.get('reason')}, at {last.get('at')}",
            next_step="find out why, then deploy the change again",
        )
    raise Refused(
        f"Change {change} does not wait for a confirmation on this host",
        where="journal",
        wanted=f"change {change}",
        got=f"change {pending['change']}" if pending else "no change under way",
        next_step="activate the change first",
    )


def _require_intact(machine: Machine, journal: Journal, pending: Dict[str, Any]) -> Loaded:
    now, loaded = live.read(machine), machine.driver.loaded()
    problem = ""
    if pending["phase"] != ACTIVATED:
        problem = "its activation was cut short"
    elif now.digest != pending["release"] or not now.adopted:
        problem = now.drift or "other bytes are live"
    elif not live.is_loaded(machine, journal, pending["release"], loaded):
        problem = "the running balancer has not loaded it"
    else:
        problem = reload_proof.restarted(pending.get("proof"), loaded)
    if problem:
        raise Refused(
            "The change cannot be confirmed",
            where=machine.store.live,
            wanted=f"release {pending['release'][:12]} live and running",
            got=problem,
            next_step="activate it again, or let its lease run out",
        )
    return loaded
