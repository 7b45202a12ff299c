"""How a stub server fails: refuses connections, hangs, answers 500; and how it is well again.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from evenkeel.rehearsal.protocol.http import endpoint

WELL, REFUSE, HANG, ERRORS = "well", "refuse", "hang", "errors"


class Breakable(Protocol):
    """A connection that can be broken off."""

    def break_off(self) -> None:
        """Reset the connection."""


class Faults:
    """Which endpoints fail, and how. An endpoint that is not here is well."""

    def __init__(self) -> None:
        self.modes: dict[str, str] = {}
        # Endpoints whose answers the balancer has checked, which a TCP check never does.
        self.asked: set[str] = set()
        self.connections: dict[str, set[Breakable]] = {}

    def mode(self, here: str) -> str:
        """Give what ails an endpoint."""
        return self.modes.get(here, WELL)

    def opened(self, here: str, connection: Breakable) -> None:
        """Take note of a connection, to break it off when its endpoint fails."""
        self.connections.setdefault(here, set()).add(connection)

    def closed(self, here: str, connection: Breakable) -> None:
        """Forget a connection that has ended."""
        self.connections.get(here, set()).discard(connection)

    def set(self, modes: Mapping[str, str]) -> None:
        """Have endpoints fail, or be well; what was open at one that refuses or hung breaks off."""
        for here, mode in modes.items():
            if mode == REFUSE or self.mode(here) == HANG:
                for connection in list(self.connections.get(here, ())):
                    connection.break_off()
            if mode == WELL:
                self.modes.pop(here, None)
            else:
                self.modes[here] = mode


class Servers(Protocol):
    """The stub servers, as far as they can fail."""

    faults: Faults
    listening: dict[tuple[str, int], asyncio.Server]

    async def serve(self, address: str, port: int) -> bool:
        """Listen at an endpoint; False when that is not possible."""


async def obey(stubs: Servers, order: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out one order.

    `fail` {"modes": {endpoint: mode}, "close": [endpoint, ...]} -> {} has servers fail, of which
    some stop listening; `well` {"modes": ..., "stubs": [[address, port], ...]} -> {"missing":
    [endpoint, ...]} has them back; `where` {} -> {"listening": [endpoint, ...],
    "asked": [endpoint, ...]} says who listens, and whose answers were ever checked.
    """
    if order["order"] == "where":
        listening = [endpoint(*here) for here in stubs.listening]
        return {"listening": listening, "asked": sorted(stubs.faults.asked)}
    stubs.faults.set(order["modes"])
    if order["order"] == "well":
        stubs_wanted: Iterable[tuple[str, int]] = map(tuple, order["stubs"])
        missing = [endpoint(*here) for here in stubs_wanted if not await stubs.serve(*here)]
        return {"missing": missing}
    closing = set(order["close"])
    for here in [here for here in stubs.listening if endpoint(*here) in closing]:
        stubs.listening.pop(here).close()
    return {}
