"""Lets servers fail under traffic, in two acts, and counts what clients meet.

First some servers of each pool fail while the others are well; then the rest fail too, and every
pool is down; then all are well again. All pools fail at the same time. `checks.failures` judges
what was counted. It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from evenkeel.host.system.driver import Driver, Observation
from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.load.paced import PATIENCE_SECONDS, Paced, PacedTally, Trickle
from evenkeel.rehearsal.plan.failure_plan import plan, refusing_at_first
from evenkeel.rehearsal.protocol.http import endpoint_of, split_endpoint
from evenkeel.rehearsal.protocol.measured_types import (
    ClientCounts,
    FailurePlan,
    FailureRun,
    PoolFailures,
)
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.run import refuse_connections
from evenkeel.rehearsal.stubs.control import StubControl
from evenkeel.rehearsal.stubs.failure_modes import ERRORS, HANG, REFUSE, WELL

# Refuse first, then answer 500: lost requests show by then.
REFUSING_SECONDS = 1.2
# The longest wait for a health check.
LONGEST_WAIT_SECONDS = 16.0
WAIT_SLACK_SECONDS = 1.5
LOOK_SECONDS = 0.2
# Shorter while an unnoticed server hangs.
HANGING_PATIENCE_SECONDS = 1.0
MOST_SLOW = 64
SETTING_OUT_SECONDS = 0.3
# Requests of a count: per server, at least and at most.
_EACH, _LEAST, _MOST = 12, 40, 360
_DOWN_REQUESTS = 12

Patience = Literal["noticed_seconds", "hang_seconds", "back_seconds"]
Pools = Mapping[str, PoolFailures]


class Failing:
    """One run of both acts on the release that is live."""

    def __init__(
        self,
        world: World,
        client: Client,
        stubs: StubControl,
        driver: Driver,
        classes: Sequence[RequestClass],
    ) -> None:
        self.world, self.client, self.stubs, self.driver = world, client, stubs, driver
        self.classes = classes
        self.paced = Paced(client)
        self.closed: set[str] = set()
        self.ruled: set[str] = set()
        self.modes: dict[str, str] = {}
        self.plan: FailurePlan = {"first": {}, "second": {}, "pools": {}}

    async def run(self) -> FailureRun:
        """Run both acts; every server is well afterwards."""
        began = time.monotonic()
        where = self.stubs.where()
        names = {request_class["pool"] for request_class in self.classes}
        self.plan = plan(self.world, where["listening"], names, where["asked"])
        pools: dict[str, PoolFailures] = {
            name: {
                "victims": parts["victims"],
                "rest": parts["rest"],
                "backups": parts["backups"],
                "noticed": {},
            }
            for name, parts in self.plan["pools"].items()
        }
        self.classes = self._classes_of(pools)
        if pools:
            began_acts = time.monotonic()
            try:
                slow = asyncio.create_task(
                    self.paced.slow(self.classes[:MOST_SLOW], self.world["slow_seconds"])
                )
                # Slow requests must reach their servers before these fail.
                await asyncio.sleep(SETTING_OUT_SECONDS)
                some = [name for name in pools if pools[name]["victims"]]
                if self.plan["first"]:
                    await self._first_act(pools, some, slow)
                for name, counts in (await slow).items():
                    pools[name]["slow"] = counts
                await self._second_act(pools, some, began_acts)
            finally:
                self.recover()
        return {"pools": pools, "seconds": round(time.monotonic() - began, 2)}

    async def _first_act(
        self, pools: Pools, some: list[str], slow: asyncio.Task[dict[str, ClientCounts]]
    ) -> None:
        """Let the victims fail; `some` are the pools that have any."""
        first = self.plan["first"]
        hang = {endpoint for endpoint, mode in first.items() if mode == HANG}
        # Users first meet the moment of failing.
        async with Trickle(self.paced, self._classes_of(some)) as trickle:
            self.fail(dict.fromkeys(refusing_at_first(self.world, self.plan), REFUSE))
            await asyncio.sleep(REFUSING_SECONDS)
            refused = trickle.take()
            self.fail(first)
            patience = self._patience(some, "noticed_seconds")
            await self._wait_until_noticed(pools, some, set(first) - hang, patience)
            noticing = trickle.take()
        for name in some:
            pools[name]["refused"] = refused.get(name, PacedTally()).as_record()
            pools[name]["noticing"] = noticing.get(name, PacedTally()).as_record()
        await slow
        active = await self.active()
        for name, counts in (await self._count(some, "rest", HANGING_PATIENCE_SECONDS)).items():
            pools[name]["noticed_by_clients"] = counts
            hanging = [(name, *server) for server in self._servers(name) if server[1] in hang]
            pools[name]["hanging"] = sum(1 for server in hanging if server in active)

    async def _second_act(self, pools: Pools, some: list[str], began: float) -> None:
        """Let the other servers fail too, and then all recover."""
        second = self.plan["second"]
        hang = {endpoint for endpoint, mode in self.plan["first"].items() if mode == HANG}
        self.fail(second)
        patience = self._patience(pools, "noticed_seconds")
        if hang:
            left = self._patience(some, "hang_seconds") - (time.monotonic() - began)
            patience = max(patience, left)
        await self._wait_until_noticed(pools, pools, {*hang, *second}, patience)
        for name, counts in (await self._count(pools, "")).items():
            pools[name]["down"] = counts
        for name, facts in pools.items():
            servers = self._servers(name)
            facts["modes"] = {s: self.modes.get(endpoint, WELL) for s, endpoint in servers}
        self.recover()
        away = await self._wait_until_back(pools)
        for name, counts in (await self._count(pools, "servers")).items():
            pools[name]["back"] = {**counts, "away": away.get(name, [])}

    def fail(self, modes: Mapping[str, str]) -> None:
        """Let endpoints fail in the given way; those that refused before may answer again."""
        refuse = {endpoint for endpoint, mode in modes.items() if mode == REFUSE}
        self._listen(endpoint for endpoint in modes if endpoint not in refuse)
        shared = refuse_connections.wildcard_ports()
        ruled = {endpoint for endpoint in refuse if split_endpoint(endpoint)[1] in shared}
        ruled -= self.ruled
        closed = refuse - ruled - self.ruled - self.closed
        self.stubs.fail(modes, closed)
        refuse_connections.refuse(ruled)
        self.ruled |= ruled
        self.closed |= closed
        self.modes |= modes

    def recover(self) -> None:
        """Let every server be well again."""
        self._listen(self.modes)
        self.stubs.well(dict.fromkeys(self.modes, WELL))
        self.modes.clear()

    def _listen(self, endpoints: Iterable[str]) -> None:
        failing = set(endpoints)
        opened, ruled = self.closed & failing, self.ruled & failing
        if opened:
            # They answer 500 at first: none is well for a moment.
            places = [split_endpoint(endpoint) for endpoint in sorted(opened)]
            self.stubs.well(dict.fromkeys(opened, ERRORS), places)
        refuse_connections.take_again(ruled)
        self.closed -= opened
        self.ruled -= ruled

    def _classes_of(self, pools: Iterable[str]) -> list[RequestClass]:
        names = set(pools)
        return [request_class for request_class in self.classes if request_class["pool"] in names]

    async def _wait_until_noticed(
        self, pools: Pools, names: Iterable[str], failing: set[str], seconds: float
    ) -> None:
        """Wait until the balancer holds no `failing` endpoint for active, and note what it did."""
        deadline = time.monotonic() + seconds
        while True:
            active, waiting = await self.active(), False
            for name in names:
                for server, endpoint in self._servers(name):
                    if endpoint in failing:
                        noticed = (name, server, endpoint) not in active
                        pools[name]["noticed"][server] = noticed
                        waiting |= not noticed
            if not waiting or time.monotonic() > deadline:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _servers(self, pool: str) -> list[tuple[str, str]]:
        """Give the servers of a pool that take traffic, each with its endpoint."""
        parts, endpoints = self.plan["pools"][pool], self.world["pools"][pool]["endpoints"]
        return [(server, endpoints[server]) for server in parts["victims"] + parts["rest"]]

    async def _wait_until_back(self, pools: Iterable[str]) -> dict[str, list[str]]:
        """Wait until every server is active again; gives those that are not, by pool."""
        deadline = time.monotonic() + self._patience(pools, "back_seconds")
        while True:
            active = await self.active()
            away: dict[str, list[str]] = {}
            for name in pools:
                for server, endpoint in self._servers(name):
                    if (name, server, endpoint) not in active:
                        away.setdefault(name, []).append(server)
            if not away or time.monotonic() > deadline:
                return away
            await asyncio.sleep(LOOK_SECONDS)

    def _patience(self, pools: Iterable[str], which: Patience) -> float:
        longest = max((self.world["pools"][name][which] for name in pools), default=0.0)
        return min(LONGEST_WAIT_SECONDS, longest + WAIT_SLACK_SECONDS) if longest else 0.0

    async def active(self) -> Active:
        """Give the servers that the balancer holds for active."""
        return Active(await asyncio.to_thread(self.driver.observe))

    async def _count(
        self, pools: Iterable[str], of: str, patience: float = PATIENCE_SECONDS
    ) -> dict[str, ClientCounts]:
        """Send each pool enough requests for the servers `of` it that should answer, and count."""
        numbers = {}
        for name in pools:
            parts = self.plan["pools"][name]
            left = {"rest": parts["rest"], "servers": parts["victims"] + parts["rest"]}.get(of)
            number = _DOWN_REQUESTS if left is None else max(_LEAST, _EACH * len(left))
            numbers[name] = min(_MOST, number)
        return await self.paced.count(self.classes, numbers, patience)


class Active:
    """The servers that the balancer holds for active, by name or else by endpoint."""

    def __init__(self, observed: Observation) -> None:
        self.by_name: dict[tuple[str, str], bool] = {}
        self.endpoints: set[str] = set()
        for pool, facts in observed["pools"].items():
            for server, state in facts["servers"].items():
                is_active = state["status"] == "active"
                self.by_name[pool, server] = is_active
                address = str(state.get("address") or "").strip("[]")
                if is_active and address:
                    self.endpoints.add(endpoint_of(address, int(state.get("port") or 0)))

    def __contains__(self, wanted: tuple[str, str, str]) -> bool:
        """Whether a (pool, server, endpoint) is active; the base may name servers otherwise."""
        pool, server, endpoint = wanted
        return self.by_name.get((pool, server), endpoint in self.endpoints)
