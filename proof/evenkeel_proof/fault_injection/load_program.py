"""Much traffic through one balancer; runs by itself on the lab's machines, standard library only.

    python3 client.py serve ADDRESS PORT            slow answers: 64 KiB over four seconds
    python3 client.py drive FOLDER ADDRESS NUMBER   until so many were sent and FOLDER/stop is there

Four kinds of clients, each one request after the other: connections that are kept, new ones, both
over TLS, and slow downloads. An answer counts when it is whole. A *kept* connection that the
server closes before the first byte of an answer is retried once on a new one, as browsers do, and
counted apart; everything else without a whole answer is lost.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

KEPT, NEW, TLS_KEPT, TLS_NEW, SLOW = 12, 4, 2, 1, 6
TIMEOUT_SECONDS = 15.0
PIECES, PIECE_BYTES, PIECE_SECONDS = 16, 4096, 0.25
SAMPLES = 30
_ASK = b"GET %s HTTP/1.1\r\nHost: shop.example\r\n%s\r\n"
_MOST_SECONDS = 1800.0


class Closed(Exception):
    """The server closed or reset the connection; `received` bytes of the answer had come."""

    def __init__(self, received: int, reason: str) -> None:
        super().__init__(reason)
        self.received = received


class Connection(asyncio.Protocol):
    """One connection that asks one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, str]] | None = None
        self._data = bytearray()
        self._wanted = 0
        self._head = b""
        self.closed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect an answer, and give it when it is whole."""
        self._data += data
        if not self._wanted:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = bytes(self._data[:end])
            self._wanted = end + 4 + int(_header(self._head, b"content-length") or b"0")
        if len(self._data) >= self._wanted and self._answer and not self._answer.done():
            status = int(self._head[9:12])
            server = _header(self._head, b"x-served-by").decode()
            if b"\r\nconnection: close" in self._head.lower():
                self.closed = "as it said"
            self._answer.set_result((status, server))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that nothing more comes."""
        self.closed = "reset" if exc else "closed"
        if self._answer and not self._answer.done():
            self._answer.set_exception(Closed(len(self._data), self.closed))

    async def ask(self, request: bytes) -> tuple[int, str]:
        """Send a request; give the status and the server that answered. Raises Closed."""
        if self.closed or self._transport is None:
            raise Closed(0, self.closed)
        self._data.clear()
        self._wanted = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.close()


def _header(head: bytes, name: bytes) -> bytes:
    at = head.lower().find(b"\r\n" + name + b":")
    return b"" if at < 0 else head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


class Client:
    """All clients together, and what they counted."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.over = asyncio.Event()
        self.counted: Counter[str] = Counter()
        self.servers: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.samples: list[dict[str, Any]] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The lab's own certificate, made for this run.
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    async def connect(self, tls: bool) -> Connection:
        """Open a connection."""
        loop = asyncio.get_running_loop()
        context = self._tls if tls else None
        port = 443 if tls else 80
        return (await loop.create_connection(Connection, self._address, port, ssl=context))[1]

    async def run(self, kind: str, path: bytes, keeps: bool, tls: bool) -> None:
        """Ask one request after the other until it is over."""
        request = _ASK % (path, b"" if keeps else b"Connection: close\r\n")
        kept: Connection | None = None
        while not self.over.is_set():
            began, stage = time.time(), "connect"
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    if kept is not None:
                        status, server, kept = await self._again(kept, request, tls)
                    else:
                        kept = await self.connect(tls)
                        stage = "first request"
                        status, server = await kept.ask(request)
                self._answered(kind, status, server, began)
            except (OSError, Closed, TimeoutError, ValueError) as wrong:
                self._lost(kind, f"{stage}: {_reason(wrong)}", began)
                kept = None
                await asyncio.sleep(0.05)
            if kept is not None and (not keeps or kept.closed):
                kept.close()
                kept = None
        if kept is not None:
            kept.close()

    async def _again(
        self, kept: Connection, request: bytes, tls: bool
    ) -> tuple[int, str, Connection]:
        """Ask on a kept connection; when it was closed while idle, once more on a new one."""
        try:
            return (*await kept.ask(request), kept)
        except Closed as closed:
            if closed.received:
                raise
        self.counted["retried"] += 1
        fresh = await self.connect(tls)
        return (*await fresh.ask(request), fresh)

    def _answered(self, kind: str, status: int, server: str, began: float) -> None:
        if status != 200:
            self._lost(kind, f"status {status}", began)
            return
        self.counted["requests"] += 1
        self.kinds[kind] += 1
        self.servers[server] += 1

    def _lost(self, kind: str, reason: str, began: float) -> None:
        self.counted["requests"] += 1
        self.counted["lost"] += 1
        self.kinds[kind] += 1
        self.reasons[f"{kind}: {reason}"] += 1
        if len(self.samples) < SAMPLES:
            at = round(time.time(), 3)
            self.samples.append({"kind": kind, "reason": reason, "began": began, "at": at})

    def totals(self) -> dict[str, Any]:
        """Give what was counted so far."""
        return {
            "requests": self.counted["requests"],
            "lost": self.counted["lost"],
            "retried": self.counted["retried"],
            "kinds": dict(self.kinds),
            "servers": dict(self.servers),
            "reasons": dict(self.reasons),
            "samples": self.samples,
        }


def _reason(wrong: BaseException) -> str:
    if isinstance(wrong, Closed):
        return f"short answer, {wrong}" if wrong.received else f"{wrong} before an answer"
    return "timeout" if isinstance(wrong, TimeoutError) else type(wrong).__name__


async def drive(folder: Path, address: str, requests: int) -> None:
    """Send until enough was sent and somebody says stop; write the totals each second."""
    client, began = Client(address), time.monotonic()
    plan = [
        *[("kept", b"/", True, False)] * KEPT,
        *[("new", b"/", False, False)] * NEW,
        *[("TLS kept", b"/", True, True)] * TLS_KEPT,
        *[("TLS new", b"/", False, True)] * TLS_NEW,
        *[("slow download", b"/slow", True, False)] * SLOW,
    ]
    running = [asyncio.create_task(client.run(*one)) for one in plan]
    while True:
        await asyncio.sleep(1.0)
        seconds = time.monotonic() - began
        stop = (folder / "stop").exists() and client.counted["requests"] >= requests
        if stop or seconds > _MOST_SECONDS:
            break
        _write(folder, {**client.totals(), "seconds": round(seconds, 1), "running": True})
    client.over.set()
    await asyncio.gather(*running)
    seconds = time.monotonic() - began
    _write(folder, {**client.totals(), "seconds": round(seconds, 1), "running": False})


def _write(folder: Path, totals: dict[str, Any]) -> None:
    fresh = folder / "load.new"
    fresh.write_text(json.dumps(totals) + "\n", encoding="utf-8")
    fresh.replace(folder / "load.json")


async def serve(address: str, port: int) -> None:
    """Answer every request slowly."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                size = PIECES * PIECE_BYTES
                head = f"HTTP/1.1 200 OK\r\nX-Served-By: slow\r\nContent-Length: {size}\r\n\r\n"
                writer.write(head.encode())
                for _ in range(PIECES):
                    writer.write(b"." * PIECE_BYTES)
                    await writer.drain()
                    await asyncio.sleep(PIECE_SECONDS)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, address, port) as server:
        await server.serve_forever()


def main() -> None:
    """Serve or drive, as the words say."""
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
    else:
        asyncio.run(drive(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))


if __name__ == "__main__":
    main()
