"""Affinity: the same clients send requests before and after the change, and note their servers.

A client is an address, a key and the cookies that it was given. Before the change each of them
sends twice: a pool has affinity only where nearly all meet the same server again. `checks.affinity`
counts the clients that moved. It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from evenkeel.rehearsal.checks.affinity import has_affinity, is_tied
from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.plan.request_mix import calm
from evenkeel.rehearsal.protocol.measured_types import (
    MetByClass,
    MetTwice,
    MetTwiceByClass,
    Tallies,
)
from evenkeel.rehearsal.protocol.seeded import Draws
from evenkeel.rehearsal.protocol.world_types import RequestClass, World

# Clients of one pool, and of all.
CLIENTS = 120
ALL_CLIENTS = 3000
LEAST_CLIENTS = 24
# Enough clients to see that a pool has no affinity.
FIRST_CLIENTS = 12
AT_ONCE = 16


class AffinityClients:
    """Clients of each pool, which keep their cookies from before the change."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.cookies: dict[str, list[str]] = {}
        self.classes: dict[str, RequestClass] = {}

    async def before(
        self, client: Client, classes: Sequence[RequestClass], tallies: Tallies
    ) -> dict[str, MetTwiceByClass]:
        """Let the clients of each pool send twice.

        A pool takes part by its first class whose requests were all answered, one without TLS where
        there is one.
        """
        self.classes = {}
        for request_class in sorted(classes, key=lambda one: one["tls"]):
            tally = tallies.get(request_class["name"])
            if tally and tally["answered"] == tally["sent"] > 0:
                self.classes.setdefault(request_class["pool"], request_class)
        number = max(LEAST_CLIENTS, min(CLIENTS, ALL_CLIENTS // max(1, len(self.classes))))
        met_by_pool: dict[str, MetTwiceByClass] = {}
        for pool, request_class in self.classes.items():
            self.cookies[pool] = [""] * number
            met = await self._send_twice(client, request_class, range(FIRST_CLIENTS))
            if is_tied(met):
                rest = await self._send_twice(client, request_class, range(FIRST_CLIENTS, number))
                met = {"met": met["met"] + rest["met"], "again": met["again"] + rest["again"]}
            met_by_pool[pool] = {
                "class_name": request_class["name"],
                "met": met["met"],
                "again": met["again"],
            }
        return met_by_pool

    async def after(
        self, client: Client, before: Mapping[str, MetTwiceByClass] | None, world: World
    ) -> dict[str, MetByClass]:
        """Let the same clients send once more, to the pools with affinity."""
        met_by_pool: dict[str, MetByClass] = {}
        for pool, request_class in self.classes.items():
            if before and has_affinity(world["pools"][pool], before[pool]):
                numbers = range(len(before[pool]["met"]))
                met = await self._send(client, request_class, numbers)
                met_by_pool[pool] = {
                    "class_name": request_class["name"],
                    "met": [met[n] for n in numbers],
                }
        return met_by_pool

    async def _send_twice(
        self, client: Client, request_class: RequestClass, numbers: range
    ) -> MetTwice:
        met = await self._send(client, request_class, numbers)
        # In the same order, round robin would look like affinity.
        order = sorted(numbers, key=lambda n: Draws(self.seed, n).below(1 << 32))
        again = await self._send(client, request_class, order)
        return {"met": [met[n] for n in numbers], "again": [again[n] for n in numbers]}

    async def _send(
        self, client: Client, request_class: RequestClass, order: Sequence[int]
    ) -> dict[int, str]:
        """Give the server that each client met, by its number; "" where none answered."""
        room, cookies = asyncio.Semaphore(AT_ONCE), self.cookies[request_class["pool"]]
        # Client ids of their own cannot collide with other probes.
        own = f"visitors of {request_class['pool']}"
        named: RequestClass = {**calm(request_class), "name": own}
        met = dict.fromkeys(order, "")

        async def send(number: int) -> None:
            extra = {"Cookie": cookies[number]} if cookies[number] else None
            request = client.maker.request(named, extra, number=number)
            async with room:
                answer = await client.one(named, request)
            if answer and answer.server:
                met[number] = answer.server
                if not cookies[number]:
                    cookies[number] = kept_cookies(answer.cookies, tls=request_class["tls"])

        await asyncio.gather(*(send(number) for number in order))
        return met


def kept_cookies(lines: Sequence[str], *, tls: bool) -> str:
    """Give the cookies that a browser would send back (RFC 6265, 5.4)."""
    kept = []
    for line in lines:
        pair, *attributes = (part.strip() for part in line.split(";"))
        if tls or "secure" not in map(str.lower, attributes):
            kept.append(pair)
    return "; ".join(kept)
