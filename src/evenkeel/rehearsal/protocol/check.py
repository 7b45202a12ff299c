"""One check of a record: its numbers and its verdict.

Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from evenkeel.judge.verdict import FAIL, PASS

_SHOWN = 4


class Check(TypedDict):
    """One check of a record."""

    id: str
    title: str
    verdict: str
    # Each check has numbers of its own.
    numbers: dict[str, object]
    reasons: list[str]


def check(
    name: str,
    title: str,
    verdict: str,
    numbers: Mapping[str, object],  # each check has numbers of its own
    reasons: Iterable[str],
) -> Check:
    """Give one check as it is recorded."""
    return {
        "id": name,
        "title": title,
        "verdict": verdict,
        "numbers": dict(numbers),
        "reasons": list(reasons),
    }


def verdict_for(reasons: Sequence[str]) -> str:
    """Give `fail` when there is a reason for it."""
    return FAIL if reasons else PASS


def few(reasons: Sequence[str], what: str = "servers") -> list[str]:
    """Give the first reasons and how many more there are: a pool may have 10,000 servers."""
    if len(reasons) <= _SHOWN:
        return list(reasons)
    return [*reasons[:_SHOWN], f"and {len(reasons) - _SHOWN} more {what}"]


def names(servers: Sequence[str]) -> str:
    """Give the first names of a list and how many more there are."""
    shown = ", ".join(servers[:_SHOWN])
    return shown if len(servers) <= _SHOWN else f"{shown} and {len(servers) - _SHOWN} more"
