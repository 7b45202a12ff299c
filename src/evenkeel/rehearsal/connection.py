"""One connection of the load client: one request at a time, its answer as a future.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from evenkeel.rehearsal import wire
from evenkeel.rehearsal.stub import IDENTITY

ANSWER_SECONDS = 10.0


@dataclass
class Answer:
    """One answer: `server` is the endpoint that gave it, "" when it is the balancer's own."""

    status: int
    server: str
    cookies: list[str]
    body: bytes


class Connection(asyncio.Protocol):
    """One client connection: one request at a time, its answer as a future."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.head: wire.Head | None = None
        self.waiting: asyncio.Future[Answer] | None = None
        self.open = False
        self.heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to ask."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (narrows the type)
        self.transport = transport
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way, if there is one."""
        self.open = False
        if self.waiting and not self.waiting.done():
            kind = "connection reset" if exc else "connection closed without an answer"
            self.waiting.set_exception(ConnectionError(kind))

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; hand the answer over when it is complete."""
        self.heard = True
        self.buffer += data
        try:
            if self.head is None:
                self.head = wire.take_head(self.buffer)
            if self.head is None or len(self.buffer) < self.head.body_bytes:
                return
            head, self.head = self.head, None
            body = bytes(self.buffer[: head.body_bytes])
            del self.buffer[: head.body_bytes]
            answer = Answer(
                wire.status_of(head), head.headers.get(IDENTITY, ""), head.cookies_set, body
            )
        except (wire.WireError, ValueError):
            self.open = False
            self.transport.abort()
            if self.waiting and not self.waiting.done():
                self.waiting.set_exception(ConnectionError("an answer that is not HTTP"))
            return
        if head.closes:
            self.close()
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(answer)

    async def ask(self, request: bytes) -> Answer:
        """Send one request; raises ConnectionError or TimeoutError when no answer comes."""
        self.heard = False
        if not self.open:
            raise ConnectionError("connection closed without an answer")
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await asyncio.wait_for(self.waiting, ANSWER_SECONDS)

    def close(self) -> None:
        """Close the connection; harmless when it is closed already."""
        if self.open:
            self.open = False
            self.transport.close()
