"""Writes words and times of a configuration of HAProxy."""

from __future__ import annotations

import re

_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:@*+,=\[\]-]+")


def quote(text: str) -> str:
    """Give `text` as one word of a line. Nothing else quotes.

    Within single quotes HAProxy interprets nothing (configuration.txt, 2.2), and a single quote
    itself is written between two quoted parts. Raises ValueError for a character that ends a line.
    """
    if _PLAIN_WORD.fullmatch(text):
        return text
    if not text.isprintable():
        raise ValueError("a word of a configuration holds a character that is not printed")
    return "'" + text.replace("'", "'\\''") + "'"


def duration(seconds: float) -> str:
    """Give a time with its unit: HAProxy reads a bare number as milliseconds."""
    return f"{seconds:.0f}s" if float(seconds).is_integer() else f"{seconds * 1000:.0f}ms"
