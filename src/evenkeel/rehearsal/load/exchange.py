"""One exchange of the load client: a request and its response, by libcurl.

Only this file knows libcurl's options, errors and numbers; `event_loop` moves the bytes. It runs
inside the staging container, whose image has pycurl.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import pycurl

from evenkeel.rehearsal.load.request_maker import Request
from evenkeel.rehearsal.protocol.headers import IDENTITY
from evenkeel.rehearsal.protocol.http import IP_FREEBIND

CONNECT_SECONDS = 3.0
# From connecting to the last byte.
ANSWER_SECONDS = 10.0
_IDENTITY = f"{IDENTITY}:".encode()
_LONGEST_NAME = len(_IDENTITY)
_VERSIONS = {1: "1.0", 2: "1.1", 3: "2"}
# libcurl adds these; an empty header removes them.
_UNASKED = {
    name.lower(): f"{name}:".encode() for name in ("Accept", "User-Agent", "Expect", "Content-Type")
}
_CLOSED = "connection closed without an answer"
# libcurl-errors(3): pycurl lacks names for some.
_ERRORS = {
    1: "an answer that is not HTTP",
    8: "an answer that is not HTTP",
    16: "an answer that is not HTTP/2",
    18: _CLOSED,
    28: "no answer in time",
    35: "no TLS handshake",
    52: _CLOSED,
    55: "connection reset",
    56: "connection reset",
    92: "HTTP/2 stream reset",
}
# Errors of a dead kept connection.
_DIED = {16, 52, 55, 56, 92}
_SYSTEM_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
# RFC 6761: a name that does not exist.
_NO_NAME = "rehearsal.invalid"
# Other bytes would end the request line.
_IN_A_PATH = "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_PATH = re.compile(f"[A-Za-z0-9{re.escape(_IN_A_PATH)}]*")


@dataclass
class Answer:
    """One response; `server` is the endpoint that gave it, "" for the balancer itself."""

    status: int
    server: str
    cookies: list[str]
    body: bytes
    version: str = "1.1"


class NoAnswer(Exception):
    """No response came; `died` when a kept connection ended before a byte of it."""

    def __init__(self, what: str, died: bool) -> None:
        super().__init__(what)
        self.died = died


class Way(NamedTuple):
    """The route of a request: its source, its target and its protocol.

    `name` is the server's name in the TLS handshake and None without TLS; `h2` offers HTTP/2 in
    it. `proxy` sends a PROXY header first.
    """

    source: str
    address: str
    port: int
    name: str | None = None
    h2: bool = False
    proxy: bool = False

    @property
    def place(self) -> tuple[object, ...]:
        """The ends of a kept connection: no other route may use it."""
        return self.source, self.address, self.port, self.name, self.proxy


def server_name(request: Request, otherwise: str) -> str:
    """Give the server name in the TLS handshake: the host of `request`.

    Where that is no valid name it is `otherwise`, or else a name that does not exist.
    """
    host = request.headers.get("Host", "").partition(":")[0]
    return next((name for name in (host, otherwise) if _NAME.fullmatch(name)), _NO_NAME)


class Exchange:
    """One handle of libcurl, for one request after the other."""

    def __init__(self) -> None:
        self.curl = curl = pycurl.Curl()
        self.head: list[bytes] = []
        self.body: list[bytes] = []
        self.connected = False
        self.kept = False
        # The handle's options, to set only what differs.
        self.way: Way | None = None
        self.method = ""
        self.fresh = self.keeps = False
        for option, value in (
            (pycurl.HEADERFUNCTION, self.head.append),
            (pycurl.WRITEFUNCTION, self.body.append),
            (pycurl.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1000)),
            (pycurl.TIMEOUT_MS, int(ANSWER_SECONDS * 1000)),
            (pycurl.NOSIGNAL, 1),
            (pycurl.PATH_AS_IS, 1),
            # Ignore proxies of the environment.
            (pycurl.PROXY, ""),
            # It would keep every source address.
            (pycurl.DNS_CACHE_TIMEOUT, 0),
            # Stand-in certificates identify no server.
            (pycurl.SSL_VERIFYPEER, 0),
            (pycurl.SSL_VERIFYHOST, 0),
            # Browsers' minimum; GnuTLS would allow 1.0.
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            # Each connection is another client.
            (pycurl.SSL_SESSIONID_CACHE, 0),
        ):
            curl.setopt(option, value)
        # GnuTLS would read the bundle for every connection.
        curl.unsetopt(pycurl.CAINFO)
        curl.unsetopt(pycurl.CAPATH)

    def prepare(self, way: Way, request: Request, *, fresh: bool, keep: bool) -> None:
        """Prepare to send `request`, on a connection that is `fresh`, and is kept or not."""
        self.head.clear()
        self.body.clear()
        self.connected = self.kept = False
        if way != self.way:
            self._go(way)
        if fresh != self.fresh:
            self.fresh = fresh
            self.curl.setopt(pycurl.FRESH_CONNECT, int(fresh))
        if keep != self.keeps:
            self.keeps = keep
            self.curl.setopt(pycurl.FORBID_REUSE, int(not keep))
        path = request.path
        if not _PATH.fullmatch(path):
            path = quote(path, safe=_IN_A_PATH)
        self.curl.setopt(pycurl.URL, self.start + path)
        self._request(request)

    def late(self, body_bytes: int, at: int) -> Callable[[], None]:
        """Send `body_bytes` of a body up to `at`; calling the result sends the rest."""
        sent, held = 0, True

        def read(room: int) -> bytes | int:
            nonlocal sent
            until = at if held else body_bytes
            if held and sent == at:
                return int(pycurl.READFUNC_PAUSE)
            piece = b"b" * min(room, until - sent)
            sent += len(piece)
            return piece

        def go_on() -> None:
            nonlocal held
            held = False
            self.curl.pause(pycurl.PAUSE_CONT)

        self.curl.setopt(pycurl.POST, 1)
        self.curl.setopt(pycurl.POSTFIELDSIZE_LARGE, body_bytes)
        self.curl.setopt(pycurl.READFUNCTION, read)
        return go_on

    def ended(self) -> None:
        """Read the state of the connection while libcurl still knows it."""
        self.connected = self.curl.getinfo(pycurl.NUM_CONNECTS) > 0
        self.kept = self.curl.getinfo(pycurl.LASTSOCKET) >= 0

    def answer(self) -> Answer:
        """Give the response; the last one, after interim responses."""
        server, cookies = "", list[str]()
        for line in self.head:
            start = line[:_LONGEST_NAME].lower()
            if start.startswith(b"http/"):
                server, cookies = "", []
            elif start.startswith(_IDENTITY):
                server = _value(line)
            elif start.startswith(b"set-cookie:"):
                cookies.append(_value(line))
        version = _VERSIONS.get(self.curl.getinfo(pycurl.INFO_HTTP_VERSION), "")
        status = int(self.curl.getinfo(pycurl.RESPONSE_CODE))
        return Answer(status, server, cookies, b"".join(self.body), version)

    def failure(self, code: int, message: str) -> NoAnswer:
        """Say why no response came, in words that do not depend on libcurl's release."""
        number = int(self.curl.getinfo(pycurl.OS_ERRNO))
        what = _SYSTEM_ERRORS.get(number) or _ERRORS.get(code) or errno.errorcode.get(number)
        died = code in _DIED and not self.connected and not self.head
        return NoAnswer(what or message[:80] or f"error {code} of libcurl", died)

    def close(self) -> None:
        """Free the handle."""
        self.curl.close()

    def _go(self, way: Way) -> None:
        was, self.way = self.way, way
        self.curl.setopt(pycurl.INTERFACE, f"host!{way.source}")
        if was and was[1:] == way[1:]:
            return
        curl = self.curl
        bare = f"[{way.address}]" if ":" in way.address else way.address
        if way.name is None:
            self.start = f"http://{bare}:{way.port}"
            # An empty list would not reset it.
            curl.unsetopt(pycurl.CONNECT_TO)
        else:
            self.start = f"https://{way.name}:{way.port}"
            curl.setopt(pycurl.CONNECT_TO, [f"::{bare}:{way.port}"])
        version = pycurl.CURL_HTTP_VERSION_2TLS if way.h2 else pycurl.CURL_HTTP_VERSION_1_1
        curl.setopt(pycurl.HTTP_VERSION, version)
        curl.setopt(pycurl.HAPROXYPROTOCOL, int(way.proxy))
        if ":" in way.address:
            curl.setopt(pycurl.SOCKOPTFUNCTION, _freebind)
        else:
            curl.unsetopt(pycurl.SOCKOPTFUNCTION)

    def _request(self, request: Request) -> None:
        curl, body, method = self.curl, request.body, request.method
        given = {name.lower() for name in request.headers}
        lines = [
            # libcurl removes a header without a value, so use `;`.
            f"{name}: {value}".encode() if value else f"{name};".encode()
            for name, value in request.headers.items()
            if not (body and name.lower() == "content-length")
        ]
        lines += [bare for name, bare in _UNASKED.items() if name not in given]
        curl.setopt(pycurl.HTTPHEADER, lines)
        if not body and method == self.method:
            return
        if body:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, body)
        elif method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        self.method = "" if body else method


def _value(line: bytes) -> str:
    return line.partition(b":")[2].strip().decode("latin-1")


def _freebind(number: int, purpose: int) -> int:
    """Bind to an IPv6 address that only a route makes local."""
    del purpose
    sock = socket.socket(fileno=number)
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    finally:
        sock.detach()
    return int(pycurl.SOCKOPT_OK)
