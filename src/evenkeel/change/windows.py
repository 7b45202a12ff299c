"""When a change may be deployed: its own window, and the freezes of the fleet.

Times in inventories and in change.json are ISO 8601 with an offset (2026-12-24T18:00:00Z). A freeze
never stops a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict

from evenkeel.change.folder import ChangeFacts
from evenkeel.errors import Problem, Problems, Refused

# `from` is a keyword: no class syntax.
FreezeWindow = TypedDict("FreezeWindow", {"from": str, "to": str, "reason": str}, total=False)
"""A time in which no change is deployed."""


def require_open(
    change: ChangeFacts, freeze_windows: Sequence[FreezeWindow], now: datetime
) -> None:
    """Raise Refused unless `now` (with a time zone) is in the change's own window and in no freeze.

    Raises Problems for a window that cannot be read: then nothing is deployed.
    """
    freezes: object = [] if freeze_windows is None else freeze_windows
    if not isinstance(freezes, list | tuple) or not all(isinstance(f, Mapping) for f in freezes):
        raise Problems(
            "The freeze windows cannot be read",
            [Problem("freeze_windows", "a list of {from, to, reason}", repr(freeze_windows)[:60])],
            next_step="write freeze_windows as a list of mappings in the inventory",
        )
    for window in freezes:
        begin = _time(window.get("from"), "freeze_windows.from")
        end = _time(window.get("to"), "freeze_windows.to")
        if begin <= now < end:
            raise Refused(
                f"The fleet is frozen: {window.get('reason') or 'no reason given'}",
                where="freeze_windows",
                wanted=f"a time before {begin.isoformat()} or from {end.isoformat()} on",
                got=now.isoformat(timespec="seconds"),
                next_step="wait for the end of the freeze; a rollback is always possible",
            )
    name = change.get("change_id")
    if change.get("not_before") and now < _time(change["not_before"], "not_before"):
        raise Refused(
            f"The change {name} is not due yet",
            where="change.json",
            wanted=f"a time from {change['not_before']} on",
            got=now.isoformat(timespec="seconds"),
            next_step="wait, or let scripts/scheduled_deploy do it when it is due",
        )
    if change.get("not_after") and now >= _time(change["not_after"], "not_after"):
        raise Refused(
            f"The window of change {name} is over",
            where="change.json",
            wanted=f"a time before {change['not_after']}",
            got=now.isoformat(timespec="seconds"),
            next_step="render it again with a window that lies ahead",
        )


def _time(value: object, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problem = Problem(path, "an ISO 8601 time with an offset", repr(value)[:60])
        raise Problems(
            "A window cannot be read", [problem], next_step="write it as 2026-12-24T18:00Z"
        )
    return moment
