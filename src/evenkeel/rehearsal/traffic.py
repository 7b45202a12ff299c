"""The load client: many source addresses, keep-alive and new connections, counted per server.

A *class* of requests is what one route of one listener is made for (a dict of `world.classes`).
Which server answered is read from the answer itself. Standard library only: it runs inside the
staging container.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from evenkeel.rehearsal import wire
from evenkeel.rehearsal.asking import Maker, Request
from evenkeel.rehearsal.connection import Answer, Connection
from evenkeel.rehearsal.stub import ECHO, HOLD

CONNECT_SECONDS = 3.0
# Nothing is learnt from a listener that has refused so many requests on end.
HOPELESS = 96


@dataclass
class Tally:
    """What became of the requests of one class."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    diverted: int = 0
    again: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def note(self, answer: Answer, seconds: float) -> None:
        """Count an answer. A redirect or a question for a password is no failure and no share."""
        self.statuses[str(answer.status)] += 1
        self.seconds.append(seconds)
        if answer.status < 400 and answer.server:
            self.answered += 1
            self.servers[answer.server] += 1
        elif 300 <= answer.status < 400 or answer.status == 401:
            self.diverted += 1
        else:
            self.failed += 1
            self.errors[f"status {answer.status}"] += 1

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON; times in milliseconds."""
        times = sorted(self.seconds)

        def at(part: float) -> float | None:
            return round(times[int(part * (len(times) - 1))] * 1000, 1) if times else None

        return {
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "diverted": self.diverted,
            "again": self.again,
            "servers": dict(self.servers),
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "milliseconds": {"median": at(0.5), "p95": at(0.95), "largest": at(1.0)},
        }


def _tls() -> ssl.SSLContext:
    # The container has stand-in certificates, so there is nobody to prove an identity to.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """Sends requests and counts what becomes of them, per class."""

    def __init__(self, seed: int) -> None:
        self.maker = Maker(seed)
        self.tls = _tls()
        self.tallies: dict[str, Tally] = {}
        self.on_end: dict[str, int] = {}

    async def connect(self, kind: dict[str, Any], source: str) -> Connection:
        """Open a connection to the class's listener from the address `source`."""
        options: dict[str, Any] = {}
        if kind["tls"] and not kind["accept_proxy"]:
            options = {"ssl": self.tls, "server_hostname": kind["hosts"][0]}
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
        try:
            # An IPv6 source is local by a route only, which is enough with this option.
            sock.setsockopt(socket.IPPROTO_IP, wire.IP_FREEBIND, 1)
            sock.setblocking(False)
            sock.bind((source, 0))
            target = (kind["address"], kind["port"])
            await asyncio.wait_for(loop.sock_connect(sock, target), CONNECT_SECONDS)
        except BaseException:
            sock.close()
            raise
        # From here on the socket is its transport's: closed under it, its number would soon be
        # that of another connection.
        _, connection = await asyncio.wait_for(
            loop.create_connection(Connection, sock=sock, **options), CONNECT_SECONDS
        )
        if kind["accept_proxy"]:
            header = wire.proxy_header_v1(source, 40000, kind["address"], kind["port"])
            connection.transport.write(header)
            if kind["tls"]:
                new = await loop.start_tls(
                    connection.transport,
                    connection,
                    self.tls,
                    server_hostname=kind["hosts"][0],
                )
                assert isinstance(new, asyncio.Transport)  # noqa: S101 (narrows the type)
                connection.transport = new
        return connection

    async def one(
        self, kind: dict[str, Any], request: Request, kept: dict[str, Connection] | None = None
    ) -> Answer | None:
        """Send one request and count it; None when no answer came.

        A request on a kept connection that was closed before a byte of its answer is sent again on
        a new one, as every client does (RFC 9110, 9.2.2); it counts as failed when that fails too.
        """
        tally = self.tallies.setdefault(kind["name"], Tally())
        tally.sent += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        listener = f"{kind['address']} {kind['port']}"
        connection = kept.pop(listener, None) if kept is not None else None
        try:
            answer = None
            if connection is not None:
                try:
                    answer = await connection.ask(request.as_bytes())
                except ConnectionError:
                    if connection.heard:
                        raise
                    tally.again += 1
            if answer is None:
                connection = await self.connect(kind, request.source)
                answer = await connection.ask(request.as_bytes())
        except (OSError, TimeoutError) as error:
            tally.failed += 1
            tally.errors[_kind_of(error)] += 1
            self.on_end[kind["name"]] = self.on_end.get(kind["name"], 0) + 1
            if connection is not None:
                connection.close()
            return None
        tally.note(answer, loop.time() - began)
        self.on_end[kind["name"]] = 0 if answer.server else self.on_end.get(kind["name"], 0) + 1
        assert connection is not None  # noqa: S101 (narrows the type)
        if kept is not None and connection.open:
            kept[listener] = connection
        else:
            connection.close()
        return answer

    async def run(
        self,
        kinds: Iterable[dict[str, Any]],
        *,
        concurrency: int,
        seconds: float,
        pause: float = 0.0,
        heard: Callable[[dict[str, Any], Answer], None] | None = None,
    ) -> None:
        """Send one request for each class that `kinds` yields, so many at the same time.

        Ends when `kinds` does or after `seconds`, and gives up a class that nobody answers.
        With `pause`, the seconds between two requests of one client, it is a steady load that
        never gives up. Who asks what over which connection is the maker's word (`visits`).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        visits = self.maker.visits(kinds, whole=not pause)

        async def client() -> None:
            for visit in visits:
                kept: dict[str, Connection] | None = {} if len(visit) > 1 else None
                for kind, request in visit:
                    if loop.time() > deadline:
                        break
                    if not pause and self.on_end.get(kind["name"], 0) >= HOPELESS:
                        continue
                    answer = await self.one(kind, request, kept)
                    if answer and heard:
                        heard(kind, answer)
                    if pause:
                        await asyncio.sleep(pause)
                _close_all(kept or {})
                if loop.time() > deadline:
                    break

        await asyncio.gather(*(client() for _ in range(concurrency)))

    async def peak(self, kind: dict[str, Any], wanted: int) -> None:
        """Have `wanted` requests of one class under way at the same time; the stubs count them."""
        extra = {HOLD: str(wanted)}
        await asyncio.gather(
            *(self.one(kind, self.maker.request(kind, extra)) for _ in range(wanted))
        )

    async def echo(self, kind: dict[str, Any]) -> Answer | None:
        """Send one request as it is, without varied keys, and have its headers sent back."""
        return await self.one(kind, self.maker.request(kind, {ECHO: "1"}, vary=False))

    def take(self) -> dict[str, dict[str, Any]]:
        """Give the counts per class and begin anew."""
        taken = {name: tally.as_dict() for name, tally in sorted(self.tallies.items())}
        self.tallies.clear()
        self.on_end.clear()
        return taken


def _close_all(kept: dict[str, Connection]) -> None:
    for connection in kept.values():
        with suppress(RuntimeError):
            connection.close()
    kept.clear()


def _kind_of(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError):
        return "connection reset"
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, "") if number else str(error)[:80] or type(error).__name__
