"""Derives what must exist in the staging container for one bundle to be rehearsed.

Everything follows from the candidate's normalised intent and a traffic profile: local addresses,
endpoints of stub servers, stand-in certificates, request classes, and each pool's intended shares
and guardrails. The servers of the base come from the running process (see `run.main`).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
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
from evenkeel.rehearsal.protocol.http import endpoint_of, is_ip
from evenkeel.rehearsal.protocol.world_types import (
    Guards,
    Plan,
    PoolFacts,
    PoolIntent,
    RouteTest,
)

CONCURRENCY = 32
# More would measure the container, not the balancer.
MOST_CONCURRENCY = 256
# Bounds of a slow answer.
LEAST_SLOW_SECONDS = 1.0
MOST_SLOW_SECONDS = 8.0
# Round robin is exact: few rounds show every share.
ROUNDS = 20
# Stand-in addresses: nothing else in the container uses them.
_STAND_IN = ipaddress.IPv4Address("127.255.0.0")


def build(
    intent: Mapping[str, Any],  # `intent.normalise` gives it
    profile: Profile = DEFAULT,
) -> Plan:
    """Give the plan for a normalised `intent` (every default filled in) and a traffic profile."""
    listeners: list[IntentListener] = intent["listeners"]
    pools: dict[str, IntentPool] = {pool["name"]: pool for pool in intent["pools"]}
    tests: list[IntentRouteTest] = intent["route_tests"]
    by_hand = bool(intent.get("by_hand"))
    servers = [server for pool in pools.values() for server in pool["servers"]]
    hosts = {server["address"] for server in servers if not is_ip(server["address"])}
    names = more_stand_ins({}, sorted(hosts))
    every_bind = [bind for listener in listeners for bind in listener["binds"]]
    binds = {(bind["address"], bind["port"]) for bind in every_bind}
    classes = request_classes.classes(listeners, pools, profile)
    judged: dict[str, PoolFacts] = {}
    for name, pool in pools.items():
        ways = {one["listener"] for one in classes if one["pool"] == name}
        if ways:
            limits = [one["max_connections"] for one in listeners if one["name"] in ways]
            limits.append(intent["limits"]["max_connections"])
            judged[name] = _facts(pool, _guards(intent["guardrails"], name), names, limits)
    request_classes.share_out(classes, judged)
    return {
        "by_hand": by_hand,
        "names": names,
        "routes": sorted({_reached(server, names) for server in servers}),
        "addresses": sorted({address for address, _ in binds if address not in ("*", "::")}),
        "stubs": sorted(
            {
                (_reached(server, names), server["port"])
                for server in servers
                if server["address"] in names or not _is_own(server, binds)
            }
        ),
        "wanted_statuses": health.well(pools.values(), names),
        "certificates": sorted(
            # The role names the files of a handwritten configuration.
            {bind["tls"]["certificate"] for bind in every_bind if bind["tls"] and not by_hand}
        ),
        "classes": classes,
        "pools": judged,
        "unreached": sorted(set(pools) - set(judged)),
        "route_tests": [_route_test(test, listeners) for test in tests],
        "untested_routes": intent["guardrails"].get("untested_routes", "allow"),
        "concurrency": min(MOST_CONCURRENCY, max(CONCURRENCY, profile.concurrency)),
        "slow_seconds": min(MOST_SLOW_SECONDS, max(LEAST_SLOW_SECONDS, profile.slowest_seconds)),
        "profile": {
            "concurrency": profile.concurrency,
            "clients": profile.clients,
            "requests_per_connection": profile.requests_per_connection,
            "largest_header_bytes": profile.largest_header_bytes,
            "largest_body_bytes": profile.largest_body_bytes,
            "slowest_seconds": profile.slowest_seconds,
            "methods": {str(method): share for method, share in profile.methods.items()},
            "other_share": profile.other_share,
            "unrouted_share": unrouted(classes, profile),
            "sha256": None,
        },
    }


def more_stand_ins(names: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """Give a stand-in address for each of further `hosts`: peers, log targets, base servers."""
    return {host: str(_STAND_IN + 1 + len(names) + number) for number, host in enumerate(hosts)}


def fair_shares(servers: Sequence[IntentServer]) -> dict[str, float]:
    """Give the share of each server if every server of the pool took traffic.

    Shares follow `capacity` when every server states one, and are equal otherwise. Weights do not
    count: a wrong weight must not make itself look fair.
    """
    known = {s["name"]: s["capacity"] for s in servers if s["capacity"] is not None}
    sizes = known if len(known) == len(servers) else {s["name"]: 1.0 for s in servers}
    total = math.fsum(sizes.values())
    return {name: size / total for name, size in sizes.items()}


def requests_needed(rule: str, weights: Mapping[str, float], tolerance: float) -> int:
    """Give how many requests distinguish the shares of a pool from wrong ones.

    For diverse assignment, luck (z standard deviations, as `judge.fixed` allows) has to be within
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


def _reached(server: IntentServer, names: Mapping[str, str]) -> str:
    return names.get(server["address"], server["address"])


def _is_own(server: IntentServer, binds: set[tuple[str, int]]) -> bool:
    """Whether a server is a listener of this very balancer."""
    address, port = server["address"], server["port"]
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
                "method": test.get("method", "GET"),
                "headers": dict(test["headers"]),
            }
            for bind in listener["binds"]
        ],
    }


def _facts(
    pool: IntentPool, guards: Guards, names: Mapping[str, str], limits: Sequence[int | None]
) -> PoolFacts:
    """Give the facts of one pool; `limits` are those of the listeners that lead to it."""
    algorithm = pool["algorithm"]["kind"]
    rules = {"round_robin": "exact", "first": "none"}
    active = [server for server in pool["servers"] if server["state"] == "active"]
    used = [server for server in active if not server["backup"]]
    weights = {
        server["name"]: float(server["weight"]) if server in used else 0.0
        for server in pool["servers"]
    }
    rule = rules.get(algorithm, "diverse") if any(weights.values()) else "none"
    own_limits = {
        server["name"]: server["max_connections"]
        for server in pool["servers"]
        if server["max_connections"] is not None
    }
    limited = bool(used) and all(server["name"] in own_limits for server in used)
    of_intent: PoolIntent = {
        "rule": rule,
        "algorithm": algorithm,
        "weights": weights,
        "fair": fair_shares(pool["servers"]),
        "endpoints": {
            server["name"]: endpoint_of(_reached(server, names), server["port"])
            for server in pool["servers"]
        },
        "expected_up": sorted(server["name"] for server in active),
        "backups": [server["name"] for server in active if server["backup"]],
        "mode": pool["mode"],
        **check_facts(pool["check"]),
        "places": sum(own_limits[server["name"]] for server in used) if limited else None,
        "limits": own_limits,
        "cookie": pool["stickiness"]["cookie"] if pool["stickiness"] else None,
        "guards": guards,
    }
    # Single requests say nothing about weights that need load.
    counted = "none" if shows_under_load_only(of_intent) else rule
    return {
        **of_intent,
        "requests": requests_needed(counted, weights, guards["share_tolerance"]),
        "room": min((limit for limit in limits if limit is not None), default=None),
        "declared_shifts": {},
    }


def _guards(
    guardrails: Mapping[str, Any],  # of any release's schema
    pool: str,
) -> Guards:
    """Give the guardrails of one pool: its own where it has some, those of all otherwise."""
    defaults = Guardrails().model_dump(mode="json")
    own = {k: v for k, v in guardrails.get("pools", {}).get(pool, {}).items() if v is not None}
    merged = {"judged": "share", **defaults, **guardrails, **own}
    return {
        "share_tolerance": merged["share_tolerance"],
        "largest_shift_points": merged["largest_shift_points"],
        "most_moved_clients_percent": merged["most_moved_clients_percent"],
        "minimum_active_servers": merged["minimum_active_servers"],
        "largest_fair_ratio": merged["largest_fair_ratio"],
        "least_fair_ratio": merged["least_fair_ratio"],
        "judged": merged["judged"],
    }
