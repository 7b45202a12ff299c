"""What stub servers say to health checks of other protocols than HTTP: see a role's dialect.

A server that has to speak first waits a moment: a client of ours asks at once, a check waits.
Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evenkeel.rehearsal.protocol.world_types import Endpoint, SpeechFacts

# As long as a client of a busy machine may need for its first byte; checks wait a second and more.
GREETING_SECONDS = 0.5


@dataclass(frozen=True)
class Speech:
    """What one server says by itself, and the answer to a question that begins in a known way."""

    greets: bytes = b""
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def reply(self, asked: bytes) -> bytes:
        """Give the answer; b"" where this is no question that is known, or not yet as a whole."""
        if not asked or _is_http(asked):
            return b""
        return next((said for begins, said in self.answers if asked.startswith(begins)), b"")


def read(speeches: Mapping[Endpoint, SpeechFacts]) -> dict[str, Speech]:
    """Give {endpoint: its speech} of a world's `speaks`."""
    return {
        endpoint: Speech(
            bytes.fromhex(one["greets"]),
            [(bytes.fromhex(ask), bytes.fromhex(say)) for ask, say in one["answers"]],
        )
        for endpoint, one in speeches.items()
    }


def _is_http(asked: bytes) -> bool:
    return b" HTTP/" in asked.partition(b"\r\n")[0]
