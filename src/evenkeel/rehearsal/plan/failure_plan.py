"""Which servers fail, how and when: a pure function of the world, the same for the same seed.

In the first act some servers of each pool fail while the others are well. In the second the rest
fail too, so every server has failed once, and each pool is down as a whole.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from evenkeel.rehearsal.plan.intent_types import IntentCheck
from evenkeel.rehearsal.protocol.measured_types import FailurePlan, PoolParts
from evenkeel.rehearsal.protocol.world_types import CheckFacts, PoolFacts, World
from evenkeel.rehearsal.stubs.failure_modes import ERRORS, HANG, REFUSE

# At most so many servers of a pool fail while the others are well.
MOST_VICTIMS = 24
_SMALL_POOL = 4
# How the servers of a pool fail. Who answers 500 in the first act refuses connections at first, so
# that lost requests show. A check takes longest to notice a server that hangs, so none begins late.
_FIRST = (ERRORS, HANG, REFUSE)
_SECOND = (ERRORS, REFUSE)


def plan(
    world: World, listening: Iterable[str], pools: Iterable[str], asked: Iterable[str]
) -> FailurePlan:
    """Give {"first": {endpoint: mode}, "second": {endpoint: mode}, "pools": {pool: its servers}}.

    `listening` are the endpoints that have a stub server, `asked` those whose answers were seen to
    be checked, before or after; `pools` are those that answered while all was
    well. Of each pool: {"victims": [server], "rest": [server], "backups": [server]}, where the
    rest are those that take traffic and are no victims.
    """
    there, answers = set(listening), set(asked)
    used = {name: in_use(world["pools"][name], there) for name in sorted(pools)}
    used = {name: servers for name, servers in used.items() if servers}
    first: dict[str, str] = {}
    for name, servers in used.items():
        ends = world["pools"][name]["endpoints"]
        for server in _candidates(servers, int(world["seed"])):
            taken = {s for s in servers if ends[s] in first}
            if len(taken) >= most_victims(len(servers)):
                break
            if ends[server] not in first and _leaves_enough(world, used, first, ends[server]):
                modes = modes_of(world["pools"][name], answers, _FIRST)
                first[ends[server]] = modes[len(taken) % len(modes)]
    second: dict[str, str] = {}
    for name, servers in used.items():
        ends = world["pools"][name]["endpoints"]
        fresh = [ends[s] for s in servers if ends[s] not in first and ends[s] not in second]
        modes = modes_of(world["pools"][name], answers, _SECOND)
        second |= {endpoint: modes[number % len(modes)] for number, endpoint in enumerate(fresh)}
    return {
        "first": first,
        "second": second,
        "pools": {
            name: _parts(world["pools"][name], servers, first, second, there)
            for name, servers in used.items()
        },
    }


def refusing_at_first(world: World, made: FailurePlan) -> list[str]:
    """Give the endpoints of a plan `made` that refuse connections before anybody has noticed.

    All that fail and do not hang, but only one of a hash. A request that a server of a consistent
    hash refused goes to the next one on the ring, and from there to the first one again: between
    two dead neighbours it finds no third. So are hashes, and no change is to blame for it.
    """
    first = made["first"]
    quick = {endpoint for endpoint, mode in first.items() if mode != HANG}
    for name, parts in made["pools"].items():
        pool = world["pools"][name]
        if pool["algorithm"] == "hash":
            own = [
                endpoint
                for endpoint in map(pool["endpoints"].get, parts["victims"])
                if endpoint in quick
            ]
            quick -= set(sorted(own, key=lambda endpoint: first[endpoint] != REFUSE)[1:])
    return [endpoint for endpoint in first if endpoint in quick]


def check_facts(check: IntentCheck) -> CheckFacts:
    """Give how often a pool's servers are checked, and how long a change may go unnoticed."""
    if check["kind"] == "none":
        return {
            "check": "none",
            "check_seconds": None,
            "noticed_seconds": 0.0,
            "hang_seconds": 0.0,
            "back_seconds": 0.0,
        }
    every = check["interval_seconds"]
    return {
        "check": check["kind"],
        "check_seconds": every,
        "noticed_seconds": every * (check["fall"] + 1),
        # A check that hangs is given up after an interval, and the next one begins after another.
        "hang_seconds": every * (2 * check["fall"] + 1),
        "back_seconds": every * (check["rise"] + 1),
    }


def in_use(pool: PoolFacts, there: set[str]) -> list[str]:
    """Give the servers of a pool that take traffic and have a stub server."""
    up = set(pool["expected_up"])
    return [
        server
        for server, weight in pool["weights"].items()
        if weight > 0 and server in up and pool["endpoints"][server] in there
    ]


def most_victims(servers: int) -> int:
    """Give how many of so many servers fail while the others are well."""
    if servers < 2:
        return 0
    if servers <= _SMALL_POOL:
        return 1 if servers == 2 else 2
    return min(MOST_VICTIMS, max(3, servers // 4))


def _candidates(servers: list[str], seed: int) -> list[str]:
    """Give the first, the last, and the others in an order by the seed."""
    if len(servers) <= _SMALL_POOL:
        return servers
    others = servers[1:-1]
    random.Random(seed).shuffle(others)  # noqa: S311 (a sample, no secret)
    return [servers[0], servers[-1], *others]


def _leaves_enough(
    world: World, used: Mapping[str, list[str]], first: Mapping[str, str], endpoint: str
) -> bool:
    """Whether every pool that has the endpoint keeps enough servers when it fails too."""
    for name, servers in used.items():
        ends = world["pools"][name]["endpoints"]
        if endpoint not in (ends[s] for s in servers):
            continue
        failing = sum(1 for s in servers if ends[s] in first or ends[s] == endpoint)
        if failing > most_victims(len(servers)):
            return False
    return True


def modes_of(pool: PoolFacts, answers: set[str], modes: tuple[str, ...]) -> tuple[str, ...]:
    """Give the ways to fail that a pool can be asked to notice.

    Where no check looks at answers, neither before the change nor after it, and in a TCP pool,
    nobody expects a server that answers wrongly or not at all to be noticed.
    """
    looks = any(endpoint in answers for endpoint in pool["endpoints"].values())
    return modes if looks and pool["mode"] != "tcp" else (REFUSE,)


def _parts(
    pool: PoolFacts,
    servers: list[str],
    first: Mapping[str, str],
    second: Mapping[str, str],
    there: set[str],
) -> PoolParts:
    ends = pool["endpoints"]
    return {
        "victims": [s for s in servers if ends[s] in first],
        "rest": [s for s in servers if ends[s] not in first],
        "backups": [
            s
            for s in pool["backups"]
            if ends[s] in there and ends[s] not in first and ends[s] not in second
        ],
    }
