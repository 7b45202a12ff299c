"""When a change may be deployed: its own window, and the freezes of the fleet.

Pure. Times in inventories and in change.json are ISO 8601 with an offset (2026-12-24T18:00:00Z).
A freeze never keeps a rollback out; nothing here is asked then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from evenkeel.errors import Problem, Problems, Refused


def require_open(
    change: Mapping[str, Any], freeze_windows: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Raise Refused unless `now` (aware) lies in the change's own window and in no freeze.

    `change` is change.json; a freeze window is {from, to, reason}. Raises Problems for a time that
    cannot be read: a window that nobody understands keeps everything out.
    """
    for window in _listed(freeze_windows):
        begin = _time(window.get("from"), "freeze_windows.from")
        end = _time(window.get("to"), "freeze_windows.to")
        if begin <= now < end:
            raise Refused(
                f"The fleet is frozen: {window.get('reason') or 'no reason given'}",
                where="freeze_windows",
                wanted=f"a time before {begin.isoformat()} or from {end.isoformat()} on",
                got=now.isoformat(timespec="seconds"),
                next_step="wait for the end of the freeze; a rollback is never kept out",
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


def _listed(windows: object) -> list[Mapping[str, Any]]:
    listed = [] if windows is None else windows
    if isinstance(listed, list | tuple) and all(isinstance(one, Mapping) for one in listed):
        return list(listed)
    problem = Problem("freeze_windows", "a list of {from, to, reason}", repr(windows)[:60])
    raise Problems(
        "The freeze windows cannot be read",
        [problem],
        next_step="write freeze_windows as a list of mappings in the inventory",
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
