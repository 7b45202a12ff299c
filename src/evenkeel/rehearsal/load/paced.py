"""Requests at their own pace, while servers fail and in short counts.

A request without a response must not delay the next, as it would for a client that waits. It runs
inside the staging container.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.plan.request_mix import calm
from evenkeel.rehearsal.protocol.headers import SLOW
from evenkeel.rehearsal.protocol.measured_types import ClientCounts
from evenkeel.rehearsal.protocol.world_types import RequestClass

# A user has left by then.
PATIENCE_SECONDS = 3.0
PROMPT_SECONDS = 2.0
# Requests a second: to one pool, and to all.
POOL_RATE = 25.0
WHOLE_RATE = 150.0
AT_ONCE = 24


@dataclass
class PacedTally:
    """What clients met: `wrong` is a server's own 5xx, `lost` a request that no server answered."""

    sent: int = 0
    answered: int = 0
    wrong: int = 0
    lost: int = 0
    hung: int = 0
    late: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def as_record(self) -> ClientCounts:
        """Give the counts."""
        return {
            "sent": self.sent,
            "answered": self.answered,
            "wrong": self.wrong,
            "lost": self.lost,
            "hung": self.hung,
            "late": self.late,
            "servers": dict(self.servers),
            "errors": dict(self.errors),
        }


class Paced:
    """Sends requests of classes and counts what they meet, per pool."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.met: dict[str, PacedTally] = {}

    async def one(self, request_class: RequestClass, patience: float = PATIENCE_SECONDS) -> None:
        """Send one request and count it; wait `patience` seconds for its response."""
        met = self.met.setdefault(request_class["pool"], PacedTally())
        met.sent += 1
        began = time.monotonic()
        try:
            request = self.client.maker.request(calm(request_class))
            answer = await asyncio.wait_for(self.client.one(request_class, request), patience)
        except TimeoutError:
            met.hung += 1
            met.late += 1
            return
        met.late += time.monotonic() - began > PROMPT_SECONDS
        if answer is None:
            met.lost += 1
            met.errors["no answer"] += 1
        elif answer.server and answer.status >= 500:
            met.wrong += 1
            met.errors[f"status {answer.status} of a server"] += 1
        elif answer.status >= 500:
            met.lost += 1
            met.errors[f"status {answer.status}"] += 1
        else:
            met.answered += 1
            met.servers[answer.server] += 1

    async def slow(
        self, classes: Sequence[RequestClass], seconds: float
    ) -> dict[str, ClientCounts]:
        """Send each class one request that its server works on for `seconds`; count by pool."""
        met: dict[str, PacedTally] = {}

        async def one(request_class: RequestClass) -> None:
            tally = met.setdefault(request_class["pool"], PacedTally())
            tally.sent += 1
            request = self.client.maker.request(calm(request_class), {SLOW: f"{seconds:g}"})
            answer = None
            with suppress(TimeoutError):
                asking = self.client.one(request_class, request)
                answer = await asyncio.wait_for(asking, seconds + PATIENCE_SECONDS)
            if answer and answer.server and answer.status < 500:
                tally.answered += 1
            else:
                tally.lost += 1
                tally.errors[f"status {answer.status}" if answer else "no answer"] += 1

        await asyncio.gather(*(one(request_class) for request_class in classes))
        return {name: counts.as_record() for name, counts in met.items()}

    async def count(
        self, classes: Sequence[RequestClass], numbers: dict[str, int], patience: float
    ) -> dict[str, ClientCounts]:
        """Send `numbers` of requests to each pool, over all its classes in turn, and count."""
        self.met = {}
        room = asyncio.Semaphore(AT_ONCE)

        async def one(request_class: RequestClass) -> None:
            async with room:
                await self.one(request_class, patience)

        asking = []
        for pool, number in numbers.items():
            of_pool = [request_class for request_class in classes if request_class["pool"] == pool]
            asking += [one(of_pool[turn % len(of_pool)]) for turn in range(number)]
        await asyncio.gather(*asking)
        return {name: met.as_record() for name, met in self.take().items()}

    def take(self) -> dict[str, PacedTally]:
        """Give the counts per pool and start again; a late response counts where it began."""
        taken, self.met = self.met, {}
        return taken


class Trickle:
    """A steady trickle of requests to some classes, while its block lasts."""

    def __init__(self, paced: Paced, classes: Sequence[RequestClass]) -> None:
        self.paced, self.classes = paced, classes
        self.under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Trickle:
        """Start to send."""
        self.paced.met = {}
        self.sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to send; waiting requests are cancelled."""
        tasks = [self.sender, *self.under_way]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def take(self) -> dict[str, PacedTally]:
        """Give the counts so far and start again."""
        return self.paced.take()

    async def _send(self) -> None:
        pools: dict[str, list[RequestClass]] = {}
        for request_class in self.classes:
            pools.setdefault(request_class["pool"], []).append(request_class)
        pause = 1.0 / min(POOL_RATE, WHOLE_RATE / max(1, len(pools)))
        turn = 0
        while True:
            for of_pool in pools.values():
                task = asyncio.create_task(self.paced.one(of_pool[turn % len(of_pool)]))
                self.under_way.add(task)
                task.add_done_callback(self.under_way.discard)
                await asyncio.sleep(pause / len(pools))
            turn += 1
