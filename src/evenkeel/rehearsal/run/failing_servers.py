"""Have servers fail while clients ask, in two acts, and count what the clients meet.

First some servers of each pool fail while the others are well; then the rest fail too, and every
pool is down; then all are well again. All pools at the same time. It judges nothing: see
`failing_checks`. Runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
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

# So long the first server refuses connections before it answers 500: lost requests show by then.
REFUSING_SECONDS = 1.2
# Nobody waits longer than this for a health check to notice, or for a server to come back.
LONGEST_WAIT_SECONDS = 16.0
WAIT_SLACK_SECONDS = 1.5
LOOK_SECONDS = 0.2
# While a server hangs that nobody has noticed yet, as long as this and no longer.
HANGING_PATIENCE_SECONDS = 1.0
# Slow requests at most.
MOST_SLOW = 64
SETTING_OUT_SECONDS = 0.3
# Requests of a count: to those that are left, or to a pool that is down.
_EACH, _LEAST, _MOST = 12, 40, 360
_DOWN_REQUESTS = 12

Patience = Literal["noticed_seconds", "hang_seconds", "back_seconds"]


class Failing:
    """One run of both acts on what is live."""

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
        self.pools = sorted({request_class["pool"] for request_class in classes})
        self.paced = Paced(client)
        self.closed: set[str] = set()
        self.ruled: set[str] = set()
        self.modes: dict[str, str] = {}
        self.plan: FailurePlan = {"first": {}, "second": {}, "pools": {}}

    async def run(self) -> FailureRun:
        """Run both acts.

        Gives {"pools": {pool: what its clients met}, "seconds": how long all of it took}.
        """
        began = time.monotonic()
        where = self.stubs.where()
        self.plan = plan(self.world, where["listening"], self.pools, where["asked"])
        found: dict[str, PoolFailures] = {
            name: {
                "victims": parts["victims"],
                "rest": parts["rest"],
                "backups": parts["backups"],
                "noticed": {},
            }
            for name, parts in self.plan["pools"].items()
        }
        self.classes = self._classes_of(found)
        if found:
            try:
                await self._acts(found)
            finally:
                self.well()
        return {"pools": found, "seconds": round(time.monotonic() - began, 2)}

    async def _acts(self, found: dict[str, PoolFailures]) -> None:
        first, second = self.plan["first"], self.plan["second"]
        hang = {endpoint: mode for endpoint, mode in first.items() if mode == HANG}
        quick = {endpoint: mode for endpoint, mode in first.items() if mode != HANG}
        some = [name for name in found if found[name]["victims"]]
        began = time.monotonic()
        slow_seconds = self.world["slow_seconds"]
        slow = asyncio.create_task(self.paced.slow(self.classes[:MOST_SLOW], slow_seconds))
        # On their way to their servers before those fail: they are spared, whatever comes.
        await asyncio.sleep(SETTING_OUT_SECONDS)
        if first:
            # While requests go on arriving: the moment of failing is what users meet first.
            async with Trickle(self.paced, self._classes_of(some)) as trickle:
                self.fail(dict.fromkeys(refusing_at_first(self.world, self.plan), REFUSE))
                await asyncio.sleep(REFUSING_SECONDS)
                refused = trickle.take()
                self.fail(first)
                await self._wait(found, some, quick, self._patience(some, "noticed_seconds"))
                noticing = trickle.take()
            # A request that is tried again and again has its end by now.
            for name in some:
                found[name]["refused"] = refused.get(name, PacedTally()).as_record()
                found[name]["noticing"] = noticing.get(name, PacedTally()).as_record()
            await slow
            active = await self.active()
            for name, counts in (await self._count(some, "rest", HANGING_PATIENCE_SECONDS)).items():
                found[name]["noticed_by_clients"] = counts
                hanging = [(name, *one) for one in self._servers(name) if one[1] in hang]
                found[name]["hanging"] = sum(1 for one in hanging if one in active)
        for name, counts in (await slow).items():
            found[name]["slow"] = counts
        self.fail(second)
        patience = self._patience(list(found), "noticed_seconds")
        if hang:
            left = self._patience(some, "hang_seconds") - (time.monotonic() - began)
            patience = max(patience, left)
        await self._wait(found, list(found), {**hang, **second}, patience)
        for name, counts in (await self._count(list(found), "")).items():
            found[name]["down"] = counts
        for name, facts in found.items():
            facts["modes"] = {
                s: self.modes.get(endpoint, WELL) for s, endpoint in self._servers(name)
            }
        self.well()
        back = await self._wait_back(list(found))
        for name, counts in (await self._count(list(found), "servers")).items():
            found[name]["back"] = {**counts, "away": back.get(name, [])}

    def fail(self, modes: dict[str, str]) -> None:
        """Have endpoints fail in the given way, from now on; those that refused may stop to."""
        refuse = {endpoint for endpoint, mode in modes.items() if mode == REFUSE}
        again = [endpoint for endpoint in modes if endpoint not in refuse]
        self._listen(again)
        shared = refuse_connections.wildcard_ports()
        ruled = {
            endpoint for endpoint in refuse if split_endpoint(endpoint)[1] in shared
        } - self.ruled
        closed = refuse - ruled - self.ruled - self.closed
        self.stubs.fail(modes, closed)
        refuse_connections.refuse(ruled)
        self.ruled |= ruled
        self.closed |= closed
        self.modes |= modes

    def well(self) -> None:
        """Have every server well again."""
        self._listen(list(self.modes))
        self.stubs.well(dict.fromkeys(self.modes, WELL))
        self.modes.clear()

    def _listen(self, endpoints: list[str]) -> None:
        opened = self.closed.intersection(endpoints)
        modes = {endpoint: self.modes[endpoint] for endpoint in opened}
        stubs = [split_endpoint(endpoint) for endpoint in sorted(opened)]
        if stubs:
            # They answer 500 until they are told otherwise: no server is well for a moment.
            self.stubs.well(dict.fromkeys(modes, ERRORS), stubs)
        ruled = self.ruled.intersection(endpoints)
        refuse_connections.take_again(ruled)
        self.closed -= opened
        self.ruled -= ruled

    def _classes_of(self, pools: Iterable[str]) -> list[RequestClass]:
        wanted = set(pools)
        return [request_class for request_class in self.classes if request_class["pool"] in wanted]

    async def _wait(
        self,
        found: dict[str, PoolFailures],
        pools: list[str],
        failing: dict[str, str],
        seconds: float,
    ) -> None:
        """Wait until the balancer takes no server for active that is among those `failing`."""
        deadline = time.monotonic() + seconds
        while True:
            active, waiting = await self.active(), False
            for name in pools:
                for server, endpoint in self._servers(name):
                    if endpoint in failing:
                        noticed = (name, server, endpoint) not in active
                        found[name]["noticed"][server] = noticed
                        waiting |= not noticed
            if not waiting or time.monotonic() > deadline:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _servers(self, pool: str) -> list[tuple[str, str]]:
        """Give the servers of a pool that take traffic, each with its endpoint."""
        facts, ends = self.plan["pools"][pool], self.world["pools"][pool]["endpoints"]
        return [(server, ends[server]) for server in facts["victims"] + facts["rest"]]

    async def _wait_back(self, pools: list[str]) -> dict[str, list[str]]:
        """Wait until every server is active again; give those that are not, by pool."""
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

    def _patience(self, pools: list[str], which: Patience) -> float:
        known = [self.world["pools"][name][which] for name in pools]
        longest = max(known, default=0.0)
        return min(LONGEST_WAIT_SECONDS, longest + WAIT_SLACK_SECONDS) if longest else 0.0

    async def active(self) -> Active:
        """Give which servers the balancer takes for active."""
        return Active(await asyncio.to_thread(self.driver.observe))

    async def _count(
        self, pools: list[str], of: str, patience: float = PATIENCE_SECONDS
    ) -> dict[str, ClientCounts]:
        """Ask each pool so often that those that should answer show, and count."""
        numbers = {}
        for name in pools:
            facts = self.plan["pools"][name]
            left = {"rest": facts["rest"], "servers": facts["victims"] + facts["rest"]}.get(of)
            number = _DOWN_REQUESTS if left is None else max(_LEAST, _EACH * len(left))
            numbers[name] = min(_MOST, number)
        return await self.paced.count(self.classes, numbers, patience)


class Active:
    """The servers that the balancer takes for active, by name where it knows them so."""

    def __init__(self, observed: Observation) -> None:
        self.named: dict[tuple[str, str], bool] = {}
        self.places: set[str] = set()
        for pool, facts in observed["pools"].items():
            for server, state in facts["servers"].items():
                is_active = state["status"] == "active"
                self.named[pool, server] = is_active
                address = str(state.get("address") or "").strip("[]")
                if is_active and address:
                    self.places.add(endpoint_of(address, int(state.get("port") or 0)))

    def __contains__(self, wanted: tuple[str, str, str]) -> bool:
        """Whether a (pool, server, endpoint) is active: what was before may name it otherwise."""
        pool, server, endpoint = wanted
        return self.named.get((pool, server), endpoint in self.places)
