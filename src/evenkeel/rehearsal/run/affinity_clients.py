"""Clients that land on another server: the same clients, asked before and after the change.

A client is an address, a key and the cookies that it was given. Before the change each of them asks
twice: only where nearly all met the same server again do clients have a server of their own. What
they met is counted by `moved`. Runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from evenkeel.rehearsal.checks.affinity import has_affinity, is_tied
from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.load.request_maker import Request
from evenkeel.rehearsal.plan.request_mix import calm
from evenkeel.rehearsal.protocol.measured_types import (
    MetByClass,
    MetTwice,
    MetTwiceByClass,
    Tallies,
)
from evenkeel.rehearsal.protocol.seeded import Draws
from evenkeel.rehearsal.protocol.world_types import RequestClass, World

# Clients of one pool, and of all pools together.
CLIENTS = 120
ALL_CLIENTS = 3000
LEAST_CLIENTS = 24
# Where already so few are not tied to a server, the others are not asked.
FIRST_CLIENTS = 12
AT_ONCE = 16


class Visitors:
    """Clients of each pool, who remember their cookies from before the change."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.cookies: dict[str, list[str]] = {}
        self.classes: dict[str, RequestClass] = {}

    async def before(
        self, client: Client, classes: Sequence[RequestClass], counted: Tallies
    ) -> dict[str, MetTwiceByClass]:
        """Have the clients of each pool ask twice.

        Gives {pool: {"class_name", "met": [endpoint], "again": [endpoint]}}.
        """
        self.classes = _chosen(classes, counted)
        number = max(LEAST_CLIENTS, min(CLIENTS, ALL_CLIENTS // max(1, len(self.classes))))
        found: dict[str, MetTwiceByClass] = {}
        for pool, request_class in self.classes.items():
            self.cookies[pool] = [""] * number
            met = await self._twice(client, request_class, range(FIRST_CLIENTS))
            if is_tied(met):
                rest = await self._twice(client, request_class, range(FIRST_CLIENTS, number))
                met = {"met": met["met"] + rest["met"], "again": met["again"] + rest["again"]}
            found[pool] = {
                "class_name": request_class["name"],
                "met": met["met"],
                "again": met["again"],
            }
        return found

    async def _twice(self, client: Client, request_class: RequestClass, numbers: range) -> MetTwice:
        met = await self._ask(client, request_class, numbers)
        # In another order: who is served in turns must not meet the same server by that.
        order = sorted(numbers, key=lambda n: Draws(self.seed, n).below(1 << 32))
        again = await self._ask(client, request_class, order)
        return {"met": [met[n] for n in numbers], "again": [again[n] for n in numbers]}

    async def after(
        self, client: Client, before: Mapping[str, MetTwiceByClass] | None, world: World
    ) -> dict[str, MetByClass]:
        """Have the same clients ask once more, of pools where it has a meaning."""
        found: dict[str, MetByClass] = {}
        for pool, request_class in self.classes.items():
            if before and has_affinity(world["pools"][pool], before[pool]):
                numbers = range(len(before[pool]["met"]))
                met = await self._ask(client, request_class, numbers)
                found[pool] = {
                    "class_name": request_class["name"],
                    "met": [met[n] for n in numbers],
                }
        return found

    async def _ask(
        self, client: Client, request_class: RequestClass, order: Sequence[int]
    ) -> dict[int, str]:
        """Give which server each of the clients met, by their numbers; "" where none answered."""
        room, cookies = asyncio.Semaphore(AT_ONCE), self.cookies[request_class["pool"]]
        # Their own names, so that they are nobody who asked before for another reason.
        named: RequestClass = {
            **calm(request_class),
            "name": f"visitors of {request_class['pool']}",
        }
        met = dict.fromkeys(order, "")

        async def one(number: int) -> None:
            extra = {"Cookie": cookies[number]} if cookies[number] else None
            request: Request = client.maker.request(named, extra, number=number)
            async with room:
                answer = await client.one(named, request)
            if answer and answer.server:
                met[number] = answer.server
                if not cookies[number]:
                    cookies[number] = _kept(answer.cookies, tls=bool(request_class["tls"]))

        await asyncio.gather(*(one(number) for number in order))
        return met


def _kept(lines: Sequence[str], *, tls: bool) -> str:
    """Give the cookies that a browser would send back (RFC 6265, 5.4)."""
    kept = []
    for line in lines:
        pair, *more = (part.strip() for part in line.split(";"))
        if tls or "secure" not in map(str.lower, more):
            kept.append(pair)
    return "; ".join(kept)


def _chosen(classes: Sequence[RequestClass], counted: Tallies) -> dict[str, RequestClass]:
    """Give a class for each pool whose requests were all answered; a plain one where there is."""
    found: dict[str, RequestClass] = {}
    for request_class in sorted(classes, key=lambda one: bool(one["tls"])):
        tally = counted.get(request_class["name"])
        if tally and tally["answered"] == tally["sent"] > 0:
            found.setdefault(request_class["pool"], request_class)
    return found
