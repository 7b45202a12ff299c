"""One line of the record: a check with its numbers and its verdict.

Standard library only: what is suspicious is also asked inside the staging container.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evenkeel.judge.verdict import FAIL, PASS

Data = Mapping[str, Any]
Check = dict[str, Any]

_NAMED = 4


def check(name: str, title: str, verdict: str, numbers: Data, reasons: Iterable[str]) -> Check:
    """Give one check as it is recorded."""
    return {
        "id": name,
        "title": title,
        "verdict": verdict,
        "numbers": dict(numbers),
        "reasons": list(reasons),
    }


def verdict_for(reasons: list[str]) -> str:
    """Give `fail` when there is a reason for it."""
    return FAIL if reasons else PASS


def few(reasons: list[str], what: str = "servers") -> list[str]:
    """Give the first reasons and how many more there are: a pool may have 10,000 servers."""
    if len(reasons) <= _NAMED:
        return reasons
    return [*reasons[:_NAMED], f"and {len(reasons) - _NAMED} more {what}"]


def names(servers: list[str]) -> str:
    """Give the first names of a list and how many more there are."""
    shown = ", ".join(servers[:_NAMED])
    return shown if len(servers) <= _NAMED else f"{shown} and {len(servers) - _NAMED} more"
