"""Single questions to a running balancer: route tests, stickiness, room at the same time, health.

Runs inside the staging container; counts, and judges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from evenkeel.host.system.driver import Driver, Observation
from evenkeel.rehearsal.load.exchange import Answer
from evenkeel.rehearsal.load.load_client import Client, Tally
from evenkeel.rehearsal.plan.concurrent_shares import at_one_time, needed
from evenkeel.rehearsal.plan.request_mix import calm
from evenkeel.rehearsal.protocol.measured_types import (
    Concurrent,
    Health,
    Peak,
    RouteAnswer,
    RouteTestAnswers,
    Sticky,
    Tallies,
    TallyRecord,
)
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.stubs.control import StubControl

# Clients of a sticky pool that come back with their cookie, at most, and how often each does.
RETURNING_CLIENTS = 200
VISITS = 2
# At the peak of a day, so many times the usual number are under way.
PEAK = 2
# Which of its numbers says how often a class is asked.
Count = Literal["requests", "requests_before"]


class Returning:
    """Remembers which server the clients of sticky pools were given, and sends them back."""

    def __init__(self, world: World) -> None:
        self.cookies = {
            name: pool["cookie"] for name, pool in world["pools"].items() if pool["cookie"]
        }
        self.clients: dict[str, list[tuple[RequestClass, str, str]]] = {}

    def heard(self, kind: RequestClass, answer: Answer) -> None:
        """Take note of an answer that sets the pool's cookie."""
        cookie = self.cookies.get(kind["pool"])
        clients = self.clients.setdefault(kind["pool"], [])
        if cookie is None or not answer.server or len(clients) >= RETURNING_CLIENTS:
            return
        for line in answer.cookies:
            if "secure" in line.lower().replace(" ", "").split(";") and not kind["tls"]:
                # A browser sends it back over TLS alone (RFC 6265, 5.4).
                continue
            pair = line.partition(";")[0].strip()
            if pair.partition("=")[0] == cookie:
                clients.append((kind, pair, answer.server))

    async def come_back(self, client: Client) -> dict[str, Sticky]:
        """Send every client back; gives {pool: {clients, visits, moved: {server: n}, lost}}."""
        return {pool: await self._pool(client, pool) for pool in sorted(self.cookies)}

    async def _pool(self, client: Client, pool: str) -> Sticky:
        known = self.clients.get(pool, [])
        moved: dict[str, int] = {}
        lost = 0

        async def visit(kind: RequestClass, cookie: str, server: str) -> None:
            nonlocal lost
            for _ in range(VISITS):
                request = client.maker.request(kind, {"Cookie": cookie})
                answer = await client.one(kind, request)
                if answer is None or not answer.server:
                    lost += 1
                elif answer.server != server:
                    moved[server] = moved.get(server, 0) + 1

        for first in range(0, len(known), 32):
            await asyncio.gather(*(visit(*one) for one in known[first : first + 32]))
        visits = VISITS * len(known)
        return {"clients": len(known), "visits": visits, "moved": moved, "lost": lost}


def numbers(
    every: Sequence[RequestClass], kinds: Sequence[RequestClass], count: Count
) -> dict[str, int]:
    """Give how often to ask each of `kinds`, so that each pool gets what `every` class would bring.

    `count` is the key that says how often a class is asked.
    """
    found = {}
    for pool in {kind["pool"] for kind in kinds}:
        mine = [kind for kind in kinds if kind["pool"] == pool]
        whole = sum(kind[count] for kind in every if kind["pool"] == pool)
        asked = sum(kind[count] for kind in mine)
        for kind in mine:
            found[kind["name"]] = -(-kind[count] * whole // asked) if asked else kind[count]
    return found


def missing(
    kinds: Sequence[RequestClass], numbers: dict[str, int], tallies: dict[str, Tally]
) -> dict[str, int]:
    """Give how often to ask each class again, so that each pool gets what was meant for it.

    `numbers` is how often each class was to be asked. What a redirect or a rule of the balancer
    answered, or was given up because of that, is asked by the pool's other classes.
    """
    found = {kind["name"]: 0 for kind in kinds}
    for pool in {kind["pool"] for kind in kinds}:
        names = [kind["name"] for kind in kinds if kind["pool"] == pool]
        asked = {name: tallies[name] for name in names if name in tallies}
        good = [name for name, one in asked.items() if one.answered == one.sent > 0]
        short = sum(numbers[name] for name in names)
        short -= sum(one.answered + one.failed for one in asked.values())
        for name in good:
            found[name] = max(0, -(-short // len(good)))
    return found


async def _at_once(
    stubs: StubControl, seed: int, kind: RequestClass, number: int
) -> tuple[int, TallyRecord]:
    """Have `number` requests of a class under way; give how many met at the stubs, and the tally.

    The stub servers hold each back until all are there or nobody comes any more.
    """
    client = Client(seed)
    stubs.reset()
    await client.peak(calm(kind), number)
    return stubs.report()["peak"], client.take()[kind["name"]]


async def peaks(
    stubs: StubControl,
    world: World,
    kinds: Sequence[RequestClass],
    counted: Tallies,
) -> dict[str, Peak]:
    """Have many requests of each pool under way at once.

    Gives {pool: {asked, reached, answered, errors, milliseconds}}. The stub servers hold each
    request back until all are there, so `reached` is exact; who is not there by then waits in the
    balancer's queue. Where that looks wrong all are asked once more: they may have had bad luck.
    """
    found: dict[str, Peak] = {}
    asked = PEAK * world["concurrency"]
    for kind in kinds:
        tally = counted.get(kind["name"])
        if kind["pool"] in found or not tally or not tally["answered"]:
            continue
        for attempt in range(2):
            reached, met = await _at_once(stubs, world["seed"] + attempt, kind, asked)
            found[kind["pool"]] = {
                "asked": asked,
                "reached": reached,
                "answered": met["answered"],
                "errors": met["errors"],
                "milliseconds": met["milliseconds"]["largest"],
            }
            places = world["pools"][kind["pool"]]["places"]
            if met["answered"] == asked and reached >= min(asked, places or asked):
                break
    return found


async def under_way(
    stubs: StubControl,
    world: World,
    kinds: Sequence[RequestClass],
    counted: Tallies,
) -> dict[str, Concurrent]:
    """Have so many requests under way at once as show the weights of a pool; see `under_way`.

    Gives {pool: {"asked", "reached", "servers": {endpoint: requests}}} for pools that are counted
    so. Where not all were at the servers together, so many as were are asked once more.
    """
    found: dict[str, Concurrent] = {}
    for kind in kinds:
        pool = world["pools"][kind["pool"]]
        number = at_one_time(pool)
        answers = counted[kind["name"]]["servers"] if kind["name"] in counted else {}
        if kind["pool"] in found or not number or not set(answers) & {*pool["endpoints"].values()}:
            continue
        for attempt in range(2):
            reached, met = await _at_once(stubs, world["seed"] + attempt, kind, number)
            servers = met["servers"]
            found[kind["pool"]] = {"asked": number, "reached": reached, "servers": servers}
            if reached >= number == sum(servers.values()) or reached < needed(pool):
                break
            number = min(number, reached)
    return found


async def route_tests(client: Client, driver: Driver, world: World) -> list[RouteTestAnswers]:
    """Send each route test's request to each bind of its listener and say what answered."""
    answered_by: dict[str, list[str]] = {}
    for name, pool in world["pools"].items():
        for here in pool["endpoints"].values():
            answered_by.setdefault(here, []).append(name)
    results: list[RouteTestAnswers] = []
    for test in world["route_tests"]:
        answers: list[RouteAnswer] = []
        for kind in test["requests"]:
            before = _requests(driver)
            answer = await client.echo(kind)
            pools = answered_by.get(answer.server, []) if answer else []
            if len(pools) > 1:
                # Pools that share servers: only the balancer's own counters tell them apart.
                after = _requests(driver)
                pools = [pool for pool in pools if after.get(pool, 0) > before.get(pool, 0)]
            answers.append(
                {
                    "port": kind["port"],
                    "status": answer.status if answer else None,
                    "server": answer.server if answer else "",
                    "pools": pools,
                }
            )
        results.append({"name": test["name"], "answers": answers})
    return results


def _requests(driver: Driver) -> dict[str, int]:
    pools = driver.observe()["pools"]
    return {
        name: sum(int(server["requests"]) for server in pool["servers"].values())
        for name, pool in pools.items()
    }


def health(observed: Observation) -> Health:
    """Give {pool: {server: status}} as the balancer sees its servers."""
    return {
        name: {server: str(state["status"]) for server, state in pool["servers"].items()}
        for name, pool in observed["pools"].items()
    }
