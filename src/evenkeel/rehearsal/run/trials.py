"""The trials of a rehearsal, and their repetition where a result looks bad.

A bad trial is repeated on the base, which may be no better, and once more on the candidate, which
may have had bad luck. Nothing is judged here except what to repeat. It runs inside the staging
container.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evenkeel.host.system.driver import Driver
from evenkeel.rehearsal.checks import failures
from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.protocol.measured_types import FailureRun, Phase, Questions
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.run import single_requests
from evenkeel.rehearsal.run.failing_servers import Failing
from evenkeel.rehearsal.stubs.control import StubControl


class Trials:
    """The trials of one bundle, on the release that is live."""

    def __init__(self, world: World, client: Client, stubs: StubControl, driver: Driver) -> None:
        self.world, self.client, self.stubs, self.driver = world, client, stubs, driver

    async def ask(self) -> Questions:
        """Send single requests; a client of their own leaves the other counts alone."""
        return await single_requests.ask(Client(self.world["seed"] + 2), self.driver, self.world)

    async def first(self, steady: Sequence[RequestClass]) -> FailureRun:
        """Try the candidate; `steady` are the classes whose requests were all answered."""
        return await self._fail(self.world, steady)

    async def base(
        self, first: FailureRun, before: Phase, steady: Sequence[RequestClass]
    ) -> FailureRun | None:
        """Try the base where the candidate did badly; None where it did well."""
        pools = failures.suspicious(self.world, first)
        if not pools:
            return None
        world = failures.as_before(self.world, before["classes"])
        return await self._fail(world, _of(steady, set(pools) & set(world["pools"])))

    async def again(
        self, first: FailureRun, base: FailureRun | None, steady: Sequence[RequestClass]
    ) -> FailureRun | None:
        """Try the candidate once more where it did worse than `base`; None where it did not."""
        pools = failures.worse(self.world, first, base)
        return await self._fail(self.world, _of(steady, pools)) if pools else None

    async def _fail(self, world: World, classes: Sequence[RequestClass]) -> FailureRun:
        run = await Failing(world, self.client, self.stubs, self.driver, classes).run()
        self.client.take()
        return run


def _of(classes: Iterable[RequestClass], pools: set[str]) -> list[RequestClass]:
    return [request_class for request_class in classes if request_class["pool"] in pools]
