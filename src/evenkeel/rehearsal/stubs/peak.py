"""The peak that stub servers see: requests are held back until so many are there at one time.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

HOLD_SECONDS = 2.0
# What waited in a queue while others were held back is still a slow request.
QUEUED_SECONDS = 0.1


class Answering(Protocol):
    """A connection whose request can be answered later."""

    def answer(self) -> None:
        """Answer the request at hand."""


class Peak:
    """The requests that are held back, of all servers together; `most` is how many there were."""

    def __init__(self) -> None:
        self.most = 0
        self._held: list[Answering] = []
        self._drains = False
        self._timer: asyncio.TimerHandle | None = None

    def reset(self) -> None:
        """Count anew, and hold back again."""
        self.most = 0
        self._drains = False

    def hold(self, connection: Answering, wanted: int) -> None:
        """Keep a request without an answer until `wanted` of them are here, or none comes.

        What comes after that had to wait in the balancer: it is answered a little later.
        """
        if self._drains:
            asyncio.get_running_loop().call_later(QUEUED_SECONDS, connection.answer)
            return
        self._held.append(connection)
        self.most = max(self.most, len(self._held))
        if len(self._held) >= wanted:
            self._let_go()
        else:
            # Time counts from the latest: on a busy machine they arrive slowly.
            self._wait_no_longer()
            self._timer = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._let_go)

    def forget(self, connection: Answering) -> None:
        """Hold back no request of a connection that has ended."""
        if connection in self._held:
            self._held.remove(connection)

    def _wait_no_longer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _let_go(self) -> None:
        self._wait_no_longer()
        held, self._held = self._held, []
        self._drains = bool(held)
        for connection in held:
            connection.answer()
