"""Policy rules about an intent, for all balancers: mistakes that no traffic can show.

Rules about a balancer's files are in its role (`rules` of its dialect). Both give findings of one
shape; see `evenkeel.change.findings`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evenkeel.intent.routing import ask_of_test, asks_of, reached
from evenkeel.intent.share_forecast import UNKNOWN, shares, taking_traffic

STOP, TELL = "stop", "tell"
Data = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """The input of a rule: the intent, the live intent (or None), and today's date."""

    now: Data
    before: Data | None
    today: str


@dataclass(frozen=True)
class Hit:
    """One place where a rule is broken."""

    subject: str
    got: str
    pool: str | None = None
    server: str | None = None
    listener: str | None = None
    severity: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule. One that `compares` is about the change, so nothing of it is live already."""

    id: str
    severity: str
    title: str
    looks_for: str
    reason: str
    next_step: str
    find: Callable[[Seen], Iterator[Hit]]
    compares: bool = False


def policy_findings(now: Data, before: Data | None, today: str) -> list[dict[str, Any]]:
    """Give the findings about a normalised intent; `today` is a date such as 2026-12-31.

    A finding that `before` has too is `live_already`, and does not stop the change.
    """
    found = []
    for rule in RULES:
        old = set()
        if before is not None and not rule.compares:
            old = {hit.subject for hit in rule.find(Seen(before, None, today))}
        hits = rule.find(Seen(now, before, today))
        found += [_finding(rule, hit, live=hit.subject in old) for hit in hits]
    return found


def catalogue() -> list[dict[str, str]]:
    """Give every rule as the documentation shows it."""
    keys = ("severity", "title", "looks_for", "reason", "next_step")
    return [{"rule": rule.id, **{key: getattr(rule, key) for key in keys}} for rule in RULES]


def _finding(rule: Rule, hit: Hit, *, live: bool) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "severity": TELL if live else hit.severity or rule.severity,
        "live_already": live,
        "subject": hit.subject,
        "pool": hit.pool,
        "server": hit.server,
        "listener": hit.listener,
        "file": None,
        "line": None,
        "text": "",
        "title": rule.title,
        "got": hit.got,
        "reason": rule.reason,
        "next_step": rule.next_step,
    }


def _out_of_traffic(seen: Seen) -> Iterator[tuple[str, str, Data]]:
    for pool in seen.now["pools"]:
        for server in pool["servers"]:
            if server["state"] != "active":
                name = str(server["name"])
                yield str(pool["name"]), name, server


def _without_end(seen: Seen) -> Iterator[Hit]:
    for pool, name, server in _out_of_traffic(seen):
        if not server.get("until"):
            why = f", {server['reason']}" if server.get("reason") else ""
            got = f"{server['state']} without an end date{why}"
            yield Hit(f"pool {pool}, server {name}", got, pool, name)


def _over(seen: Seen) -> Iterator[Hit]:
    for pool, name, server in _out_of_traffic(seen):
        until = server.get("until")
        if until and until < seen.today:
            got = f"{server['state']} until {until}, and today is {seen.today}"
            yield Hit(f"pool {pool}, server {name}", got, pool, name)


def _shadowed(seen: Seen) -> Iterator[Hit]:
    for listener in seen.now["listeners"]:
        taken: dict[str, set[str]] = {}
        for route, ask in asks_of(listener):
            taken.setdefault(route, set()).add(reached(seen.now, ask)[0])
        for route, takers in taken.items():
            if route not in takers and len(takers) == 1:
                name = str(listener["name"])
                got = f"route {next(iter(takers))} takes all of its requests"
                yield Hit(f"listener {name}, route {route}", got, listener=name)


def _rerouted(seen: Seen) -> Iterator[Hit]:
    """Compare the pools of all routed requests before and after the change."""
    if seen.before is None:
        return
    servers = {pool["name"]: _endpoints(pool) for pool in seen.now["pools"]}
    was = {pool["name"]: _endpoints(pool) for pool in seen.before["pools"]}
    listeners = {one["name"] for one in seen.now["listeners"]}
    told = set()
    for listener in seen.before["listeners"]:
        for _, ask in asks_of(listener) if listener["name"] in listeners else ():
            route, before = reached(seen.before, ask)
            after = reached(seen.now, ask)[1]
            if before is None or before == after or (route, after) in told:
                continue
            told.add((route, after))
            if _is_renamed(was.get(before), servers.get(after or "")) or _is_tested(
                seen, route, listener["name"], after
            ):
                continue
            # A pool that comes or goes shows intention.
            meant = after is not None and (before not in servers or after not in was)
            name = str(listener["name"])
            yield Hit(
                f"listener {name}, route {route}",
                f"{ask}: pool {before} → {after or 'none'}",
                listener=name,
                severity=TELL if meant else STOP,
            )


def _endpoints(pool: Data) -> set[tuple[str, int]]:
    return {(server["address"], server["port"]) for server in pool["servers"]}


def _is_renamed(old: set[tuple[str, int]] | None, new: set[tuple[str, int]] | None) -> bool:
    return bool(old and new and 2 * len(old & new) >= len(old))


def _is_tested(seen: Seen, route: str, listener: str, pool: str | None) -> bool:
    """Whether a route test covers these requests and expects their new pool."""
    for test in seen.now["route_tests"]:
        ask = ask_of_test(test)
        if test.get("method", "GET") != "GET":
            # Such a test covers one method, not the route.
            continue
        if test["listener"] == listener and reached(seen.before or {}, ask)[0] == route:
            expects = test["expect_pool"]
            if reached(seen.now, ask)[1] == pool and (expects == pool or test["expect_status"]):
                return True
    return False


def _untested(seen: Seen) -> Iterator[Hit]:
    severity = STOP if seen.now["guardrails"].get("untested_routes") == "fail" else TELL
    tested = set()
    for test in seen.now["route_tests"]:
        tested.add((test["listener"], reached(seen.now, ask_of_test(test))[0]))
    for listener in seen.now["listeners"]:
        if listener["mode"] != "http" or not listener["routes"]:
            continue
        name = str(listener["name"])
        for route in dict.fromkeys(route for route, _ in asks_of(listener)):
            if (name, route) not in tested:
                got = "no route test reaches it"
                where = f"listener {name}, route {route}"
                yield Hit(where, got, listener=name, severity=severity)


def _over_capacity(seen: Seen) -> Iterator[Hit]:
    most = seen.now["guardrails"].get("largest_capacity_percent", 100)
    for pool in seen.now["pools"]:
        rate, known = pool.get("peak_requests_per_second"), shares(pool)
        if rate is None or known.basis == UNKNOWN:
            continue
        for server in taking_traffic(pool):
            name, capacity = str(server["name"]), server["capacity"]
            needed = rate * known.shares[name]
            if capacity is not None and needed > capacity * most / 100 + 1e-9:
                got = f"{needed:.4g} of {capacity:.4g} requests a second, allowed are {most:g} %"
                yield Hit(f"pool {pool['name']}, server {name}", got, str(pool["name"]), name)


def _pool_over_capacity(seen: Seen) -> Iterator[Hit]:
    most = seen.now["guardrails"].get("largest_capacity_percent", 100)
    for pool in seen.now["pools"]:
        rate, servers = pool.get("peak_requests_per_second"), taking_traffic(pool)
        if rate is None or any(one["capacity"] is None for one in servers):
            continue
        total = math.fsum(one["capacity"] for one in servers)
        if rate > total * most / 100 + 1e-9:
            name = str(pool["name"])
            got = f"{rate:.4g} requests a second; its active servers can take {total:.4g}"
            yield Hit(f"pool {name}", got, name)


RULES = (
    Rule(
        "out-without-end",
        TELL,
        "A server is out of traffic without an end date",
        "Servers that are draining or inactive without `until`.",
        "a forgotten server is missing at the next peak",
        "give it `until` and `reason`",
        _without_end,
    ),
    Rule(
        "out-past-its-end",
        STOP,
        "A server is out of traffic after its end date",
        "An `until` that has passed.",
        "the date has passed, so the server was forgotten or the date was wrong",
        "make the server active again, or give it another `until`",
        _over,
    ),
    Rule(
        "route-shadowed",
        STOP,
        "A route gets no requests, since an earlier route takes them all",
        "Routes whose hosts and paths are all taken by one earlier route.",
        "the first matching route wins, so the wrong pool answers",
        "put the narrower route first, or remove it",
        _shadowed,
    ),
    Rule(
        "rerouted-without-test",
        STOP,
        "Requests move to another pool, and no route test expects it",
        "Each host and path of the live routes, followed through both intents. It only tells where"
        " the pool comes or goes with the change.",
        "a mistyped, moved or removed route looks like this",
        "add a route test that expects the new pool, or correct the route",
        _rerouted,
        compares=True,
    ),
    Rule(
        "untested-route",
        TELL,
        "A route that no route test reaches",
        "Routes and defaults of http listeners with routes. With the guardrail"
        " `untested_routes: fail` it stops.",
        "the rehearsal cannot know which pool its requests should reach",
        "add a route test for it",
        _untested,
    ),
    Rule(
        "server-over-capacity",
        STOP,
        "A server needs more than it can take at the pool's peak",
        "The forecast share of `peak_requests_per_second`, against `capacity` and the guardrail"
        " `largest_capacity_percent`.",
        "it is overloaded while the others are not",
        "correct weights or capacities, or add servers",
        _over_capacity,
    ),
    Rule(
        "pool-over-capacity",
        STOP,
        "A pool's servers cannot take its peak",
        "`peak_requests_per_second` against the capacities of the active servers together.",
        "all of them are overloaded at the peak",
        "add servers, or take fewer of them out of traffic",
        _pool_over_capacity,
    ),
)
