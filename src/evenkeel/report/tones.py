"""Words and tones for verdicts, outcomes, times and lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from evenkeel.records import Record

# The word itself is always printed beside its colour.
TONES = {
    "done": "good",
    "pass": "good",
    "confirmed": "good",
    "fail": "bad",
    "rolled_back": "warn",
    "reverted": "warn",
    "rollback_failed": "bad",
    "split": "bad",
    "failed": "bad",
    "missing": "bad",
    "inconclusive": "warn",
    "no_data": "warn",
    "refused": "warn",
}
# What a tone looks like on a terminal.
STYLES = {"good": "green", "bad": "red", "warn": "yellow", "idle": ""}


def tone(word: object) -> str:
    """Give the tone of a verdict or an outcome."""
    return TONES.get(str(word), "idle")


def said(word: object) -> str:
    """Give a verdict or an outcome in words."""
    return str(word).replace("_", " ")


def few(names: Sequence[str], most: int = 6) -> str:
    """Give the first of `names` and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def when(text: object) -> str:
    """Give an ISO 8601 time as "2024-06-20 13:01:42 UTC", anything else as it is."""
    moment = _moment(text)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else str(text or "")


def clock(text: object) -> str:
    """Give an ISO 8601 time without its year, as "06-20 13:01:42"."""
    moment = _moment(text)
    return moment.strftime("%m-%d %H:%M:%S") if moment else ""


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def took(record: Record) -> str:
    """Give how long a record's verb took, "" for less than a second."""
    start, end = _moment(record.started), _moment(record.ended)
    seconds = (end - start).total_seconds() if start and end else 0.0
    if seconds < 1:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
