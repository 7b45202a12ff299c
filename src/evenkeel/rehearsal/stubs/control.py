"""The orders that the stub servers obey, and both ends of the unix socket that they come over.

One JSON object in, one out, a line each:
`serve` {"stubs": [[address, port], ...], "health": {endpoint: {path: status}},
"nameservers": [[address, port], ...], "names": {host name: address},
"speaks": {endpoint: speech}, "over_tls": [endpoint, ...]}
-> {"missing": [endpoint, ...], "added": n};
`release` {"ports": [...]} -> {"released": [[address, port], ...]} stops listening at these ports;
`fail`, `well`, `where`: see `stub_faults.obey`;
`report` {} -> {"checked": [endpoint, ...], "peak": n, "requests": {"GET shop.example": n,
...}, "bodies": n, "largest_body_bytes": n}, all since the last `reset` {} -> {}.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from evenkeel.rehearsal.protocol.http import endpoint
from evenkeel.rehearsal.protocol.paths import STUB_CERTIFICATE
from evenkeel.rehearsal.stubs import dns, failures, protocols, tls
from evenkeel.rehearsal.stubs.server import Stubs

# Thousands of servers mean thousands of health checks a second, and an order waits its turn.
CONTROL_SECONDS = 120
CONTROL_LIMIT_BYTES = 64 * 1024 * 1024


async def obey(stubs: Stubs, order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order and give its answer."""
    if order["order"] == "serve":
        stubs.health.update(order.get("health", {}))
        stubs.speaks.update(protocols.read(order.get("speaks", {})))
        stubs.over_tls.update(order.get("over_tls", []))
        if stubs.over_tls and stubs.tls is None:
            stubs.tls = tls.context(STUB_CERTIFICATE)
        await dns.serve(order.get("nameservers", []), order.get("names", {}))
        before = len(stubs.listening)
        missing = [
            endpoint(address, port)
            for address, port in order["stubs"]
            if not await stubs.serve(address, port)
        ]
        return {"missing": missing, "added": len(stubs.listening) - before}
    if order["order"] == "release":
        return {"released": stubs.release(order["ports"])}
    if order["order"] in ("fail", "well", "where"):
        return await failures.obey(stubs, order)
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
    """The other end of the unix socket, for the program that runs the rehearsal."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONTROL_SECONDS)
        self.sock.connect(path)
        self.stream = self.sock.makefile("rwb")

    def order(self, order: str, **words: Any) -> dict[str, Any]:
        """Give one order and wait for its answer; raises OSError when the stubs are gone."""
        self.stream.write(json.dumps({"order": order, **words}).encode() + b"\n")
        self.stream.flush()
        line = self.stream.readline()
        if not line:
            raise OSError("the stub servers ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
