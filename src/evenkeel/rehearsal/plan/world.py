"""What must exist in the staging container for one bundle to be rehearsed, as plain JSON.

Everything is derived from the candidate's normalised intent: addresses to make local, endpoints to
put stub servers at, stand-in certificates, the classes of requests that its routes are made for,
and, for each pool, the shares that are intended and the guardrails that bound them. The servers of
what is live now come from the running process (see `inside`).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evenkeel.judge.settings import DEFAULT_TOLERANCE
from evenkeel.profile.traffic_profile import DEFAULT, Profile, facts
from evenkeel.rehearsal.plan import health, request_classes
from evenkeel.rehearsal.plan.concurrent_shares import shows_under_load_only
from evenkeel.rehearsal.plan.failures import check_facts
from evenkeel.rehearsal.plan.request_classes import LEAST_REQUESTS, MOST_REQUESTS, target
from evenkeel.rehearsal.plan.request_mix import unrouted
from evenkeel.rehearsal.plan.requests import ANY_HOST
from evenkeel.rehearsal.protocol.http import endpoint

CONCURRENCY = 32
# More at the same time than this measures the container's two ends and not the balancer.
MOST_CONCURRENCY = 256
# A slow answer is at least slower than a usual one; nobody waits longer for it in a rehearsal.
LEAST_SLOW_SECONDS = 1.0
MOST_SLOW_SECONDS = 8.0
# Round robin is exact, so few rounds show everything; with hashing, luck has to shrink first.
ROUNDS = 20
# Sample for luck of at most a tolerance: judge.fixed allows 3 to 4.5 standard deviations of luck.
_LARGEST_FAIR_RATIO = 2.0
_LEAST_FAIR_RATIO = 0.1
# Server names are resolved to addresses of this prefix: nothing else in the container has them.
_STAND_IN = ipaddress.IPv4Address("127.255.0.0")


def build(intent: Mapping[str, Any], profile: Profile = DEFAULT) -> dict[str, Any]:
    """Give the world of a normalised `intent` (every default filled in) and a traffic profile."""
    names = stand_ins(intent)
    pools = {pool["name"]: pool for pool in intent["pools"]}
    binds = {
        (bind["address"], bind["port"])
        for listener in intent["listeners"]
        for bind in listener["binds"]
    }
    told = {**facts(profile), "rows": [row.model_dump() for row in profile.rows]}
    asked = request_classes.classes(intent["listeners"], pools, told)
    judged = {
        name: {**_pool(pool, intent["guardrails"], names), "room": _room(intent, name, asked)}
        for name, pool in pools.items()
        if any(kind["pool"] == name for kind in asked)
    }
    request_classes.share_out(asked, judged)
    return {
        "by_hand": bool(intent.get("by_hand")),
        "names": names,
        "routes": sorted({_reached(server, names) for server in _servers(intent)}),
        "addresses": sorted({address for address, _ in binds if address not in ("*", "::")}),
        "stubs": sorted(
            {
                (_reached(server, names), server["port"])
                for server in _servers(intent)
                if server["address"] in names
                or not _is_own(server["address"], server["port"], binds)
            }
        ),
        "wanted_statuses": health.well(intent["pools"], names),
        "certificates": sorted(
            {
                bind["tls"]["certificate"]
                for listener in intent["listeners"]
                for bind in listener["binds"]
                # What a person wrote may name a folder: its files are stood in for by the role.
                if bind["tls"] and not intent.get("by_hand")
            }
        ),
        "classes": asked,
        "pools": judged,
        "unreached": sorted(set(pools) - set(judged)),
        "route_tests": [_route_test(test, intent["listeners"]) for test in intent["route_tests"]],
        "untested_routes": intent["guardrails"].get("untested_routes", "allow"),
        "concurrency": min(MOST_CONCURRENCY, max(CONCURRENCY, profile.concurrency)),
        "slow_seconds": min(MOST_SLOW_SECONDS, max(LEAST_SLOW_SECONDS, profile.slowest_seconds)),
        "profile": facts(profile) | {"unrouted_share": unrouted(asked, told["rows"])},
    }


def stand_ins(intent: Mapping[str, Any]) -> dict[str, str]:
    """Give an address of the container's own for each server that is known by a host name."""
    hosts = sorted({s["address"] for s in _servers(intent) if not _is_ip(s["address"])})
    return {host: str(_STAND_IN + 1 + number) for number, host in enumerate(hosts)}


def more_stand_ins(names: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """Give an address for each of further `hosts`: peers, log targets, servers of what is live."""
    return {host: str(_STAND_IN + 1 + len(names) + number) for number, host in enumerate(hosts)}


def fair_shares(servers: list[Mapping[str, Any]]) -> dict[str, float]:
    """Give the share of each server if all of the pool, in whatever state, took what they can.

    By `capacity` when every server states one, equal otherwise. Weights play no part: a wrong
    weight must not make itself look fair.
    """
    known = all(server["capacity"] is not None for server in servers)
    sizes = {s["name"]: float(s["capacity"]) if known else 1.0 for s in servers}
    total = math.fsum(sizes.values())
    return {name: size / total for name, size in sizes.items()}


def requests_needed(rule: str, weights: Mapping[str, float], tolerance: float) -> int:
    """Give how many requests tell the shares of a pool apart from wrong ones.

    For diverse assignment, luck (z standard deviations, as judge.fixed allows it) has to be within
    the tolerance for the smallest share s: n = (1 - s) / s * (z / tolerance)^2.
    """
    active = [weight for weight in weights.values() if weight > 0]
    if rule != "diverse" or len(active) < 2:
        needed = float(ROUNDS * len(active))
    else:
        least = min(active) / math.fsum(active)
        z_squared = 9.0 + 2.0 * math.log(max(2, len(active)) / 2.0)
        needed = 1.1 * (1.0 - least) / least * z_squared / tolerance**2
    return min(MOST_REQUESTS, max(LEAST_REQUESTS, math.ceil(needed)))


def _servers(intent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for pool in intent["pools"]:
        yield from pool["servers"]


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _reached(server: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return str(names.get(server["address"], server["address"]))


def _is_own(address: str, port: int, binds: set[tuple[str, int]]) -> bool:
    """Whether a server is a listener of this very balancer (one listener behind another)."""
    if (address, port) in binds:
        return True
    everywhere = "::" if ":" in address else "*"
    return ipaddress.ip_address(address).is_loopback and (everywhere, port) in binds


def _route_test(test: Mapping[str, Any], listeners: list[Mapping[str, Any]]) -> dict[str, Any]:
    listener = next(one for one in listeners if one["name"] == test["listener"])
    return {
        "name": test["name"],
        "expect_pool": test["expect_pool"],
        "expect_status": test["expect_status"],
        "requests": [
            {
                **target(listener, bind),
                "name": f"{test['name']} at port {bind['port']}",
                "hosts": [test["host"] or ANY_HOST],
                "paths": [[test["path"], False]],
                # A change of before there were methods has none.
                "method": test.get("method", "GET"),
                "headers": dict(test["headers"]),
            }
            for bind in listener["binds"]
        ],
    }


def _pool(
    pool: Mapping[str, Any], guardrails: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    kind = pool["algorithm"]["kind"]
    rules = {"round_robin": "exact", "first": "none"}
    guards = _guards(guardrails, pool["name"])
    weights = {
        server["name"]: float(server["weight"])
        if server["state"] == "active" and not server["backup"]
        else 0.0
        for server in pool["servers"]
    }
    rule = rules.get(kind, "diverse") if any(weights.values()) else "none"
    facts = {
        "rule": rule,
        "algorithm": kind,
        "weights": weights,
        "fair": fair_shares(pool["servers"]),
        "endpoints": {
            server["name"]: endpoint(_reached(server, names), server["port"])
            for server in pool["servers"]
        },
        "expected_up": sorted(s["name"] for s in pool["servers"] if s["state"] == "active"),
        "backups": [s["name"] for s in pool["servers"] if s["state"] == "active" and s["backup"]],
        "mode": pool["mode"],
        **check_facts(pool["check"]),
        "places": _places(pool),
        "limits": {
            server["name"]: server["max_connections"]
            for server in pool["servers"]
            if server["max_connections"] is not None
        },
        "cookie": pool["stickiness"]["cookie"] if pool["stickiness"] else None,
        "guards": guards,
    }
    # Where weights show under load only, one request after the other tells nothing of shares.
    counted = "none" if shows_under_load_only(facts) else rule
    return {**facts, "requests": requests_needed(counted, weights, guards["share_tolerance"])}


def _room(intent: Mapping[str, Any], pool: str, asked: Sequence[Mapping[str, Any]]) -> int | None:
    """Give how many requests for a pool are let in at one time; None when nothing sets a limit."""
    ways = {kind["listener"] for kind in asked if kind["pool"] == pool}
    limits = [one.get("max_connections") for one in intent["listeners"] if one["name"] in ways]
    limits.append(intent["limits"]["max_connections"])
    return min((int(limit) for limit in limits if limit is not None), default=None)


def _places(pool: Mapping[str, Any]) -> int | None:
    """Requests that the pool takes at one time by its own word; None when it sets no limit."""
    used = [s for s in pool["servers"] if s["state"] == "active" and not s["backup"]]
    limits = [server["max_connections"] for server in used]
    return sum(limits) if used and all(limit is not None for limit in limits) else None


def _guards(guardrails: Mapping[str, Any], pool: str) -> dict[str, Any]:
    """Give the guardrails of one pool: its own where it has some, those of all otherwise."""
    common = {name: value for name, value in guardrails.items() if name != "pools"}
    own = {k: v for k, v in guardrails.get("pools", {}).get(pool, {}).items() if v is not None}
    defaults = {
        "share_tolerance": DEFAULT_TOLERANCE,
        "largest_shift_points": 25.0,
        "most_moved_clients_percent": None,
        "minimum_active_servers": 1,
        "largest_fair_ratio": _LARGEST_FAIR_RATIO,
        "least_fair_ratio": _LEAST_FAIR_RATIO,
        "judged": "share",
    }
    merged = {**defaults, **common, **own}
    return {name: merged[name] for name in defaults}
