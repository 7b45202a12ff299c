"""Rules about lines that a person reads otherwise than HAProxy."""

from __future__ import annotations

from typing import Iterator

from ..config.parser import Configuration
from .rule import STOP, Hit, rule


@rule(
    "disguised-line",
    STOP,
    title="A line does something else than a person reads",
    reason="the approver reads `den\\x79` and HAProxy reads `deny`; after an empty word most"
    " directives read no further, not even their condition",
    next_step="write letters, digits and signs as they are, and nothing after an empty word",
)
def disguised_line(now: Configuration) -> Iterator[Hit]:
    """An escape for a plain character, a zero byte, or words after an empty one."""
    for line, hidden in now.disguised:
        text = " ".join(line.words)
        yield Hit(f"{hidden}: {text[:100]}", line, about=text[:80])
