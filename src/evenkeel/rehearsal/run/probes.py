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

    def heard(self, request_class: RequestClass, answer: Answer) -> None:
        """Take note of an answer that sets the pool's cookie."""
        cookie = self.cookies.get(request_class["pool"])
        clients = self.clients.setdefault(request_class["pool"], [])
        if cookie is None or not answer.server or len(clients) >= RETURNING_CLIENTS:
            return
        for line in answer.cookies:
            if "secure" in line.lower().replace(" ", "").split(";") and not request_class["tls"]:
                # A browser sends it back over TLS alone (RFC 6265, 5.4).
                continue
            pair = line.partition(";")[0].strip()
            if pair.partition("=")[0] == cookie:
                clients.append((request_class, pair, answer.server))

    async def come_back(self, client: Client) -> dict[str, Sticky]:
        """Send every client back; gives {pool: {clients, visits, moved: {server: n}, lost}}."""
        return {pool: await self._pool(client, pool) for pool in sorted(self.cookies)}

    async def _pool(self, client: Client, pool: str) -> Sticky:
        known = self.clients.get(pool, [])
        moved: dict[str, int] = {}
        lost = 0

        async def visit(request_class: RequestClass, cookie: str, server: str) -> None:
            nonlocal lost
            for _ in range(VISITS):
                request = client.maker.request(request_class, {"Cookie": cookie})
                answer = await client.one(request_class, request)
                if answer is None or not answer.server:
                    lost += 1
                elif answer.server != server:
                    moved[server] = moved.get(server, 0) + 1

        for first in range(0, len(known), 32):
            await asyncio.gather(*(visit(*one) for one in known[first : first + 32]))
        visits = VISITS * len(known)
        return {"clients": len(known), "visits": visits, "moved": moved, "lost": lost}


def numbers(
    every: Sequence[RequestClass], classes: Sequence[RequestClass], count: Count
) -> dict[str, int]:
    """Give how often to ask each of `kinds`, so that each pool gets what `every` class would bring.

    `count` is the key that says how often a class is asked.
    """
    found = {}
    for pool in {request_class["pool"] for request_class in classes}:
        mine = [request_class for request_class in classes if request_class["pool"] == pool]
        whole = sum(
            request_class[count] for request_class in every if request_class["pool"] == pool
        )
        asked = sum(request_class[count] for request_class in mine)
        for request_class in mine:
            found[request_class["name"]] = (
                -(-request_class[count] * whole // asked) if asked else request_class[count]
            )
    return found


def missing(
    classes: Sequence[RequestClass], numbers: dict[str, int], tallies: dict[str, Tally]
) -> dict[str, int]:
    """Give how often to ask each class again, so that each pool gets what was meant for it.

    `numbers` is how often each class was to be asked. What a redirect or a rule of the balancer
    answered, or was given up because of that, is asked by the pool's other classes.
    """
    found = {request_class["name"]: 0 for request_class in classes}
    for pool in {request_class["pool"] for request_class in classes}:
        names = [
            request_class["name"] for request_class in classes if request_class["pool"] == pool
        ]
        asked = {name: tallies[name] for name in names if name in tallies}
        good = [name for name, one in asked.items() if one.answered == one.sent > 0]
        short = sum(numbers[name] for name in names)
        short -= sum(one.answered + one.failed for one in asked.values())
        for name in good:
            found[name] = max(0, -(-short // len(good)))
    return found


async def _at_once(
    stubs: StubControl, seed: int, request_class: RequestClass, number: int
) -> tuple[int, TallyRecord]:
    """Have `number` requests of a class under way; give how many met at the stubs, and the tally.

    The stub servers hold each back until all are there or nobody comes any more.
    """
    client = Client(seed)
    stubs.reset()
    await client.peak(calm(request_class), number)
    return stubs.report()["peak"], client.take()[request_class["name"]]


async def peaks(
    stubs: StubControl,
    world: World,
    classes: Sequence[RequestClass],
    counted: Tallies,
) -> dict[str, Peak]:
    """Have many requests of each pool under way at once.

    Gives {pool: {asked, reached, answered, errors, milliseconds}}. The stub servers hold each
    request back until all are there, so `reached` is exact; who is not there by then waits in the
    balancer's queue. Where that looks wrong all are asked once more: they may have had bad luck.
    """
    found: dict[str, Peak] = {}
    asked = PEAK * world["concurrency"]
    for request_class in classes:
        tally = counted.get(request_class["name"])
        if request_class["pool"] in found or not tally or not tally["answered"]:
            continue
        for attempt in range(2):
            reached, met = await _at_once(stubs, world["seed"] + attempt, request_class, asked)
            found[request_class["pool"]] = {
                "asked": asked,
                "reached": reached,
                "answered": met["answered"],
                "errors": met["errors"],
                "milliseconds": met["milliseconds"]["largest"],
            }
            places = world["pools"][request_class["pool"]]["places"]
            if met["answered"] == asked and reached >= min(asked, places or asked):
                break
    return found


async def under_way(
    stubs: StubControl,
    world: World,
    classes: Sequence[RequestClass],
    counted: Tallies,
) -> dict[str, Concurrent]:
    """Have so many requests under way at once as show the weights of a pool; see `under_way`.

    Gives {pool: {"asked", "reached", "servers": {endpoint: requests}}} for pools that are counted
    so. Where not all were at the servers together, so many as were are asked once more.
    """
    found: dict[str, Concurrent] = {}
    for request_class in classes:
        pool = world["pools"][request_class["pool"]]
        number = at_one_time(pool)
        answers = (
            counted[request_class["name"]]["servers"] if request_class["name"] in counted else {}
        )
        if (
            request_class["pool"] in found
            or not number
            or not set(answers) & {*pool["endpoints"].values()}
        ):
            continue
        for attempt in range(2):
            reached, met = await _at_once(stubs, world["seed"] + attempt, request_class, number)
            servers = met["servers"]
            found[request_class["pool"]] = {"asked": number, "reached": reached, "servers": servers}
            if reached >= number == sum(servers.values()) or reached < needed(pool):
                break
            number = min(number, reached)
    return found


async def route_tests(client: Client, driver: Driver, world: World) -> list[RouteTestAnswers]:
    """Send each route test's request to each bind of its listener and say what answered."""
    answered_by: dict[str, list[str]] = {}
    for name, pool in world["pools"].items():
        for endpoint in pool["endpoints"].values():
            answered_by.setdefault(endpoint, []).append(name)
    results: list[RouteTestAnswers] = []
    for test in world["route_tests"]:
        answers: list[RouteAnswer] = []
        for request_class in test["requests"]:
            before = _requests(driver)
            answer = await client.echo(request_class)
            pools = answered_by.get(answer.server, []) if answer else []
            if len(pools) > 1:
                # Pools that share servers: only the balancer's own counters tell them apart.
                after = _requests(driver)
                pools = [pool for pool in pools if after.get(pool, 0) > before.get(pool, 0)]
            answers.append(
                {
                    "port": request_class["port"],
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
