"""The small values of HAProxy's lines: numbers, times, conditions.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Optional, Sequence, Tuple

_TIME = re.compile(r"([0-9]+)(us|ms|s|m|h|d)?")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}


def number(text: str) -> Optional[int]:
    """Give a whole number, or None."""
    return int(text) if text.isdigit() and len(text) < 16 else None


def is_address(text: str) -> bool:
    """Whether a text is an address of IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_port(text: str) -> bool:
    """Whether a text is a port that something can listen at."""
    return 0 < (number(text) or 0) < 65536


def milliseconds(text: str) -> Optional[float]:
    """Give a time of HAProxy in milliseconds: that is also what a bare number is."""
    found = _TIME.fullmatch(text)
    if not found or len(found[1]) > 15:
        return None
    return int(found[1]) * _MILLISECONDS[found[2] or "ms"]


def has_unit(text: str) -> bool:
    """Whether a time says what it counts."""
    return not text.isdigit()


def condition(parts: Sequence[str]) -> Tuple[str, ...]:
    """Give the words after `if` or `unless`; nothing for a line without a condition."""
    for at, word in enumerate(parts):
        if word in ("if", "unless"):
            return tuple(parts[at:])
    return ()


def is_always(parts: Sequence[str]) -> bool:
    """Whether a line's condition is none at all, `if TRUE` or `unless FALSE`."""
    found = condition(parts)
    return not found or found in (("if", "TRUE"), ("unless", "FALSE"), ("unless", "!TRUE"))
