"""Concurrent requests: stub servers hold them back until all have arrived.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

HOLD_SECONDS = 2.0
# A request from the balancer's queue is slow.
QUEUED_SECONDS = 0.1


class Answering(Protocol):
    """A connection whose request can be answered later."""

    def answer(self) -> None:
        """Answer the request at hand."""


class Peak:
    """The requests that all servers hold back; `most` is the largest number."""

    def __init__(self) -> None:
        self.most = 0
        self._held: list[Answering] = []
        self._drains = False
        self._timer: asyncio.TimerHandle | None = None

    def reset(self) -> None:
        """Start counting and holding back again."""
        self.most = 0
        self._drains = False

    def hold(self, connection: Answering, wanted: int) -> None:
        """Hold a request back until `wanted` of them have arrived, or no more come.

        A later request waited in the balancer: it is answered after a moment.
        """
        if self._drains:
            asyncio.get_running_loop().call_later(QUEUED_SECONDS, connection.answer)
            return
        self._held.append(connection)
        self.most = max(self.most, len(self._held))
        if len(self._held) >= wanted:
            self._let_go()
        else:
            # Wait from the latest: busy machines send slowly.
            self._wait_no_longer()
            self._timer = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._let_go)

    def forget(self, connection: Answering) -> None:
        """Forget a connection that has ended."""
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
