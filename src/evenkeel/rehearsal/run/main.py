"""The program that runs inside the staging container: it measures, and judges nothing.

`prepare` makes the container's world and starts the base. `converge` measures the base, activates
the candidate by the host's program under load, and measures again. `side-effect` rolls back and
forth under load, as this change's own rollback would. Each keeps one JSON object in a file and
prints it; `rehearse` runs all three. Exit code 1 with one line on standard error means that the
container itself is broken.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from evenkeel.host.errors import HostError
from evenkeel.host.system import driver as drivers
from evenkeel.rehearsal.load import load_client, request_maker
from evenkeel.rehearsal.plan import (
    from_process,
    handwritten,
    reachable,
    request_mix,
)
from evenkeel.rehearsal.protocol.measured_types import (
    BasePhase,
    BaseStart,
    CandidatePhase,
    Measured,
    NamedSwitch,
    Phase,
    Process,
    Reloads,
    StepAnswer,
    Tallies,
    TrialRuns,
)
from evenkeel.rehearsal.protocol.paths import (
    BASE_FILE,
    FOLDER,
    MEASURED_FILE,
    RELOADS_FILE,
    STUB_SOCKET,
)
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.run import container, health_wait, probes, reachability
from evenkeel.rehearsal.run.affinity_clients import AffinityClients
from evenkeel.rehearsal.run.switch import HostProgram, under_load
from evenkeel.rehearsal.run.trials import Trials
from evenkeel.rehearsal.stubs import control
from evenkeel.rehearsal.stubs.control import StubControl

PHASE_SECONDS = 60.0
NOT_REACHED: StepAnswer = {"ok": False}
_STEPS = ("prepare", "converge", "side-effect")
_BASE_FILE = Path(BASE_FILE)
_MEASURED_FILE = Path(MEASURED_FILE)
_RELOADS_FILE = Path(RELOADS_FILE)


class Rehearsal:
    """One bundle in one container."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.driver = drivers.load(world["balancer"])
        self.stubs = StubControl(STUB_SOCKET)
        self.host = HostProgram(world)
        self.client = load_client.Client(world["seed"])
        self.trials = Trials(world, self.client, self.stubs, self.driver)
        self.affinity_clients = AffinityClients(world["seed"])

    async def measure(self, count: probes.Count, without: Collection[str] = ()) -> Phase:
        """Send every class its `count` of requests, with nothing else going on."""
        tried = await reachability.scout(
            load_client.Client(self.world["seed"] + 3), self.world["classes"]
        )
        classes = [
            one for one in reachable.open_to(self.world, tried) if one["name"] not in without
        ]
        numbers = probes.numbers(self.world["classes"], classes, count)
        clients = probes.Returning(self.world)
        # Send the same requests before and after.
        self.client.maker.restart()
        self.stubs.reset()
        # Other classes replace requests that the balancer redirected.
        for again in (False, True):
            wanted = probes.missing(classes, numbers, self.client.tallies) if again else numbers
            await self.client.run(
                request_maker.shuffled(classes, wanted, self.world["seed"]),
                concurrency=self.world["concurrency"],
                seconds=PHASE_SECONDS,
                heard=clients.heard,
            )
        tallies = self.client.take()
        report = self.stubs.report()
        if count == "requests":
            # The base has other intended shares: do not recount it.
            tallies = await self.count_again(classes, tallies)
        peak = await probes.peaks(self.stubs, self.world, classes, tallies)
        concurrent = await probes.concurrent(self.stubs, self.world, classes, tallies)
        sticky = await clients.come_back(self.client)
        self.client.take()
        return {
            "classes": tallies,
            "scouted": tried,
            "seen": {
                "requests": report["requests"],
                "bodies": report["bodies"],
                "largest_body_bytes": report["largest_body_bytes"],
            },
            "peak": peak,
            "under_way": concurrent,
            "sticky": sticky,
            "questions": await self.trials.ask(),
        }

    async def count_again(self, classes: Sequence[RequestClass], tallies: Tallies) -> Tallies:
        """Send the classes of pools whose turns were not exact once more; gives all counts."""
        uneven = from_process.inexact(self.world, tallies)
        again = [request_class for request_class in classes if request_class["pool"] in uneven]
        numbers = {request_class["name"]: request_class["requests"] for request_class in again}
        await self.client.run(
            request_maker.shuffled(again, numbers, self.world["seed"] + 1),
            concurrency=self.world["concurrency"],
            seconds=PHASE_SECONDS,
        )
        return from_process.recounted(tallies, self.client.take(), numbers, self.world)

    def know(self, process: Process | None) -> None:
        """Use the servers of the process for a handwritten configuration."""
        self.world = self.trials.world = from_process.by_process(self.world, process)

    async def settle(self) -> StepAnswer:
        """Wait for the health checks; gives the servers that were not checked."""
        container.add_missing_stubs(self.stubs, self.driver.observe())
        return {"ok": True, "unchecked": await health_wait.checked(self.world, self.stubs)}

    async def activate(self) -> StepAnswer:
        """Activate the candidate; stubs answer its health checks from now on.

        They must do so before the reload: a new worker holds a server for down after one
        failed check, the old one only after some.
        """
        self.stubs.serve([], health=self.world["health"])
        return await self.host.activate()

    async def rollback(self) -> StepAnswer:
        """Roll back to the base; stubs answer its health checks from now on."""
        self.stubs.serve([], health=self.world["live_health"])
        return await self.host.call("rollback")

    async def reload(self) -> StepAnswer:
        """Reload the live release, on a host that cannot roll back."""
        proof = await asyncio.to_thread(self.driver.reload, 30.0)
        return {"ok": True, "exit": 0, "proof": proof}

    async def measure_base(self) -> BasePhase:
        """Measure the base, and which servers its clients have."""
        phase = await self.measure("requests_before")
        classes = reachable.open_to(self.world, phase["scouted"])
        visitors = await self.affinity_clients.before(self.client, classes, phase["classes"])
        self.client.take()
        return {**phase, "visitors": visitors}

    async def measure_candidate(self, before: BasePhase | None) -> CandidatePhase:
        """Measure the candidate, with its route tests and health."""
        process = from_process.facts(self.driver.observe())
        self.know(process)
        phase = await self.measure("requests", handwritten.unanswered(self.world, before))
        met = before["visitors"] if before else None
        visitors = await self.affinity_clients.after(self.client, met, self.world)
        self.client.take()
        return {
            **phase,
            "visitors": visitors,
            "process": process if self.world["by_hand"] else None,
            "health": probes.health(self.driver.observe()),
            "route_tests": await probes.route_tests(self.client, self.driver, self.world),
            "failing": await self.trials.first(reachable.steady(self.world, phase)),
        }


def prepare(world: World) -> BaseStart:
    """Make the world, and start the stub servers and the base."""
    began = time.monotonic()
    container.wait_for_boot()
    container.make_local(world, request_maker.SOURCE_PREFIX_6)
    driver = drivers.load(world["balancer"])
    stubs = container.start_stubs(world)
    bounded = container.fit(driver)
    said = ""
    if world["base"]["release"]:
        said = container.put_base(world, driver)
    if container.add_missing_stubs(stubs, driver.observe()):
        # The balancer may hold late servers for down already.
        container.run(["systemctl", "restart", driver.UNIT])
    return {
        "release": world["base"]["release"],
        "runs": not said,
        "said": said,
        "bounded": bounded,
        "seconds": _since(began),
    }


async def converge(world: World) -> Measured:
    """Measure the base, activate the candidate under load, measure again."""
    began = time.monotonic()
    rehearsal, seed = Rehearsal(world), world["seed"]
    base: BaseStart = json.loads(_BASE_FILE.read_text())
    before = None
    if base["release"] and base["runs"]:
        if world["by_hand"]:
            # Checks that stubs cannot pass fail now, before the change.
            await health_wait.checked(world, rehearsal.stubs)
        before = await rehearsal.measure_base()
    steady = [
        request_mix.certain(request_class) for request_class in reachable.steady(world, before)
    ]
    prepared = await rehearsal.host.prepare(rehearsal.stubs, steady)
    rehearsal.stubs.reset()
    switch, after = None, None
    if prepared["ok"]:
        switch = await under_load(
            seed,
            steady,
            ("activate", rehearsal.activate),
            ("settle", rehearsal.settle),
            ("confirm", rehearsal.host.confirm),
        )
        if switch["answers"].get("confirm", NOT_REACHED)["ok"]:
            after = await rehearsal.measure_candidate(before)
    return {
        "base": base,
        "before": before,
        "prepare": prepared,
        "switch": switch,
        "after": after,
        "versions": {world["balancer"]: rehearsal.driver.version()},
        "seconds": _since(began),
    }


async def side_effect(world: World) -> Reloads:
    """Roll back and forth under load: what a rollback of this change does to requests."""
    began = time.monotonic()
    measured: Measured = json.loads(_MEASURED_FILE.read_text())
    if measured["after"] is None:
        return {"reloads": [], "seconds": _since(began)}
    rehearsal, seed = Rehearsal(world), world["seed"]
    trials: TrialRuns = {}
    rehearsal.know(measured["after"]["process"])
    first = measured["after"]["failing"]
    well = reachable.steady(rehearsal.world, measured["after"], measured["before"])
    if measured["before"] is None:
        again = await under_load(seed, well, ("reload", rehearsal.reload))
        trials["again"] = await rehearsal.trials.again(first, None, well)
        only: NamedSwitch = {"name": "new to new", **again}
        return {"reloads": [only], "failing": trials, "seconds": _since(began)}
    before = reachable.steady(rehearsal.world, measured["before"], measured["after"])
    names = {request_class["name"] for request_class in before}
    await health_wait.recovered(rehearsal.driver, measured["after"]["health"])
    steady = [request_class for request_class in well if request_class["name"] in names]
    back = await under_load(seed, steady, ("rollback", rehearsal.rollback))
    reloads: list[NamedSwitch] = [{"name": "new to old", **back}]
    if back["answers"]["rollback"]["ok"]:
        health = probes.health(rehearsal.driver.observe())
        base = await rehearsal.trials.base(first, measured["before"], before)
        await health_wait.recovered(rehearsal.driver, health)
        forth = await under_load(
            seed, steady, ("activate", rehearsal.activate), ("confirm", rehearsal.host.confirm)
        )
        reloads.append({"name": "old to new", **forth})
        trials["base"] = base
        if forth["answers"].get("confirm", NOT_REACHED)["ok"]:
            trials["again"] = await rehearsal.trials.again(first, base, well)
    return {"reloads": reloads, "failing": trials, "seconds": _since(began)}


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)


def _run(verb: str) -> str:
    """Run one step, and keep its result in its file; gives it as JSON."""
    world: World = json.loads(Path(FOLDER, "world.json").read_text())
    if verb == "prepare":
        text, file = json.dumps(prepare(world)), _BASE_FILE
    elif verb == "converge":
        text, file = json.dumps(asyncio.run(converge(world))), _MEASURED_FILE
    else:
        text, file = json.dumps(asyncio.run(side_effect(world))), _RELOADS_FILE
    file.write_text(text)
    return text


def main() -> int:
    """Run one verb; `stub` serves until it is killed."""
    verb = sys.argv[1]
    if verb == "stub":
        asyncio.run(control.main(STUB_SOCKET))
        return 0
    text = ""
    for step in _STEPS if verb == "rehearse" else (verb,):
        try:
            text = _run(step)
        except (container.Trouble, OSError, HostError) as error:
            sys.stderr.write(f"{step}: {error}\n")
            return 1
    if verb != "rehearse":
        sys.stdout.write(text + "\n")
    return 0
