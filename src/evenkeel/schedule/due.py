"""Find the changes that are due: scheduled, inside their window, and approved.

A change is scheduled when its change.json says `"scheduled": true` (render with
`-e change_scheduled=true`), or when the inventory's list `scheduled_changes` names it. Without an
outcome it is due from `not_before` until `not_after`; either may be missing. An approval binds
change.json, so the schedule of an approved change is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from evenkeel.canary.hold import open_hold
from evenkeel.change import approval
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.windows import require_open
from evenkeel.errors import Refused, readable


@dataclass(frozen=True)
class Settings:
    """The inventory's settings for deploys; docs/reference/variables.md explains each."""

    changes: Path
    allowed_signers: Path
    approvals_required: int = 1
    freeze_windows: Sequence[Mapping[str, Any]] = ()
    scheduled_changes: Sequence[str] = ()


@dataclass(frozen=True)
class Due:
    """What to do now: deploy `ready` in this order; `waiting` and `refused` give reasons."""

    ready: tuple[ChangeFolder, ...]
    waiting: Mapping[str, str]
    refused: Mapping[str, Refused]


def due(settings: Settings, now: datetime) -> Due:
    """Sort the scheduled changes that have no outcome; the oldest due change is first.

    Raises Refused when the folder of changes is missing.
    """
    if not settings.changes.is_dir():
        raise Refused(
            "The folder of changes is missing",
            where=str(settings.changes),
            next_step="set evenkeel_changes_dir in the inventory",
        )
    ready: list[tuple[str, str, ChangeFolder]] = []
    waiting: dict[str, str] = {}
    refused: dict[str, Refused] = {}
    held = ""
    for folder in _scheduled(settings, refused):
        about = folder.change()
        try:
            hold = open_hold(folder)
            if hold:
                # Only an operator can end a held change.
                with readable("The record of the hold", folder.plan_json.parent):
                    until = hold.body["until"]
                    is_over = datetime.fromisoformat(until) <= now
                waiting[folder.change_id] = f"it was held until {until} and is not decided yet"
                held = held if is_over else folder.change_id
                continue
        except Refused as error:
            refused[folder.change_id] = error
            continue
        try:
            require_open(about, [], now)
        except Refused as error:
            waiting[folder.change_id] = error.what
            continue
        if not any(folder.approvals.glob("*.json")):
            waiting[folder.change_id] = "it is not approved yet"
            continue
        try:
            approval.verify(folder, settings.allowed_signers, required=settings.approvals_required)
            order = (str(about.get("not_before") or ""), str(about.get("created") or ""))
            ready.append((*order, folder))
        except Refused as error:
            refused[folder.change_id] = error
    ready.sort(key=lambda row: (row[0], row[1], row[2].change_id))
    if held:
        # The held hosts refuse every other change.
        waiting |= {row[2].change_id: f"the hosts are held by {held}" for row in ready}
        ready = []
    return Due(tuple(row[2] for row in ready), waiting, refused)


def _scheduled(settings: Settings, refused: dict[str, Refused]) -> list[ChangeFolder]:
    """Give the scheduled changes without an outcome; add damaged ones to `refused`."""
    found = []
    for path in sorted(settings.changes.iterdir()):
        try:
            folder = ChangeFolder(path)
        except Refused:
            continue
        if not folder.change_json.exists() or folder.outcome_json.exists():
            continue
        try:
            named = folder.change_id in settings.scheduled_changes
            if named or folder.change().get("scheduled") is True:
                found.append(folder)
        except Refused as error:
            refused[folder.change_id] = error
    return found
