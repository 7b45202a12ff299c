"""What stub servers say to health checks that are not HTTP: see a role's dialect.

A server that speaks first waits a moment: the load client sends at once, a check waits. Standard
library only: it runs inside the staging container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evenkeel.rehearsal.protocol.world_types import Endpoint, SpeechFacts

# A busy client's first byte arrives earlier.
GREETING_SECONDS = 0.5


@dataclass(frozen=True)
class Speech:
    """What one server says first, and its answers to known beginnings of a question."""

    greets: bytes = b""
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def reply(self, asked: bytes) -> bytes:
        """Give the answer; b"" for an unknown or incomplete question."""
        is_http = b" HTTP/" in asked.partition(b"\r\n")[0]
        if not asked or is_http:
            return b""
        return next((said for begins, said in self.answers if asked.startswith(begins)), b"")


def read(speeches: Mapping[Endpoint, SpeechFacts]) -> dict[str, Speech]:
    """Give {endpoint: what it says} of a world's `speaks`."""
    return {
        endpoint: Speech(
            bytes.fromhex(one["greets"]),
            [(bytes.fromhex(ask), bytes.fromhex(say)) for ask, say in one["answers"]],
        )
        for endpoint, one in speeches.items()
    }
