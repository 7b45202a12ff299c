"""Single measurements of a running balancer: route tests, stickiness, concurrency, health.

It counts and judges nothing. It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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

# Clients of a sticky pool, and visits of each.
RETURNING_CLIENTS = 200
VISITS = 2
_AT_ONCE = 32
# Peak concurrency is this multiple of the average.
PEAK = 2
# The key that holds how many requests are sent.
Count = Literal["requests", "requests_before"]


class Returning:
    """Remembers the servers that clients of sticky pools were given, and sends them back."""

    def __init__(self, world: World) -> None:
        self.cookies = {
            name: pool["cookie"] for name, pool in world["pools"].items() if pool["cookie"]
        }
        self.clients: dict[str, list[tuple[RequestClass, str, str]]] = {}

    def heard(self, request_class: RequestClass, answer: Answer) -> None:
        """Remember a response that sets the pool's cookie."""
        cookie = self.cookies.get(request_class["pool"])
        clients = self.clients.setdefault(request_class["pool"], [])
        if cookie is None or not answer.server or len(clients) >= RETURNING_CLIENTS:
            return
        for line in answer.cookies:
            if "secure" in line.lower().replace(" ", "").split(";") and not request_class["tls"]:
                # RFC 6265, 5.4: browsers return it over TLS alone.
                continue
            pair = line.partition(";")[0].strip()
            if pair.partition("=")[0] == cookie:
                clients.append((request_class, pair, answer.server))

    async def come_back(self, client: Client) -> dict[str, Sticky]:
        """Send every client back, and count by pool which of them moved."""
        counts: dict[str, Sticky] = {}
        for pool in sorted(self.cookies):
            clients = self.clients.get(pool, [])
            visits = VISITS * len(clients)
            counts[pool] = {"clients": len(clients), "visits": visits, "moved": {}, "lost": 0}
            for first in range(0, len(clients), _AT_ONCE):
                some = clients[first : first + _AT_ONCE]
                await asyncio.gather(*(_visit(client, *one, counts[pool]) for one in some))
        return counts


async def _visit(
    client: Client, request_class: RequestClass, cookie: str, server: str, counts: Sticky
) -> None:
    for _ in range(VISITS):
        request = client.maker.request(request_class, {"Cookie": cookie})
        answer = await client.one(request_class, request)
        if answer is None or not answer.server:
            counts["lost"] += 1
        elif answer.server != server:
            counts["moved"][server] = counts["moved"].get(server, 0) + 1


def numbers(
    every: Sequence[RequestClass], classes: Sequence[RequestClass], count: Count
) -> dict[str, int]:
    """Give how many requests of each of `classes` to send.

    Each pool gets as many as all of its classes in `every` would send; `count` is their key.
    """
    number_of = {}
    for pool in {request_class["pool"] for request_class in classes}:
        of_pool = [one for one in classes if one["pool"] == pool]
        wanted = sum(one[count] for one in every if one["pool"] == pool)
        planned = sum(one[count] for one in of_pool)
        for one in of_pool:
            number_of[one["name"]] = -(-one[count] * wanted // planned) if planned else one[count]
    return number_of


def missing(
    classes: Sequence[RequestClass], numbers: Mapping[str, int], tallies: Mapping[str, Tally]
) -> dict[str, int]:
    """Give how many more requests of each class to send, so that each pool gets its number.

    `numbers` are those that were planned. A request that the balancer redirected, or that was given
    up for that, is replaced by the pool's other classes.
    """
    number_of = {request_class["name"]: 0 for request_class in classes}
    for pool in {request_class["pool"] for request_class in classes}:
        names = [one["name"] for one in classes if one["pool"] == pool]
        sent = {name: tallies[name] for name in names if name in tallies}
        good = [name for name, tally in sent.items() if tally.answered == tally.sent > 0]
        short = sum(numbers[name] for name in names)
        short -= sum(tally.answered + tally.failed for tally in sent.values())
        for name in good:
            number_of[name] = max(0, -(-short // len(good)))
    return number_of


async def _send_together(
    stubs: StubControl, seed: int, request_class: RequestClass, number: int
) -> tuple[int, TallyRecord]:
    """Send concurrent requests of a class; gives how many met at the stubs, and the tally."""
    client = Client(seed)
    stubs.reset()
    await client.peak(calm(request_class), number)
    return stubs.report()["peak"], client.take()[request_class["name"]]


async def peaks(
    stubs: StubControl, world: World, classes: Sequence[RequestClass], tallies: Tallies
) -> dict[str, Peak]:
    """Send concurrent requests to each pool, and count those that reached a server together.

    The stub servers hold each request back until all have arrived, so `reached` is exact; the
    others wait in the balancer's queue. A bad result is measured once more: it may be chance.
    """
    peak_of: dict[str, Peak] = {}
    sent = PEAK * world["concurrency"]
    for request_class in classes:
        pool, tally = request_class["pool"], tallies.get(request_class["name"])
        if pool in peak_of or not tally or not tally["answered"]:
            continue
        for attempt in range(2):
            reached, record = await _send_together(
                stubs, world["seed"] + attempt, request_class, sent
            )
            peak_of[pool] = {
                "asked": sent,
                "reached": reached,
                "answered": record["answered"],
                "errors": record["errors"],
                "milliseconds": record["milliseconds"]["largest"],
            }
            places = world["pools"][pool]["places"]
            if record["answered"] == sent and reached >= min(sent, places or sent):
                break
    return peak_of


async def concurrent(
    stubs: StubControl, world: World, classes: Sequence[RequestClass], tallies: Tallies
) -> dict[str, Concurrent]:
    """Send each pool whose weights need load as many concurrent requests as show them.

    Where some of them waited, it sends as many once more as reached the servers together.
    """
    counts: dict[str, Concurrent] = {}
    for request_class in classes:
        name, pool = request_class["pool"], world["pools"][request_class["pool"]]
        number, tally = at_one_time(pool), tallies.get(request_class["name"])
        own = set(tally["servers"] if tally else ()) & {*pool["endpoints"].values()}
        if name in counts or not number or not own:
            continue
        for attempt in range(2):
            reached, record = await _send_together(
                stubs, world["seed"] + attempt, request_class, number
            )
            servers = record["servers"]
            counts[name] = {"asked": number, "reached": reached, "servers": servers}
            if reached >= number == sum(servers.values()) or reached < needed(pool):
                break
            number = min(number, reached)
    return counts


async def route_tests(client: Client, driver: Driver, world: World) -> list[RouteTestAnswers]:
    """Send each route test's request to each bind of its listener; gives the responses."""
    owners: dict[str, list[str]] = {}
    for name, pool in world["pools"].items():
        for endpoint in pool["endpoints"].values():
            owners.setdefault(endpoint, []).append(name)
    results: list[RouteTestAnswers] = []
    for test in world["route_tests"]:
        answers: list[RouteAnswer] = []
        for request in test["requests"]:
            before = _requests(driver)
            answer = await client.echo(request)
            pools = owners.get(answer.server, []) if answer else []
            if len(pools) > 1:
                # Only the balancer's counters distinguish pools that share servers.
                after = _requests(driver)
                pools = [pool for pool in pools if after.get(pool, 0) > before.get(pool, 0)]
            answers.append(
                {
                    "port": request["port"],
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


def health(observed: Observation) -> Health:  # each driver's own
    """Give {pool: {server: status}} as the balancer sees its servers."""
    return {
        name: {server: str(state["status"]) for server, state in pool["servers"].items()}
        for name, pool in observed["pools"].items()
    }
