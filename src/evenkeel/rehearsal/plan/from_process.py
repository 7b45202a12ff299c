"""Pools and servers of a handwritten configuration, as the running process has them.

The process knows names from templates, resolved addresses, weights and states, so it counts before
the file; a check reports where they differ. Hosts, paths and headers come from the file alone.
Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenkeel.host.system.driver import Observation
from evenkeel.judge.fixed import exact_share
from evenkeel.judge.verdict import PASS
from evenkeel.rehearsal.protocol.check import Check, check, few
from evenkeel.rehearsal.protocol.http import endpoint_of, is_ip
from evenkeel.rehearsal.protocol.measured_types import (
    Process,
    ProcessServer,
    Tallies,
    TallyRecord,
)
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

_OUT = ("inactive", "draining")


def facts(observed: Observation) -> Process:  # each driver's own
    """Give what the rehearsal uses of a driver's observation.

    `endpoint` is "" for a server without an address: a name without one yet, or a socket.
    """
    process: Process = {}
    for name, pool in observed["pools"].items():
        process[name] = {}
        for server, state in pool["servers"].items():
            address = str(state.get("address") or "").strip("[]")
            known = is_ip(address) and state.get("port")
            process[name][server] = {
                "endpoint": endpoint_of(address, int(state["port"])) if known else "",
                "weight": float(state.get("weight") or 0.0),
                "status": str(state["status"]),
                "backup": bool(state.get("backup")),
            }
    return process


def by_process(world: World, process: Process | None) -> World:
    """Give the world of a handwritten configuration with the servers that the process has.

    Servers at one endpoint cannot be distinguished: they count as one, with their summed weight.
    """
    if not world["by_hand"] or not process:
        return world
    pools = {
        name: _with_servers(pool, process[name]) if process.get(name) else pool
        for name, pool in world["pools"].items()
    }
    return {**world, "pools": pools}


def _with_servers(pool: PoolFacts, servers: Mapping[str, ProcessServer]) -> PoolFacts:
    first: dict[str, str] = {}
    weights: dict[str, float] = {}
    for name, server in servers.items():
        if not server["endpoint"]:
            continue
        known = first.setdefault(server["endpoint"], name)
        takes_traffic = server["status"] not in _OUT and not server["backup"]
        weights[known] = weights.get(known, 0.0) + (server["weight"] if takes_traffic else 0.0)
    if not weights:
        return pool
    out = {name for name, server in servers.items() if server["status"] in _OUT}
    return {
        **pool,
        "endpoints": {name: servers[name]["endpoint"] for name in weights},
        "weights": weights,
        "fair": dict.fromkeys(weights, 1.0 / len(weights)),
        "expected_up": sorted(name for name in weights if name not in out),
        "backups": [name for name in weights if servers[name]["backup"] and name not in out],
        "rule": pool["rule"] if any(weights.values()) else "none",
    }


def reading_check(world: World, process: Process) -> Check:
    """Report where the process has other servers than were read in the file."""
    reasons: list[str] = []
    compared = 0
    for name, pool in sorted(world["pools"].items()):
        running = _with_servers(pool, process.get(name, {}))
        compared += len(running["endpoints"])
        if process.get(name):
            reasons += _differences(name, pool, running, set(world["names"].values()))
    numbers = {"servers": compared, "differ": len(reasons)}
    title = "The running process has the servers that were read in the file"
    return check("reading", title, PASS, numbers, few(reasons, "differences"))


def _differences(name: str, file: PoolFacts, running: PoolFacts, resolved: set[str]) -> list[str]:
    differences = []
    for server in sorted({*file["endpoints"], *running["endpoints"]}):
        subject = f"server {server} of pool {name}"
        read, runs = file["endpoints"].get(server), running["endpoints"].get(server)
        if read is None or runs is None:
            where = "process" if read is None else "file"
            differences.append(f"{subject} is in the {where} alone")
            continue
        if read != runs and read.rpartition(":")[0] not in resolved:
            differences.append(f"{subject}: {read} in the file, {runs} in the process")
        was, is_now = file["weights"].get(server, 0.0), running["weights"].get(server, 0.0)
        if was != is_now:
            differences.append(f"{subject}: weight {was:g} in the file, {is_now:g} in the process")
    return differences


def inexact(world: World, tallies: Tallies) -> set[str]:
    """Give the pools whose turns were not exact, though they should be.

    On a busy machine a server that misses a health check loses turns; a second count shows whether
    the weights are wrong.
    """
    pools = set()
    for name, pool in world["pools"].items():
        counts = dict.fromkeys(pool["endpoints"], 0)
        names = {endpoint: server for server, endpoint in pool["endpoints"].items()}
        for request_class in world["classes"]:
            of_pool = request_class["pool"] == name
            tally = tallies.get(request_class["name"]) if of_pool else None
            for endpoint, number in (tally["servers"] if tally else {}).items():
                if endpoint in names:
                    counts[names[endpoint]] += number
        if pool["rule"] != "exact" or not sum(counts.values()):
            continue
        if exact_share(counts, pool["weights"])["verdict"] != PASS:
            pools.add(name)
    return pools


def recounted(first: Tallies, second: Tallies, numbers: Mapping[str, int], world: World) -> Tallies:
    """Give the counts of classes after a second count, for which `numbers` had to be sent.

    Servers are those of the second count; everything else, failures too, is the sum of both. A pool
    whose second count is incomplete keeps the first.
    """
    complete = {
        name
        for name, number in numbers.items()
        if name in second and second[name]["sent"] == number
    }
    incomplete = set(numbers) - complete
    kept = {one["pool"] for one in world["classes"] if one["name"] in incomplete}
    counted = {one["name"] for one in world["classes"] if one["pool"] not in kept} & complete
    return {
        name: _sum_of(first[name], second[name]) if name in counted else tally
        for name, tally in first.items()
    }


def _sum_of(first: TallyRecord, second: TallyRecord) -> TallyRecord:
    return {
        **first,
        "sent": first["sent"] + second["sent"],
        "answered": first["answered"] + second["answered"],
        "failed": first["failed"] + second["failed"],
        "diverted": first["diverted"] + second["diverted"],
        "again": first["again"] + second["again"],
        "servers": second["servers"],
        "statuses": _sums(first["statuses"], second["statuses"]),
        "errors": _sums(first["errors"], second["errors"]),
        "versions": _sums(first["versions"], second["versions"]),
    }


def _sums(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in sorted({*first, *second})}
