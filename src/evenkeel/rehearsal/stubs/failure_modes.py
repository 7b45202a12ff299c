"""How a stub server fails and recovers: it refuses connections, hangs, or answers 500.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.stubs.orders import Fail, Recovered, Well, Where

WELL, REFUSE, HANG, ERRORS = "well", "refuse", "hang", "errors"


class Breakable(Protocol):
    """A connection that can be reset."""

    def break_off(self) -> None:
        """Reset the connection."""


class Failures:
    """The endpoints that fail, and how."""

    def __init__(self) -> None:
        self.modes: dict[str, str] = {}
        # Checks that read answers; TCP checks do not.
        self.asked: set[str] = set()
        self.connections: dict[str, set[Breakable]] = {}

    def mode(self, endpoint: str) -> str:
        """Give how an endpoint fails, or that it is well."""
        return self.modes.get(endpoint, WELL)

    def opened(self, endpoint: str, connection: Breakable) -> None:
        """Remember a connection, to reset it when its endpoint fails."""
        self.connections.setdefault(endpoint, set()).add(connection)

    def closed(self, endpoint: str, connection: Breakable) -> None:
        """Forget a connection that has ended."""
        self.connections.get(endpoint, set()).discard(connection)

    def set(self, modes: Mapping[str, str]) -> None:
        """Set how endpoints fail; connections to one that refuses, or that hung, are reset."""
        for endpoint, mode in modes.items():
            if mode == REFUSE or self.mode(endpoint) == HANG:
                for connection in list(self.connections.get(endpoint, ())):
                    connection.break_off()
            if mode == WELL:
                self.modes.pop(endpoint, None)
            else:
                self.modes[endpoint] = mode


class Servers(Protocol):
    """The stub servers, as far as they can fail."""

    failures: Failures
    listening: dict[tuple[str, int], asyncio.Server]

    async def serve(self, address: str, port: int) -> bool:
        """Listen at an endpoint; False when that is not possible."""


def where(stubs: Servers) -> Where:
    """Give who listens, and whose answers were ever checked."""
    listening = [endpoint_of(*place) for place in stubs.listening]
    return {"listening": listening, "asked": sorted(stubs.failures.asked)}


def fail(stubs: Servers, order: Fail) -> None:
    """Let servers fail; some of them stop listening."""
    stubs.failures.set(order["modes"])
    closing = set(order["close"])
    for place in [place for place in stubs.listening if endpoint_of(*place) in closing]:
        stubs.listening.pop(place).close()


async def recover(stubs: Servers, order: Well) -> Recovered:
    """Let servers recover; gives the endpoints where one cannot listen."""
    stubs.failures.set(order["modes"])
    places = [(address, port) for address, port in order["stubs"]]
    return {"missing": [endpoint_of(*place) for place in places if not await stubs.serve(*place)]}
