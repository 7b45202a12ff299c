"""What must exist in the staging container for one bundle to be rehearsed, as plain JSON.

Everything is derived from the candidate's normalised intent: addresses to make local, endpoints to
put stub servers at, stand-in certificates, the classes of requests that its routes are made for,
and, for each pool, the shares that are intended and the guardrails that bound them. The servers of
what is live now come from the running process (see `inside`).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evenkeel.intent.model import Guardrails
from evenkeel.profile.traffic_profile import DEFAULT, Profile
from evenkeel.rehearsal.plan import health, request_classes
from evenkeel.rehearsal.plan.concurrent_shares import shows_under_load_only
from evenkeel.rehearsal.plan.failure_plan import check_facts
from evenkeel.rehearsal.plan.intent_types import (
    IntentListener,
    IntentPool,
    IntentRouteTest,
    IntentServer,
)
from evenkeel.rehearsal.plan.request_classes import LEAST_REQUESTS, MOST_REQUESTS, target
from evenkeel.rehearsal.plan.request_mix import unrouted
from evenkeel.rehearsal.plan.requests import ANY_HOST
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.world_types import (
    Guards,
    Plan,
    PoolFacts,
    PoolIntent,
    ProfileFacts,
    ProfileRow,
    RequestClass,
    RouteTest,
)

CONCURRENCY = 32
# More at the same time than this measures the container's two ends and not the balancer.
MOST_CONCURRENCY = 256
# A slow answer is at least slower than a usual one; nobody waits longer for it in a rehearsal.
LEAST_SLOW_SECONDS = 1.0
MOST_SLOW_SECONDS = 8.0
# Round robin is exact, so few rounds show everything; with hashing, luck has to shrink first.
ROUNDS = 20
# Server names are resolved to addresses of this prefix: nothing else in the container has them.
_STAND_IN = ipaddress.IPv4Address("127.255.0.0")


def build(
    intent: Mapping[str, Any],  # `intent` gives it
    profile: Profile = DEFAULT,
) -> Plan:
    """Give the world of a normalised `intent` (every default filled in) and a traffic profile."""
    listeners: list[IntentListener] = intent["listeners"]
    pools: dict[str, IntentPool] = {pool["name"]: pool for pool in intent["pools"]}
    tests: list[IntentRouteTest] = intent["route_tests"]
    servers = [server for pool in pools.values() for server in pool["servers"]]
    names = stand_ins(servers)
    by_hand = bool(intent.get("by_hand"))
    every_bind = [bind for listener in listeners for bind in listener["binds"]]
    binds = {(bind["address"], bind["port"]) for bind in every_bind}
    told = profile_facts(profile)
    rows = profile_rows(profile)
    asked = request_classes.classes(listeners, pools, told, rows)
    judged: dict[str, PoolFacts] = {}
    for name, pool in pools.items():
        if any(request_class["pool"] == name for request_class in asked):
            limits = [intent["limits"]["max_connections"], *_limits(listeners, name, asked)]
            judged[name] = _pool(pool, _guards(intent["guardrails"], name), names, limits)
    request_classes.share_out(asked, judged)
    return {
        "by_hand": by_hand,
        "names": names,
        "routes": sorted({_reached(server, names) for server in servers}),
        "addresses": sorted({address for address, _ in binds if address not in ("*", "::")}),
        "stubs": sorted(
            {
                (_reached(server, names), server["port"])
                for server in servers
                if server["address"] in names
                or not _is_own(server["address"], server["port"], binds)
            }
        ),
        "wanted_statuses": health.well(pools.values(), names),
        "certificates": sorted(
            {
                bind["tls"]["certificate"]
                for bind in every_bind
                # What a person wrote may name a folder: its files are stood in for by the role.
                if bind["tls"] and not by_hand
            }
        ),
        "classes": asked,
        "pools": judged,
        "unreached": sorted(set(pools) - set(judged)),
        "route_tests": [_route_test(test, listeners) for test in tests],
        "untested_routes": intent["guardrails"].get("untested_routes", "allow"),
        "concurrency": min(MOST_CONCURRENCY, max(CONCURRENCY, profile.concurrency)),
        "slow_seconds": min(MOST_SLOW_SECONDS, max(LEAST_SLOW_SECONDS, profile.slowest_seconds)),
        "profile": {**told, "unrouted_share": unrouted(asked, rows), "sha256": None},
    }


def profile_facts(profile: Profile) -> ProfileFacts:
    """Give the numbers of a profile that the rehearsal follows."""
    return {
        "concurrency": profile.concurrency,
        "clients": profile.clients,
        "requests_per_connection": profile.requests_per_connection,
        "largest_header_bytes": profile.largest_header_bytes,
        "largest_body_bytes": profile.largest_body_bytes,
        "slowest_seconds": profile.slowest_seconds,
        "methods": {str(method): share for method, share in profile.methods.items()},
        "other_share": profile.other_share,
    }


def profile_rows(profile: Profile) -> list[ProfileRow]:
    """Give the rows of a profile."""
    return [
        {
            "listener": row.listener,
            "host": row.host,
            "path": row.path,
            "method": row.method,
            "share": row.share,
        }
        for row in profile.rows
    ]


def stand_ins(servers: Iterable[IntentServer]) -> dict[str, str]:
    """Give an address of the container's own for each server that is known by a host name."""
    hosts = sorted({s["address"] for s in servers if not _is_ip(s["address"])})
    return {host: str(_STAND_IN + 1 + number) for number, host in enumerate(hosts)}


def more_stand_ins(names: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """Give an address for each of further `hosts`: peers, log targets, servers of what is live."""
    return {host: str(_STAND_IN + 1 + len(names) + number) for number, host in enumerate(hosts)}


def fair_shares(servers: Sequence[IntentServer]) -> dict[str, float]:
    """Give the share of each server if all of the pool, in whatever state, took what they can.

    By `capacity` when every server states one, equal otherwise. Weights play no part: a wrong
    weight must not make itself look fair.
    """
    known = {s["name"]: s["capacity"] for s in servers if s["capacity"] is not None}
    sizes = known if len(known) == len(servers) else {s["name"]: 1.0 for s in servers}
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


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _reached(server: IntentServer, names: Mapping[str, str]) -> str:
    return names.get(server["address"], server["address"])


def _is_own(address: str, port: int, binds: set[tuple[str, int]]) -> bool:
    """Whether a server is a listener of this very balancer (one listener behind another)."""
    if (address, port) in binds:
        return True
    everywhere = "::" if ":" in address else "*"
    return ipaddress.ip_address(address).is_loopback and (everywhere, port) in binds


def _route_test(test: IntentRouteTest, listeners: Sequence[IntentListener]) -> RouteTest:
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
                "paths": [(test["path"], False)],
                # A change of before there were methods has none.
                "method": test.get("method", "GET"),
                "headers": dict(test["headers"]),
            }
            for bind in listener["binds"]
        ],
    }


def _pool(
    pool: IntentPool, guards: Guards, names: Mapping[str, str], limits: Sequence[int | None]
) -> PoolFacts:
    """Give the facts of one pool; `limits` are those of the ways that lead to it."""
    algorithm = pool["algorithm"]["kind"]
    rules = {"round_robin": "exact", "first": "none"}
    weights = {
        server["name"]: float(server["weight"])
        if server["state"] == "active" and not server["backup"]
        else 0.0
        for server in pool["servers"]
    }
    rule = rules.get(algorithm, "diverse") if any(weights.values()) else "none"
    facts: PoolIntent = {
        "rule": rule,
        "algorithm": algorithm,
        "weights": weights,
        "fair": fair_shares(pool["servers"]),
        "endpoints": {
            server["name"]: endpoint_of(_reached(server, names), server["port"])
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
    return {
        **facts,
        "requests": requests_needed(counted, weights, guards["share_tolerance"]),
        "room": min((limit for limit in limits if limit is not None), default=None),
        "declared_shifts": {},
    }


def _limits(
    listeners: Sequence[IntentListener], pool: str, asked: Sequence[RequestClass]
) -> list[int | None]:
    """Give how many requests each listener of a pool lets in at one time; None is no limit."""
    ways = {request_class["listener"] for request_class in asked if request_class["pool"] == pool}
    return [one["max_connections"] for one in listeners if one["name"] in ways]


def _places(pool: IntentPool) -> int | None:
    """Requests that the pool takes at one time by its own word; None when it sets no limit."""
    used = [s for s in pool["servers"] if s["state"] == "active" and not s["backup"]]
    limits = [s["max_connections"] for s in used if s["max_connections"] is not None]
    return sum(limits) if used and len(limits) == len(used) else None


def _guards(guardrails: Mapping[str, Any], pool: str) -> Guards:
    """Give the guardrails of one pool: its own where it has some, those of all otherwise."""
    common = {name: value for name, value in guardrails.items() if name != "pools"}
    own = {k: v for k, v in guardrails.get("pools", {}).get(pool, {}).items() if v is not None}
    merged = {"judged": "share", **Guardrails().model_dump(mode="json"), **common, **own}
    return {
        "share_tolerance": merged["share_tolerance"],
        "largest_shift_points": merged["largest_shift_points"],
        "most_moved_clients_percent": merged["most_moved_clients_percent"],
        "minimum_active_servers": merged["minimum_active_servers"],
        "largest_fair_ratio": merged["largest_fair_ratio"],
        "least_fair_ratio": merged["least_fair_ratio"],
        "judged": merged["judged"],
    }
