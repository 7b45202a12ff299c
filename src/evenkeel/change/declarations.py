"""What a change declares beside its intents: waivers of rules, and intended shifts of shares.

Both are in the manifest, so the digest binds them: another waiver is another change, which is
rehearsed and approved again. The approver sees each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NotRequired, TypedDict, cast

from evenkeel.errors import Problem, Problems
from evenkeel.records import LONGEST_TEXT

KEY = "declared"
# Checks of the rehearsal that a change can waive.
OF_THE_REHEARSAL = ("asked",)
_MOST = 200


class WaiverRow(TypedDict):
    """A waiver as the manifest holds it."""

    rule: str
    subject: str
    reason: str
    until: NotRequired[str]


class ShiftRow(TypedDict):
    """An intended shift as the manifest holds it."""

    pool: str
    server: str
    reason: str
    points: NotRequired[float]
    to_percent: NotRequired[float]


class DeclaredRows(TypedDict, total=False):
    """Everything that a change declares, as the manifest holds it."""

    waivers: list[WaiverRow]
    intended_shifts: list[ShiftRow]


@dataclass(frozen=True, order=True)
class Waiver:
    """A finding that does not stop the change: its rule and subject, the reason, the last day."""

    rule: str
    subject: str
    reason: str
    until: str = ""

    def holds(self, today: str) -> bool:
        """Whether its last day is not over; days are text as 2026-12-31."""
        return not self.until or self.until >= today


@dataclass(frozen=True, order=True)
class Shift:
    """An intended shift of a server's share: by at most `points`, or to `to_percent`.

    One of the two is given.
    """

    pool: str
    server: str
    reason: str
    points: float | None = None
    to_percent: float | None = None


@dataclass(frozen=True)
class Declared:
    """Everything that a change declares."""

    waivers: tuple[Waiver, ...] = ()
    intended_shifts: tuple[Shift, ...] = ()

    def as_dict(self) -> DeclaredRows:
        """Give it as the manifest holds it; an empty value is left out."""
        rows = {
            name: [
                {key: value for key, value in vars(row).items() if value not in (None, "")}
                for row in getattr(self, name)
            ]
            for name in ("waivers", "intended_shifts")
            if getattr(self, name)
        }
        return cast("DeclaredRows", rows)


def read(values: Mapping[str, object]) -> Declared:
    """Read `waivers` and `intended_shifts`, lists of mappings, and give them sorted.

    Raises Problems that names every invalid value.
    """
    problems: list[Problem] = []
    waivers = [
        Waiver(**row)
        for row in _rows(values, "waivers", ("rule", "subject", "reason"), ("until",), problems)
    ]
    shifts = [
        Shift(**row)
        for row in _rows(
            values,
            "intended_shifts",
            ("pool", "server", "reason"),
            ("points", "to_percent"),
            problems,
        )
    ]
    if problems:
        raise Problems(
            "What the change declares cannot be used",
            problems,
            where="waivers, intended_shifts",
            next_step="correct the variables, in the inventory or in -e (docs/reference/policy.md)",
        )
    return Declared(tuple(sorted(set(waivers))), tuple(sorted(set(shifts), key=repr)))


def of_manifest(manifest: Mapping[str, Any]) -> Declared:
    """Read what a manifest declares; without the key it is nothing."""
    return read(manifest.get(KEY) or {})


def _rows(
    values: Mapping[str, object],
    name: str,
    needed: tuple[str, ...],
    optional: tuple[str, ...],
    problems: list[Problem],
) -> Iterable[dict[str, Any]]:
    """Give the valid rows; add a problem for each other one."""
    rows = values.get(name) or []
    if not isinstance(rows, list) or len(rows) > _MOST:
        wanted = f"a list of at most {_MOST} mappings with {', '.join(needed)}"
        problems.append(Problem(name, wanted, type(rows).__name__))
        return []
    good = []
    for number, row in enumerate(rows):
        found = list(_row_problems(row, f"{name}[{number}]", needed, optional))
        problems += found
        if not found:
            good.append(dict(row))
    return good


def _row_problems(
    row: Any, path: str, needed: tuple[str, ...], optional: tuple[str, ...]
) -> Iterable[Problem]:
    if not isinstance(row, Mapping):
        yield Problem(path, f"a mapping with {', '.join(needed)}", type(row).__name__)
        return
    for key in sorted(set(row) - {*needed, *optional}):
        yield Problem(f"{path}.{key}"[:80], f"one of {', '.join((*needed, *optional))}", "this key")
    for key in needed:
        value = row.get(key)
        text = value if isinstance(value, str) and value.isprintable() else ""
        if not text.strip() or len(text) > LONGEST_TEXT:
            yield Problem(f"{path}.{key}", f"1 to {LONGEST_TEXT} printed characters", _shown(value))
    if row.get("until") is not None and not _is_a_day(row["until"]):
        yield Problem(f"{path}.until", "a date such as 2026-12-31", _shown(row["until"]))
    if "points" not in optional:
        return
    given = [key for key in ("points", "to_percent") if row.get(key) is not None]
    if len(given) != 1:
        yield Problem(path, "points or to_percent", " and ".join(given) or "neither")
    for key in given:
        value = row[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 100:
            yield Problem(f"{path}.{key}", "a number from 0 to 100", _shown(value))


def _is_a_day(value: object) -> bool:
    try:
        return date.fromisoformat(str(value)).isoformat() == value
    except ValueError:
        return False


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]
