"""Requests that a host under watch sends to a listener of its own, when it has too few to judge.

They go to an address that the live configuration itself listens on, and nowhere else: whoever calls
this program chooses the listener's name, the path and the Host header, not the address. How many
there may be is bounded by the second and in all. They are counted by the balancer like any request,
and here once more, so that every result says how many of its requests were these.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Callable, Dict, List, Mapping, Optional

from evenkeel.host.errors import Refused
from evenkeel.host.system.driver import EVERY_ADDRESS, Driver

MOST_PER_SECOND = 50
MOST_REQUESTS = 100000
# A slower server counts as silent.
ANSWER_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 65536
_LISTENER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_PATH = re.compile(r"/[!-~]{0,500}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ")

Endpoint = Dict[str, Any]


class Probe:
    """What is sent to one listener, and what became of it so far.

    `failed` are requests without an answer, or with one of 500 or more.
    """

    def __init__(
        self, endpoint: Endpoint, listener: str, host: str, path: str, requests_per_second: int
    ) -> None:
        self.endpoint = endpoint
        self.listener = listener
        self.host = host
        self.path = path
        self.requests_per_second = requests_per_second
        self.sent = 0
        self.failed = 0

    def send(self, until: float, clock: Callable[[], float]) -> None:
        """Send the requests of one second, one after the other, and none after `until`."""
        for _ in range(self.requests_per_second):
            if self.sent >= MOST_REQUESTS or clock() >= until:
                return
            status = self._ask()
            self.sent += 1
            self.failed += status is None or status >= 500

    def result(self) -> Dict[str, Any]:
        """Give what stands beside the counters of the balancer."""
        return {
            "listener": self.listener,
            "host": self.host,
            "path": self.path,
            "sent": self.sent,
            "failed": self.failed,
        }

    def _ask(self) -> Optional[int]:
        """Send one request over a connection of its own and give the status of its answer."""
        address, port = self.endpoint["address"], int(self.endpoint["port"])
        source = (source_of(self.sent), 0) if address == "127.0.0.1" else None
        try:
            with socket.create_connection((address, port), ANSWER_SECONDS, source) as plain:
                if not self.endpoint["tls"]:
                    return self._talk(plain)
                with _context().wrap_socket(plain, server_hostname=self.host) as secret:
                    return self._talk(secret)
        except (OSError, ValueError):
            return None

    def _talk(self, connection: socket.socket) -> Optional[int]:
        lines = (
            f"GET {self.path} HTTP/1.1",
            f"Host: {self.host}",
            "User-Agent: evenkeel-probe",
            "Connection: close",
        )
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        head, size = b"", 0
        while size < LARGEST_ANSWER_BYTES:
            data = connection.recv(8192)
            if not data:
                break
            head = (head + data)[:64] if len(head) < 64 else head
            size += len(data)
        found = _STATUS.match(head)
        return int(found.group(1)) if found else None


def source_of(number: int) -> str:
    """Give the loopback address that probe `number` comes from: 4 million different ones.

    A balancer that assigns by address would send all probes from one address to one server.
    """
    return f"127.{1 + number // 64516 % 64}.{1 + number // 254 % 254}.{1 + number % 254}"


def _context() -> Any:
    import ssl

    # The host's own listener: names need no check.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def open_probe(wanted: Any, driver: Driver) -> Optional[Probe]:
    """Give the probe that `wanted` describes, None for None. Raises Refused.

    `wanted` is {listener, host, path, requests_per_second}; it comes from a caller who is not root.
    """
    if wanted is None:
        return None
    problems = _problems(wanted)
    if problems:
        raise _refusal("listener, host, path and requests_per_second", ", ".join(problems))
    endpoint = _endpoint(driver.listeners().get(wanted["listener"]) or [])
    if endpoint is None:
        here = "an http listener of the live configuration, without the PROXY protocol"
        raise _refusal(here, wanted["listener"])
    return Probe(endpoint, **wanted)


def _problems(wanted: Any) -> List[str]:
    if not isinstance(wanted, Mapping):
        return ["no object"]
    forms = {"listener": _LISTENER, "path": _PATH, "host": _HOST}
    problems = [
        name
        for name, form in forms.items()
        if not isinstance(wanted.get(name), str) or not form.fullmatch(wanted[name])
    ]
    rate = wanted.get("requests_per_second")
    if not isinstance(rate, int) or isinstance(rate, bool) or not 1 <= rate <= MOST_PER_SECOND:
        problems.append("requests_per_second")
    return problems + ["unknown keys"] * (len(wanted) != len(forms) + 1)


def _endpoint(listens: List[Endpoint]) -> Optional[Endpoint]:
    for one in listens:
        if one["http"] and not one["accept_proxy"]:
            every = one["address"] in EVERY_ADDRESS
            own = "::1" if ":" in one["address"] else "127.0.0.1"
            return {**one, "address": own if every else one["address"]}
    return None


def _refusal(wanted: str, got: str) -> Refused:
    return Refused(
        "The probe cannot be sent",
        where="standard input",
        wanted=wanted,
        got=got[:300],
        next_step="correct canary_probe, and render the change again",
    )
