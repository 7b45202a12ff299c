"""Stub servers: one process that stands in for every server of a bundle.

It listens at each endpoint and answers with that endpoint, which identifies the server. It answers
health checks as the intent expects, counts requests, and holds requests back to measure limits.
Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections import Counter

from evenkeel.rehearsal.protocol.headers import ECHO, HOLD, OURS, SLOW
from evenkeel.rehearsal.protocol.http import (
    IP_FREEBIND,
    Head,
    WireError,
    endpoint_of,
    take_head,
    take_proxy_header,
)
from evenkeel.rehearsal.stubs import protocols, tls
from evenkeel.rehearsal.stubs.failure_modes import ERRORS, HANG, Failures
from evenkeel.rehearsal.stubs.peak import Peak

# Long enough for requests to overlap, as real ones do.
ANSWER_SECONDS = 0.003
# Different requests that are counted.
_MOST_SEEN = 500
_LONGEST_SEEN = 260
# RFC 8446, 5.1: the first byte of a TLS connection.
_TLS_HELLO = b"\x16"


class Stubs:
    """The state that all connections share: listeners, counters, and what is held back."""

    def __init__(self) -> None:
        self.health: dict[str, dict[str, int]] = {}
        self.listening: dict[tuple[str, int], asyncio.Server] = {}
        self.checked: set[str] = set()
        self.peak = Peak()
        self.failures = Failures()
        self.speaks: dict[str, protocols.Speech] = {}
        # Endpoints that speak TLS, and their context.
        self.over_tls: set[str] = set()
        self.tls: ssl.SSLContext | None = None
        self.seen: Counter[str] = Counter()
        self.bodies: Counter[int] = Counter()

    def note(self, head: Head) -> None:
        """Count a request of the load client by method and host, and its body by size."""
        name = f"{head.first_line.partition(' ')[0]} {head.headers.get('host', '')}"[:_LONGEST_SEEN]
        if name in self.seen or len(self.seen) < _MOST_SEEN:
            self.seen[name] += 1
        if head.body_bytes:
            self.bodies[head.body_bytes] += 1

    async def serve(self, address: str, port: int) -> bool:
        """Listen at an endpoint; False when that is not possible.

        Both options let it share a port with a balancer that is bound to every address: the
        kernel prefers the more exact listener.
        """
        if (address, port) in self.listening:
            return True
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=1024)
        except OSError:
            sock.close()
            return False
        self.listening[address, port] = server
        return True

    def release(self, ports: list[int]) -> list[tuple[str, int]]:
        """Stop listening at every endpoint with one of these ports; gives these endpoints."""
        released = [endpoint for endpoint in self.listening if endpoint[1] in ports]
        for endpoint in released:
            self.listening.pop(endpoint).close()
        return released


class Connection(asyncio.Protocol):
    """One connection from the balancer: requests one after the other, kept alive."""

    def __init__(self, stubs: Stubs) -> None:
        self.stubs = stubs
        self.buffer = bytearray()
        self.first = bytearray()
        self.proxy: str | None = None
        self.head: Head | None = None
        self.skip = 0
        self.said_something = False
        self.speech: protocols.Speech | None = None
        self.session: tls.Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note which endpoint was reached."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (narrows the type)
        self.transport = transport
        address, port = transport.get_extra_info("sockname")[:2]
        self.endpoint = endpoint_of(address, port)
        self.stubs.failures.opened(self.endpoint, self)
        if self.stubs.tls and self.endpoint in self.stubs.over_tls:
            self.session = tls.Session(self.stubs.tls)
        self.speech = self.stubs.speaks.get(self.endpoint)
        if self.speech and self.speech.greets:
            loop = asyncio.get_running_loop()
            loop.call_later(protocols.GREETING_SECONDS, self.greet)

    def greet(self) -> None:
        """Greet a health check that waits for it."""
        well = self.stubs.failures.mode(self.endpoint) not in (HANG, ERRORS)
        if self.speech and well and not self.buffer and not self.transport.is_closing():
            self.stubs.checked.add(self.endpoint)
            self.say(self.speech.greets)

    def replied(self) -> bool:
        """Answer a health check in the server's own protocol; False for anything else."""
        said = self.speech.reply(bytes(self.buffer)) if self.speech else b""
        if said:
            self.buffer.clear()
            self.stubs.checked.add(self.endpoint)
            if self.stubs.failures.mode(self.endpoint) not in (HANG, ERRORS):
                self.say(said)
        return bool(said)

    def break_off(self) -> None:
        """Reset the connection, as a failing server does; a slow response is spared."""
        if self.head is None or SLOW not in self.head.headers:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection without a byte as a TCP health check."""
        del exc
        self.stubs.failures.closed(self.endpoint, self)
        if not self.said_something:
            self.stubs.checked.add(self.endpoint)
        self.stubs.peak.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read what has arrived and answer the complete requests."""
        self.said_something = True
        try:
            self.buffer += self.opened(data)
            self.advance()
        except ssl.SSLError:
            # The client did not speak TLS.
            self.transport.abort()
        except WireError:
            self.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()

    def opened(self, data: bytes) -> bytes:
        """Give what arrived, decrypted where this server speaks TLS."""
        if self.session is None:
            return data
        if self.proxy is None:
            # The PROXY header comes before TLS.
            self.first += data
            self.proxy = take_proxy_header(self.first)
            if self.proxy is None:
                return b""
            data = bytes(self.first)
        said = self.session.open(data) if data else b""
        self.transport.write(self.session.waiting())
        return said

    def say(self, data: bytes) -> None:
        """Send data, encrypted where this server speaks TLS."""
        self.transport.write(self.session.seal(data) if self.session else data)

    def advance(self) -> None:
        """Read the next request when none is being answered."""
        if self.proxy is None:
            self.proxy = take_proxy_header(self.buffer)
        if self.proxy is None or (self.head is not None and not self.skip):
            return
        if self.head is None and self.replied():
            return
        if self.buffer[:1] == _TLS_HELLO:
            raise WireError("TLS")
        dropped = min(self.skip, len(self.buffer))
        del self.buffer[:dropped]
        self.skip -= dropped
        if self.skip:
            return
        if self.head is None:
            if (head := take_head(self.buffer)) is None:
                return
            self.head = head
            self.skip = head.body_bytes
            if self.skip:
                # Answer after the complete body.
                self.advance()
                return
        self.obey(self.head)

    def obey(self, head: Head) -> None:
        """Answer a complete request in its time."""
        if OURS not in head.headers:
            self.stubs.checked.add(self.endpoint)
            self.stubs.failures.asked.add(self.endpoint)
        else:
            self.stubs.note(head)
        mode = self.stubs.failures.mode(self.endpoint)
        loop = asyncio.get_running_loop()
        if SLOW in head.headers:
            # A slow response survives the failure of its server.
            loop.call_later(float(head.headers[SLOW]), self.answer)
        elif mode == HANG:
            return
        elif OURS not in head.headers or mode == ERRORS:
            self.answer()
        elif HOLD in head.headers:
            self.stubs.peak.hold(self, int(head.headers[HOLD]))
        else:
            loop.call_later(ANSWER_SECONDS, self.answer)

    def answer(self) -> None:
        """Answer the current request with our endpoint, and read the next one."""
        head, self.head = self.head, None
        if head is None or self.transport.is_closing():
            return
        words = head.first_line.split(" ")
        path = words[1].partition("?")[0] if len(words) > 1 else "/"
        status = 200
        if OURS not in head.headers:
            status = self.stubs.health.get(self.endpoint, {}).get(path, 200)
        if self.stubs.failures.mode(self.endpoint) == ERRORS and SLOW not in head.headers:
            status = 500
        body = b"ok\n"
        if ECHO in head.headers:
            echo = {
                "server": self.endpoint,
                "line": head.first_line,
                "headers": head.headers,
                "proxy": self.proxy,
            }
            body = json.dumps(echo).encode()
        if words[0] == "HEAD" or status in (204, 304):
            body = b""
        self.say(
            f"HTTP/1.1 {status} Stub\r\nX-Evenkeel-Server: {self.endpoint}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        if head.closes:
            self.transport.close()
        else:
            self.advance()
