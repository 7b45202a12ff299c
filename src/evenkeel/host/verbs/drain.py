"""Take a server out with a reason, an owner and perhaps an end; give it back."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from evenkeel.host.errors import BalancerError, Refused
from evenkeel.host.state.journal import Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.verbs import drains, revert

Answer = Dict[str, Any]


class Orders(NamedTuple):
    """Which server, why, on whose order, and for how many seconds; None is until further notice."""

    pool: str
    server: str
    reason: str
    owner: str
    seconds: Optional[int]


def drain(machine: Machine, orders: Orders) -> Answer:
    """Keep new requests from a server, on record. The same order once more changes nothing.

    Other words for a server that is drained already replace its record, and its end counts from
    now. Raises Refused for a server that is not there, or when the balancer does not drain it.
    """
    pool, server = orders.pool, orders.server
    with machine.locked("drain") as journal:
        revert.settle(machine, journal)
        _require_capable(machine)
        _require_server(machine, pool, server)
        in_force = server in drains.drained(machine).get(pool, {})
        before = drains.find(journal, pool, server)
        said = orders._asdict()
        recorded = before is not None and {key: before[key] for key in said} == said
        if not recorded:
            _record(machine, journal, orders)
        if not in_force:
            try:
                drains.put(machine, pool, server)
            except BalancerError as error:
                _replace(journal, pool, server, before)
                journal.write(machine.steps, "drain withdrawn")
                raise _unwilling(machine, "drain", pool, server, error) from None
        return {"changed": not (recorded and in_force), **_shown(journal, pool, server)}


def _record(machine: Machine, journal: Journal, orders: Orders) -> None:
    """Write the drain down, with a timer for its end, before the balancer is told."""
    before = drains.find(journal, orders.pool, orders.server) or {}
    record = {
        **orders._asdict(),
        "since": before.get("since") or machine.clock.now(),
        "until": drains.end_after(machine, orders.seconds),
    }
    _replace(journal, orders.pool, orders.server, record)
    old = journal.drain_timer
    drains.arm(machine, journal)
    journal.write(machine.steps, "drained")
    drains.disarm(machine, journal, old)


def undrain(machine: Machine, pool: str, server: str) -> Answer:
    """Give a server its share again, however it was drained; one that is not changes nothing.

    Raises Refused for a server that is neither there nor on record.
    """
    with machine.locked("undrain") as journal:
        revert.settle(machine, journal)
        _require_capable(machine)
        record = drains.find(journal, pool, server)
        if record is None:
            _require_server(machine, pool, server)
        in_force = server in drains.drained(machine).get(pool, {})
        if in_force:
            try:
                drains.lift(machine, pool, server)
            except BalancerError as error:
                raise _unwilling(machine, "undrain", pool, server, error) from None
        if record is not None or in_force:
            drains.forget(journal, pool, server)
            _replace(journal, pool, server, None)
            old = journal.drain_timer
            drains.arm(machine, journal)
            journal.write(machine.steps, "undrained")
            drains.disarm(machine, journal, old)
        return {"changed": record is not None or in_force, "pool": pool, "server": server}


def _replace(journal: Journal, pool: str, server: str, record: Optional[Dict[str, Any]]) -> None:
    others = [one for one in journal.drains if (one["pool"], one["server"]) != (pool, server)]
    journal.drains = others if record is None else [*others, record]


def _shown(journal: Journal, pool: str, server: str) -> Answer:
    record = drains.find(journal, pool, server) or {}
    return {key: record.get(key) for key in ("pool", "server", "owner", "since", "until")}


def _require_capable(machine: Machine) -> None:
    if not machine.driver.CAPABILITIES["drain"]:
        raise Refused(
            "This balancer cannot drain a server at run time",
            where=machine.driver.UNIT,
            wanted="a balancer with the capability drain",
            got=machine.driver.KIND,
            next_step="set the server's state in the intent and deploy that as a change",
        )


def _require_server(machine: Machine, pool: str, server: str) -> None:
    pools = machine.driver.loaded()["pools"]
    if server in pools.get(pool, ()):
        return
    known = pools.get(pool)
    raise Refused(
        f"There is no pool {pool} on this host"
        if known is None
        else f"There is no server {server} in pool {pool} on this host",
        where=f"{pool}/{server}",
        wanted=f"one of the pools {', '.join(sorted(pools))}"[:500]
        if known is None
        else f"one of {', '.join(known)}"[:500],
        got=pool if known is None else server,
        next_step="name a server that the running balancer has",
    )


def _unwilling(
    machine: Machine, verb: str, pool: str, server: str, error: BalancerError
) -> Refused:
    return Refused(
        f"The balancer does not {verb} the server",
        where=f"{pool}/{server}",
        wanted=f"{machine.driver.UNIT} to {verb} it",
        got=str(error)[:300],
        next_step="see the state of the balancer's unit on the host",
    )
