"""Drained servers: on record in the journal, in force in the running worker.

The record is what counts. Whoever holds the lock next ends the drains whose end has come, and puts
those in force again that a restart of the balancer has ended.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Optional

from evenkeel.host.errors import BalancerError, HostError
from evenkeel.host.state.journal import Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system.lease import iso, seconds_of

# After a boot the balancer starts first.
BOOT_SECONDS = 10.0
# A drain that could not end is tried again.
RETRY_SECONDS = 30.0

Record = Dict[str, Any]
Drained = Dict[str, Dict[str, str]]


def drained(machine: Machine) -> Drained:
    """Give what run time keeps from new requests; nothing for a balancer that cannot drain."""
    return machine.driver.drained() if machine.driver.CAPABILITIES["drain"] else {}


def find(journal: Journal, pool: str, server: str) -> Optional[Record]:
    """Give the record of a drain, or None."""
    for record in journal.drains:
        if (record["pool"], record["server"]) == (pool, server):
            return record
    return None


def end_after(machine: Machine, seconds: Optional[int]) -> Optional[str]:
    """Give when a drain of so many seconds ends, on the clock on the wall, or None for no end."""
    return None if seconds is None else iso(machine.clock.wall() + seconds)


def listed(journal: Journal, seen: Drained) -> List[Record]:
    """Give every drain for people: those on record, then those made by hand, without a word."""
    shown = ("pool", "server", "reason", "owner", "since", "until")
    found = [
        {**{key: record[key] for key in shown}, "in_force": _is_in(seen, record)}
        for record in sorted(journal.drains, key=lambda one: (one["pool"], one["server"]))
    ]
    nobody = {"reason": "", "owner": "", "since": None, "until": None, "in_force": True}
    by_hand = [
        {"pool": pool, "server": server, **nobody}
        for pool, servers in sorted(seen.items())
        for server in sorted(servers)
        if find(journal, pool, server) is None
    ]
    return found + by_hand


def _is_in(seen: Drained, record: Record) -> bool:
    return record["server"] in seen.get(record["pool"], {})


def settle(machine: Machine, journal: Journal, timer_ran: bool = False) -> List[str]:
    """Bring the worker and the record together; give what was done, which the answer notes too.

    Drains whose end has come end, others are put in force. The record of a server that left the
    configuration is dropped, once no change is pending that could bring it back. With `timer_ran`
    the timer that was armed may be gone. Never raises: a balancer that does not answer must not
    keep a host from going back.
    """
    if not journal.drains and journal.drain_timer is None:
        return []
    done: List[str] = []
    old = journal.drain_timer
    try:
        fewer = bool(journal.drains) and _bring_together(machine, journal, done)
        if arm(machine, journal, timer_ran) or fewer:
            journal.write(machine.steps, "drains")
            disarm(machine, journal, old)
    except (BalancerError, HostError, OSError) as error:
        machine.notes.append(f"the drains on record could not be looked after: {error}"[:300])
        if timer_ran:
            _try_again(machine, RETRY_SECONDS)
    machine.notes += done
    return done


def _bring_together(machine: Machine, journal: Journal, done: List[str]) -> bool:
    """Do what is due and write it to `done`; tell whether a record was dropped."""
    pools = machine.driver.loaded()["pools"]
    seen = drained(machine)
    kept: List[Record] = []
    for record in journal.drains:
        there = record["server"] in pools.get(record["pool"], ())
        status = seen.get(record["pool"], {}).get(record["server"], "")
        try:
            stays = _look_after(machine, journal, record, there, status, done)
        except BalancerError as error:
            machine.notes.append(f"{record['pool']}/{record['server']}: {error}"[:300])
            stays = True
        if stays:
            kept.append(record)
    fewer, journal.drains = len(kept) < len(journal.drains), kept
    return fewer


def _look_after(
    machine: Machine, journal: Journal, record: Record, there: bool, status: str, done: List[str]
) -> bool:
    """Do what one record asks for; tell whether it stays. `status` is empty for no drain."""
    pool, server = record["pool"], record["server"]
    name = f"{pool}/{server}"
    if record["until"] is not None and record["until"] <= machine.clock.now():
        # A server taken out of service stays out.
        if status == "draining":
            lift(machine, pool, server)
        forget(journal, pool, server)
        done.append(f"the drain of {name} by {record['owner']} came to its end")
        return False
    if not there and journal.pending is None:
        done.append(f"dropped the drain of {name} by {record['owner']}: it left the configuration")
        return False
    if there and not status:
        put(machine, pool, server)
        done.append(f"drained {name} again for {record['owner']}")
    return True


def put(machine: Machine, pool: str, server: str) -> None:
    """Keep new requests from a server. Raises BalancerError when the balancer does not."""
    machine.steps.run("balancer: drain", lambda: machine.driver.drain(pool, server))


def lift(machine: Machine, pool: str, server: str) -> None:
    """Give a server its share again. Raises BalancerError when the balancer does not."""
    machine.steps.run("balancer: undrain", lambda: machine.driver.undrain(pool, server))


def forget(journal: Journal, pool: str, server: str) -> None:
    """Keep a revert from draining a server again whose drain has ended meanwhile."""
    if journal.pending is not None:
        journal.pending["runtime_state"].get(pool, {}).pop(server, None)


def arm(machine: Machine, journal: Journal, again: bool = False) -> bool:
    """Arm a timer for the next end unless one is; tell whether the journal has to be written.

    With `again` the one that is armed counts for nothing. Raises Refused when systemd does not.
    """
    ends = sorted(record["until"] for record in journal.drains if record["until"] is not None)
    if not ends:
        changed, journal.drain_timer = journal.drain_timer is not None, None
        return changed
    wanted = {"until": ends[0], "boot_id": machine.clock.boot_id()}
    armed = journal.drain_timer or {}
    if not again and {key: armed.get(key) for key in wanted} == wanted:
        return False
    left = seconds_of(ends[0]) - machine.clock.wall()
    name = machine.units.new_timer()
    seconds = left if left > 0 else RETRY_SECONDS
    machine.steps.run("timer: arm", lambda: machine.units.arm(name, seconds))
    journal.drain_timer = {"name": name, **wanted}
    return True


def disarm(machine: Machine, journal: Journal, old: Optional[Dict[str, Any]]) -> None:
    """Stop the timer `old` when the journal, as it is on disk now, names another one or none."""
    if old is not None and old != journal.drain_timer:
        machine.steps.run("timer: disarm", lambda: machine.units.disarm(str(old.get("name"))))


def come_back(machine: Machine, journal: Journal) -> None:
    """After a boot, let a timer put the drains on record in force once the balancer has started."""
    if journal.drains:
        _try_again(machine, BOOT_SECONDS)


def _try_again(machine: Machine, seconds: float) -> None:
    timer = machine.units.new_timer()
    with contextlib.suppress(HostError, OSError):
        machine.steps.run("timer: arm", lambda: machine.units.arm(timer, seconds))
