"""Numbers and times, as HAProxy writes them."""

from __future__ import annotations

import re
from typing import Optional

_TIME = r"([0-9]+)(us|ms|s|m|h|d)?"
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}


def number(text: str) -> Optional[int]:
    """Give a non-negative integer, or None."""
    return int(text) if text.isdigit() and len(text) < 16 else None


def milliseconds(text: str) -> Optional[float]:
    """Give a time in milliseconds, the unit of a bare number; None for anything else."""
    found = re.fullmatch(_TIME, text)
    if not found or len(found[1]) > 15:
        return None
    return int(found[1]) * _MILLISECONDS[found[2] or "ms"]
