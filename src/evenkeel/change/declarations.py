"""What a change declares beside its intents: waivers of rules, and shifts of share that are wanted.

Both lie in the manifest, so that the digest binds them: another waiver is another change, which is
rehearsed and approved anew. Whoever approves sees each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from evenkeel.errors import Problem, Problems
from evenkeel.records import LONGEST_TEXT

KEY = "declared"
# Checks of the rehearsal whose findings are waived as those of rules; render knows none of them.
OF_THE_REHEARSAL = ("asked",)
_MOST = 200


@dataclass(frozen=True, order=True)
class Waiver:
    """A finding of a rule that may stand: its rule, its subject, why, and until which day."""

    rule: str
    subject: str
    reason: str
    until: str = ""

    def holds(self, today: str) -> bool:
        """Whether its day is not over; days are text as 2026-12-31."""
        return not self.until or self.until >= today


@dataclass(frozen=True, order=True)
class Shift:
    """A shift of a server's share that is wanted: by at most so many points, or to a share.

    One of `points` and `to_percent` is given.
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

    def as_dict(self) -> dict[str, Any]:
        """Give it as the manifest holds it; what is not given is left out."""
        return {
            name: [
                {key: value for key, value in vars(one).items() if value not in (None, "")}
                for one in getattr(self, name)
            ]
            for name in ("waivers", "intended_shifts")
            if getattr(self, name)
        }


def read(values: Mapping[str, Any]) -> Declared:
    """Give what `values` (`waivers`, `intended_shifts`: lists of mappings) declare, sorted.

    Raises Problems naming everything in them that has no meaning.
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
    """Give what a manifest declares; a change without the key declares nothing."""
    return read(manifest.get(KEY) or {})


def _rows(
    values: Mapping[str, Any],
    name: str,
    needed: tuple[str, ...],
    optional: tuple[str, ...],
    problems: list[Problem],
) -> Iterable[dict[str, Any]]:
    """Give the rows that are right; add a problem for each that is not."""
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
        if not isinstance(value, str) or not value.strip() or not _is_short(value):
            yield Problem(f"{path}.{key}", f"1 to {LONGEST_TEXT} printed characters", _shown(value))
    if row.get("until") is not None and not _is_a_day(row["until"]):
        yield Problem(f"{path}.until", "a date such as 2026-12-31", _shown(row["until"]))
    if "points" in optional:
        yield from _shift_problems(row, path)


def _shift_problems(row: Mapping[str, Any], path: str) -> Iterable[Problem]:
    given = [key for key in ("points", "to_percent") if row.get(key) is not None]
    if len(given) != 1:
        yield Problem(path, "points or to_percent", " and ".join(given) or "neither")
    for key in given:
        value = row[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 100:
            yield Problem(f"{path}.{key}", "a number from 0 to 100", _shown(value))


def _is_short(text: str) -> bool:
    return text.isprintable() and len(text) <= LONGEST_TEXT


def _is_a_day(value: object) -> bool:
    try:
        return date.fromisoformat(str(value)).isoformat() == value
    except ValueError:
        return False


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]
