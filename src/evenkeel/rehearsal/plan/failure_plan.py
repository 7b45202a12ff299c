"""Which servers fail, how and when: a pure function of the world.

In the first act some servers of each pool fail while the others are well. In the second act the
rest fail too: then every server has failed once, and each pool is down.
Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from evenkeel.balancer.types import Check
from evenkeel.rehearsal.protocol.measured_types import FailurePlan
from evenkeel.rehearsal.protocol.world_types import CheckFacts, PoolFacts, World
from evenkeel.rehearsal.stubs.failure_modes import ERRORS, HANG, REFUSE

# Servers of a pool that fail while the others are well.
MOST_VICTIMS = 24
_SMALL_POOL = 4
# Modes of each act. Hangs are noticed last: none begins late.
_FIRST = (ERRORS, HANG, REFUSE)
_SECOND = (ERRORS, REFUSE)


def plan(
    world: World, listening: Iterable[str], pools: Iterable[str], checked: Iterable[str]
) -> FailurePlan:
    """Decide which endpoints fail in each act, and how; the same for the same seed.

    `listening` are the endpoints with a stub server, `pools` those that answered every request,
    and `checked` the endpoints whose answers a health check was seen to read.
    """
    present, answers = set(listening), set(checked)
    used = {name: in_use(world["pools"][name], present) for name in sorted(pools)}
    used = {name: servers for name, servers in used.items() if servers}
    first: dict[str, str] = {}
    for name, servers in used.items():
        endpoints = world["pools"][name]["endpoints"]
        candidates = servers
        if len(servers) > _SMALL_POOL:
            # The first, the last, and a sample of the others.
            others = servers[1:-1]
            random.Random(int(world["seed"])).shuffle(others)  # noqa: S311 (no secret)
            candidates = [servers[0], servers[-1], *others]
        for server in candidates:
            taken = {s for s in servers if endpoints[s] in first}
            if len(taken) >= most_victims(len(servers)):
                break
            endpoint = endpoints[server]
            if endpoint not in first and _leaves_enough(world, used, first, endpoint):
                modes = modes_of(world["pools"][name], answers, _FIRST)
                first[endpoint] = modes[len(taken) % len(modes)]
    second: dict[str, str] = {}
    for name, servers in used.items():
        endpoints = world["pools"][name]["endpoints"]
        fresh = [endpoints[s] for s in servers if endpoints[s] not in {**first, **second}]
        modes = modes_of(world["pools"][name], answers, _SECOND)
        second |= {endpoint: modes[n % len(modes)] for n, endpoint in enumerate(fresh)}
    made: FailurePlan = {"first": first, "second": second, "pools": {}}
    for name, servers in used.items():
        endpoints = world["pools"][name]["endpoints"]
        made["pools"][name] = {
            "victims": [s for s in servers if endpoints[s] in first],
            "rest": [s for s in servers if endpoints[s] not in first],
            "backups": [
                s
                for s in world["pools"][name]["backups"]
                if endpoints[s] in present and endpoints[s] not in {**first, **second}
            ],
        }
    return made


def refusing_at_first(world: World, made: FailurePlan) -> list[str]:
    """Give the endpoints that refuse connections before any check has noticed.

    All that fail and do not hang, but only one of a hash. A consistent hash retries the next server
    on the ring and then the first again: with two dead neighbours it finds no third, whatever the
    change.
    """
    first = made["first"]
    quick = {endpoint for endpoint, mode in first.items() if mode != HANG}
    for name, parts in made["pools"].items():
        pool = world["pools"][name]
        if pool["algorithm"] == "hash":
            victims = [pool["endpoints"][server] for server in parts["victims"]]
            own = [endpoint for endpoint in victims if endpoint in quick]
            quick -= set(sorted(own, key=lambda endpoint: first[endpoint] != REFUSE)[1:])
    return [endpoint for endpoint in first if endpoint in quick]


def check_facts(check: Check) -> CheckFacts:
    """Give how often a pool's servers are checked, and how long a failure may go unnoticed."""
    if check["kind"] == "none":
        return {
            "check": "none",
            "check_seconds": None,
            "noticed_seconds": 0.0,
            "hang_seconds": 0.0,
            "back_seconds": 0.0,
        }
    interval = check["interval_seconds"]
    return {
        "check": check["kind"],
        "check_seconds": interval,
        "noticed_seconds": interval * (check["fall"] + 1),
        # A hanging check takes an interval, and so does the pause.
        "hang_seconds": interval * (2 * check["fall"] + 1),
        "back_seconds": interval * (check["rise"] + 1),
    }


def in_use(pool: PoolFacts, present: set[str]) -> list[str]:
    """Give the servers of a pool that take traffic and have a stub server."""
    up = set(pool["expected_up"])
    return [
        server
        for server, weight in pool["weights"].items()
        if weight > 0 and server in up and pool["endpoints"][server] in present
    ]


def most_victims(servers: int) -> int:
    """Give how many of so many servers fail while the others are well."""
    if servers < 2:
        return 0
    if servers <= _SMALL_POOL:
        return 1 if servers == 2 else 2
    return min(MOST_VICTIMS, max(3, servers // 4))


def _leaves_enough(
    world: World, used: Mapping[str, list[str]], first: Mapping[str, str], endpoint: str
) -> bool:
    """Whether every pool that has the endpoint keeps enough servers when it fails too."""
    for name, servers in used.items():
        endpoints = world["pools"][name]["endpoints"]
        if endpoint not in (endpoints[s] for s in servers):
            continue
        failing = sum(1 for s in servers if endpoints[s] in first or endpoints[s] == endpoint)
        if failing > most_victims(len(servers)):
            return False
    return True


def modes_of(pool: PoolFacts, answers: set[str], modes: tuple[str, ...]) -> tuple[str, ...]:
    """Give the failures that a pool's checks can notice.

    A TCP pool, or one whose checks read no answers, notices refused connections alone.
    """
    reads = any(endpoint in answers for endpoint in pool["endpoints"].values())
    return modes if reads and pool["mode"] != "tcp" else (REFUSE,)
