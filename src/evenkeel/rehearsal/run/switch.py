"""Switches: the host's program activates a release as in production, under steady traffic.

It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from evenkeel.rehearsal.load import load_client, request_maker
from evenkeel.rehearsal.protocol.measured_types import BaseStart, StepAnswer, Switch
from evenkeel.rehearsal.protocol.paths import BASE_FILE
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.run import container
from evenkeel.rehearsal.stubs.control import StubControl

# Enough requests to show a loss, and time for the switch.
LOAD_CLIENTS = 16
LOAD_PAUSE_SECONDS = 0.02
LOAD_FIRST = 60
LOAD_AFTER_SECONDS = 0.7
LOAD_SECONDS = 180.0
_HOST_SECONDS = 60

Step = Callable[[], Awaitable[StepAnswer]]


class HostProgram:
    """The host's program, as the controller calls it for one bundle."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def call(self, verb: str, *options: str, stdin: bytes = b"") -> StepAnswer:
        """Call a verb of the program and give its answer; raises Trouble when it does not end."""
        words = container.host_program(self.world["balancer"], verb, *options)
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), _HOST_SECONDS)
        except TimeoutError:
            process.kill()
            raise container.Trouble(f"{' '.join(words)}: no end within {_HOST_SECONDS} s") from None
        return container.answer_of(process.returncode or 0, out, err)

    async def prepare(self, stubs: StubControl, steady: Sequence[RequestClass]) -> StepAnswer:
        """Give the candidate to the host's program, which checks it and changes nothing live.

        The program also tries to listen at the candidate's new ports. No server of a real host
        uses them; here the stub servers must release them meanwhile, so there is no traffic.
        """
        held = {request_class["port"] for request_class in steady}
        ports = {request_class["port"] for request_class in self.world["classes"]} - held
        released = stubs.release(ports)
        answer = await self.call(
            "prepare",
            *("--change", self.world["change_id"], "--release", self.world["release"]),
            stdin=container.archive(self.world),
        )
        stubs.serve(released)
        return answer

    async def activate(self) -> StepAnswer:
        """Activate the candidate as production does."""
        options = ["--change", self.world["change_id"], "--release", self.world["release"]]
        base: BaseStart = json.loads(Path(BASE_FILE).read_text())
        lease = ["--lease-seconds", str(container.LEASE_SECONDS)]
        if base["release"] and base["runs"]:
            lease += ["--base", base["release"]]
        return await self.call("activate", *options, *lease)

    async def confirm(self) -> StepAnswer:
        """Confirm the candidate, so that it can be rolled back."""
        return await self.call("confirm", "--change", self.world["change_id"])


async def under_load(
    seed: int, classes: Sequence[RequestClass], *steps: tuple[str, Step]
) -> Switch:
    """Run `steps`, each a name and a function, under steady traffic of `classes`.

    It stops at the first step that fails; the traffic goes on a little longer.
    """
    # One client per visit meets no limit of single users.
    visitors: list[RequestClass] = [{**request_class, "clients": 0} for request_class in classes]
    stop = asyncio.Event()
    sender = load_client.Client(seed + 1)
    load = asyncio.create_task(
        sender.run(
            request_maker.until(visitors, stop) if classes else (),
            concurrency=LOAD_CLIENTS,
            seconds=LOAD_SECONDS,
            pause=LOAD_PAUSE_SECONDS,
        )
    )
    while not load.done() and sum(t.sent for t in sender.tallies.values()) < LOAD_FIRST:
        await asyncio.sleep(0.02)
    answers: dict[str, StepAnswer] = {}
    began = time.monotonic()
    try:
        for name, step in steps:
            answers[name] = await step()
            if not answers[name]["ok"]:
                break
        seconds = time.monotonic() - began
        await asyncio.sleep(LOAD_AFTER_SECONDS)
    finally:
        stop.set()
        await load
    return {"answers": answers, "seconds": round(seconds, 2), "classes": sender.take()}
