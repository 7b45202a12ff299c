"""A client that asks a balancer all the time while something happens to its host."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from evenkeel_proof.fault_injection.fault_host import FaultHost

_TIMEOUT_SECONDS = 0.5
_BETWEEN_TRIES = 0.002
_AFTERWARDS_SECONDS = 2.0


@dataclass
class Seen:
    """What the client saw: the servers that answered before the balancer was gone, and after."""

    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    was_down: bool = False

    @property
    def answers(self) -> int:
        """How many requests were answered after the balancer had been gone."""
        return sum(self.after.values())

    def note(self, server: str) -> None:
        """Count an answer of `server`, or that there was none."""
        if not server:
            self.was_down = True
        else:
            (self.after if self.was_down else self.before)[server] += 1


def asked_throughout(host: FaultHost, happens: Callable[[], object]) -> Seen:
    """Ask the balancer without a pause until `happens()` is over and answers came again."""
    seen, over = Seen(), threading.Event()

    def ask() -> None:
        while not over.is_set():
            server = _ask(host.address)
            seen.note(server)
            if not server:
                time.sleep(_BETWEEN_TRIES)

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    try:
        host.wait_for(lambda: seen.before, "the first answer")
        happens()
        host.wait_for(lambda: seen.answers or not seen.was_down, "an answer after the boot")
        # What would still revert later has to be seen as well.
        over.wait(_AFTERWARDS_SECONDS)
    finally:
        over.set()
        client.join(10)
    return seen


def _ask(address: str) -> str:
    connection = http.client.HTTPConnection(address, 80, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().getheader("X-Served-By", "")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
