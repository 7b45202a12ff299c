"""Pools and servers of a hand-written configuration as the running process has them.

What the process says goes before what was read in the file: names that a template made, addresses
that were resolved, weights and states. Where the two disagree, a check tells it. Hosts, paths and
headers of rules are not known to a process: those stay as they were read.

Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from evenkeel.host.system.driver import Observation
from evenkeel.judge.fixed import exact_share
from evenkeel.judge.verdict import PASS
from evenkeel.rehearsal.protocol.check import Check, check, few
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.measured_types import Process, ProcessServer, Tallies, TallyRecord
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World


def facts(observed: Observation) -> Process:
    """Give {pool: {server: {"endpoint", "weight", "status", "backup"}}} of what a driver observed.

    `endpoint` is "" for a server without an address: its name is not resolved, or it is a socket.
    """
    return {
        name: {
            server: {
                "endpoint": _endpoint(state),
                "weight": float(state.get("weight") or 0.0),
                "status": str(state["status"]),
                "backup": bool(state.get("backup")),
            }
            for server, state in pool["servers"].items()
        }
        for name, pool in observed["pools"].items()
    }


def _endpoint(state: Mapping[str, Any]) -> str:
    address = str(state.get("address") or "").strip("[]")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return ""
    return endpoint_of(address, int(state["port"])) if state.get("port") else ""


def by_process(world: World, process: Process | None) -> World:
    """Give the world of a hand-written configuration with the servers that the process has.

    Servers at one endpoint cannot be told apart: they are one, with the weight of all of them.
    """
    if not world["by_hand"] or not process:
        return world
    pools = {
        name: _pool(pool, process[name]) if process.get(name) else pool
        for name, pool in world["pools"].items()
    }
    return {**world, "pools": pools}


def _pool(pool: PoolFacts, servers: Mapping[str, ProcessServer]) -> PoolFacts:
    first: dict[str, str] = {}
    weights: dict[str, float] = {}
    for name, one in servers.items():
        if not one["endpoint"]:
            continue
        known = first.setdefault(one["endpoint"], name)
        takes = one["status"] not in ("inactive", "draining") and not one["backup"]
        weights[known] = weights.get(known, 0.0) + (one["weight"] if takes else 0.0)
    if not weights:
        return pool
    out = {name for name, one in servers.items() if one["status"] in ("inactive", "draining")}
    backups = [name for name in weights if servers[name]["backup"] and name not in out]
    return {
        **pool,
        "endpoints": {name: servers[name]["endpoint"] for name in weights},
        "weights": weights,
        "fair": dict.fromkeys(weights, 1.0 / len(weights)),
        "expected_up": sorted(name for name in weights if name not in out),
        "backups": backups,
        "rule": pool["rule"] if any(weights.values()) else "none",
    }


def reading_check(world: World, process: Process) -> Check:
    """Tell where the process has other servers than the file was read to say."""
    reasons: list[str] = []
    compared = 0
    for name, pool in sorted(world["pools"].items()):
        has = _pool(pool, process.get(name, {}))
        compared += len(has["endpoints"])
        if process.get(name):
            reasons += _differences(name, pool, has, set(world["names"].values()))
    numbers = {"servers": compared, "differ": len(reasons)}
    title = "The process has the servers that the file was read to say"
    return check("reading", title, PASS, numbers, few(reasons, "differences"))


def _differences(name: str, read: PoolFacts, has: PoolFacts, resolved: set[str]) -> list[str]:
    found = []
    for server in sorted({*read["endpoints"], *has["endpoints"]}):
        endpoint, there = read["endpoints"].get(server), has["endpoints"].get(server)
        subject = f"server {server} of pool {name}"
        if endpoint is None or there is None:
            found.append(f"{subject} is in the {'process' if endpoint is None else 'file'} alone")
            continue
        if endpoint != there and endpoint.rpartition(":")[0] not in resolved:
            found.append(f"{subject}: {endpoint} in the file, {there} in the process")
        was, is_now = read["weights"].get(server, 0.0), has["weights"].get(server, 0.0)
        if was != is_now:
            found.append(f"{subject}: weight {was:g} in the file, {is_now:g} in the process")
    return found


def inexact(world: World, classes: Tallies) -> set[str]:
    """Give the pools whose turns were not exact, though every one of them should be.

    A server that missed a health check on a busy machine loses some turns; a second count tells
    that from a fault, which is there again.
    """
    found = set()
    for name, pool in world["pools"].items():
        counts = dict.fromkeys(pool["endpoints"], 0)
        names = {endpoint: server for server, endpoint in pool["endpoints"].items()}
        for request_class in world["classes"]:
            tally = classes.get(request_class["name"]) if request_class["pool"] == name else None
            for endpoint, number in (tally["servers"] if tally else {}).items():
                if endpoint in names:
                    counts[names[endpoint]] += number
        if pool["rule"] != "exact" or not sum(counts.values()):
            continue
        if exact_share(counts, pool["weights"])["verdict"] != PASS:
            found.add(name)
    return found


def recounted(first: Tallies, second: Tallies, numbers: Mapping[str, int], world: World) -> Tallies:
    """Give the counts of classes after a second count, of which `numbers` were to be sent.

    Shares are those of the second count. What failed in the first one is not forgotten: everything
    else is the sum of both. A pool of which the second count is not whole keeps the first.
    """
    whole = {
        name
        for name, number in numbers.items()
        if name in second and second[name]["sent"] == number
    }
    torn = {
        request_class["pool"]
        for request_class in world["classes"]
        if request_class["name"] in set(numbers) - whole
    }
    mine = {
        request_class["name"]
        for request_class in world["classes"]
        if request_class["pool"] not in torn
    } & whole
    return {
        name: _sum_of(first[name], second[name]) if name in mine and name in first else tally
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
