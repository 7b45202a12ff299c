"""The stub servers' process, and both ends of the unix socket that its orders come over.

One JSON object in, one out, a line each; see `orders`.
Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.paths import STUB_CERTIFICATE
from evenkeel.rehearsal.protocol.world_types import Endpoint, HealthAnswers, SpeechFacts
from evenkeel.rehearsal.stubs import dns, failure_modes, protocols, tls
from evenkeel.rehearsal.stubs.orders import (
    Order,
    Place,
    Released,
    Reply,
    Report,
    Serve,
    Served,
    Where,
)
from evenkeel.rehearsal.stubs.server import Stubs

# Orders wait behind the health checks of thousands of servers.
CONTROL_SECONDS = 120
CONTROL_LIMIT_BYTES = 64 * 1024 * 1024


async def obey(stubs: Stubs, order: Order) -> Reply:
    """Carry out one order and give its reply."""
    if order["order"] == "serve":
        stubs.health.update(order.get("health", {}))
        stubs.speaks.update(protocols.read(order.get("speaks", {})))
        stubs.over_tls.update(order.get("over_tls", []))
        if stubs.over_tls and stubs.tls is None:
            stubs.tls = tls.context(STUB_CERTIFICATE)
        await dns.serve(order.get("nameservers", []), order.get("names", {}))
        before = len(stubs.listening)
        missing = [
            endpoint_of(address, port)
            for address, port in order["stubs"]
            if not await stubs.serve(address, port)
        ]
        return {"missing": missing, "added": len(stubs.listening) - before}
    if order["order"] == "release":
        return {"released": stubs.release(order["ports"])}
    if order["order"] == "fail":
        failure_modes.fail(stubs, order)
        return {}
    if order["order"] == "well":
        return await failure_modes.recover(stubs, order)
    if order["order"] == "where":
        return failure_modes.where(stubs)
    if order["order"] == "reset":
        stubs.checked.clear()
        stubs.peak.reset()
        stubs.seen.clear()
        stubs.bodies.clear()
        return {}
    return {
        "checked": sorted(stubs.checked),
        "peak": stubs.peak.most,
        "requests": dict(stubs.seen),
        "bodies": sum(stubs.bodies.values()),
        "largest_body_bytes": max(stubs.bodies, default=0),
    }


async def _control(
    stubs: Stubs, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with suppress(ConnectionError):
        while line := await reader.readline():
            answer = await obey(stubs, json.loads(line))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    writer.close()


async def main(control: str) -> None:
    """Serve until killed; orders come over the unix socket at the path `control`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stubs = Stubs()
    Path(control).unlink(missing_ok=True)
    server = await asyncio.start_unix_server(
        lambda reader, writer: _control(stubs, reader, writer),
        control,
        limit=CONTROL_LIMIT_BYTES,
    )
    async with server:
        await server.serve_forever()


class StubControl:
    """The other end of the socket, for the program that runs the rehearsal."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONTROL_SECONDS)
        self.sock.connect(path)
        self.stream = self.sock.makefile("rwb")

    def serve(
        self,
        stubs: Iterable[Place],
        *,
        health: HealthAnswers | None = None,
        nameservers: Iterable[Place] = (),
        names: Mapping[str, str] | None = None,
        speaks: Mapping[Endpoint, SpeechFacts] | None = None,
        over_tls: Iterable[Endpoint] = (),
    ) -> Served:
        """Have stub servers listen at `stubs`, and answer as given from now on."""
        order: Serve = {
            "order": "serve",
            "stubs": list(stubs),
            "health": health or {},
            "nameservers": list(nameservers),
            "names": dict(names or {}),
            "speaks": dict(speaks or {}),
            "over_tls": list(over_tls),
        }
        reply: Served = self._send(order)
        return reply

    def release(self, ports: Iterable[int]) -> list[Place]:
        """Stop listening at these ports; gives where that was."""
        reply: Released = self._send({"order": "release", "ports": sorted(ports)})
        return reply["released"]

    def fail(self, modes: Mapping[Endpoint, str], close: Iterable[Endpoint]) -> None:
        """Have endpoints fail as `modes` says; those in `close` stop listening."""
        self._send({"order": "fail", "modes": dict(modes), "close": sorted(close)})

    def well(self, modes: Mapping[Endpoint, str], stubs: Iterable[Place] = ()) -> None:
        """Have endpoints be as `modes` says; those in `stubs` listen again."""
        self._send({"order": "well", "modes": dict(modes), "stubs": list(stubs)})

    def where(self) -> Where:
        """Give who listens, and whose answers were ever checked."""
        reply: Where = self._send({"order": "where"})
        return reply

    def report(self) -> Report:
        """Give what was counted since the last reset."""
        reply: Report = self._send({"order": "report"})
        return reply

    def reset(self) -> None:
        """Forget what was counted."""
        self._send({"order": "reset"})

    def _send(self, order: Order) -> Any:
        """Send one order and read its reply, JSON; raises OSError when the stubs are gone."""
        self.stream.write(json.dumps(order).encode() + b"\n")
        self.stream.flush()
        line = self.stream.readline()
        if not line:
            raise OSError("the stub servers ended")
        return json.loads(line)
