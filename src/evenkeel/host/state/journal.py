"""The journal: what is under way on this host and where it may go back to, in one file.

    pending      the change that is not confirmed, or the rollback that is not finished; or None
    generations  what was confirmed, oldest first; the last one is the last-known-good
    last         how the latest change or rollback ended
    last_snapshot  name and sha256 of the newest snapshot: the next one is chained to it
    loaded       the release that a running worker was proven to have, and that worker
    drains       the servers that somebody took out: who, why, since when, until when
    drain_timer  the timer that was armed for the next end of a drain
    pins         names of the snapshots that are never pruned

Because the whole state is one file, "confirmed, and nothing pending any more" is one rename.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional, Tuple, Type

from evenkeel.host.errors import RollbackFailed
from evenkeel.host.system import durable
from evenkeel.host.system.sha256 import canonical
from evenkeel.host.system.steps import Steps

SCHEMA_VERSION = 1
LARGEST_BYTES = 4 * 1024 * 1024
# More generations than anybody goes back; `prune` keeps fewer.
MOST_GENERATIONS = 50

STARTED = "started"
ACTIVATED = "activated"
GOING_BACK = "going back"

Types = Tuple[Type[Any], ...]

CHANGE = "change"
ROLLBACK = "rollback"


class Journal:
    """The journal's content. Nothing is durable before `write`."""

    def __init__(self, path: str, content: Optional[Dict[str, Any]] = None) -> None:
        self.path = path
        content = content or {}
        self.pending: Optional[Dict[str, Any]] = content.get("pending")
        self.generations: List[Dict[str, Any]] = content.get("generations", [])
        self.last: Optional[Dict[str, Any]] = content.get("last")
        self.loaded: Optional[Dict[str, Any]] = content.get("loaded")
        self.last_snapshot: Optional[Dict[str, Any]] = content.get("last_snapshot")
        # Journals of older versions lack these.
        self.drains: List[Dict[str, Any]] = content.get("drains", [])
        self.drain_timer: Optional[Dict[str, Any]] = content.get("drain_timer")
        self.pins: List[str] = content.get("pins", [])

    @classmethod
    def read(cls, path: str) -> "Journal":
        """Read the journal at `path`; one that is not there yet is empty.

        Raises RollbackFailed for one that cannot be read: to guess what is confirmed is worse.
        """
        data = durable.read_if_there(path, LARGEST_BYTES)
        if data is None:
            return cls(path)
        try:
            content = json.loads(data)
            error = _damage(content)
        except (ValueError, RecursionError):
            error = "something else"
        if error:
            raise RollbackFailed(
                "The journal of this host cannot be read",
                where=path,
                wanted=f"JSON of schema version {SCHEMA_VERSION}",
                got=error,
                next_step="install the program that wrote it again"
                if error.startswith("schema version")
                else "restore it from a backup, or move it away to adopt what is live",
            )
        return cls(path, content)

    def write(self, steps: Steps, name: str) -> None:
        """Make the content durable; `name` says which step of which verb this is."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "pending": self.pending,
            "generations": self.generations[-MOST_GENERATIONS:],
            "last": self.last,
            "loaded": self.loaded,
            "last_snapshot": self.last_snapshot,
            "drains": self.drains,
            "drain_timer": self.drain_timer,
            "pins": self.pins,
        }
        durable.write_file(steps, f"journal {name}", self.path, canonical(content))

    def under_way(self) -> Dict[str, Any]:
        """Give `pending` to a caller that knows that there is one."""
        if self.pending is None:
            raise RollbackFailed("Nothing is under way on this host", where=self.path)
        return self.pending

    def confirmed(self) -> Optional[Dict[str, Any]]:
        """The latest generation, or None on a host that was never taken over."""
        return self.generations[-1] if self.generations else None

    def next_number(self) -> int:
        """Give the number of the next generation; numbers are never used twice."""
        numbers = [int(generation["number"]) for generation in self.generations]
        if self.last:
            numbers.append(int(self.last.get("generation", -1)))
        return max(numbers, default=-1) + 1

    def push(self, generation: Dict[str, Any]) -> None:
        """Add a generation as the last-known-good."""
        self.generations = [*self.generations, generation]


_TEXT = (str,)
_MAYBE = (str, type(None))
_PART = (dict, type(None))
_JOURNAL: Dict[str, Types] = {
    "pending": _PART,
    "generations": (list,),
    "last": _PART,
    "loaded": _PART,
    "last_snapshot": _PART,
    "drains": (list,),
    "drain_timer": _PART,
    "pins": (list,),
}
_GENERATION: Dict[str, Types] = {"number": (int,), "release": _TEXT, "change": _MAYBE}
_DRAIN: Dict[str, Types] = {
    "pool": _TEXT,
    "server": _TEXT,
    "reason": _TEXT,
    "owner": _TEXT,
    "since": _TEXT,
    "until": _MAYBE,
    "seconds": (int, type(None)),
}
_PENDING: Dict[str, Types] = {
    "kind": _TEXT,
    "phase": _TEXT,
    "change": _MAYBE,
    "release": _TEXT,
    "from": _TEXT,
    "before": _PART,
    "runtime_state": (dict,),
    "timer": _MAYBE,
}
_LEASE: Dict[str, Types] = {"boot_id": _TEXT, "deadline": (int, float)}
_BACK: Dict[str, Types] = {
    "to": _TEXT,
    "reason": _TEXT,
    "skip_reload": (bool,),
    "generations": (list,),
}


def _damage(content: Any) -> str:
    """Say what is wrong with the shape of a journal's content; empty when nothing is."""
    if not isinstance(content, dict):
        return "no object"
    if content.get("schema_version") != SCHEMA_VERSION:
        return f"schema version {str(content.get('schema_version'))[:20]}"
    lists: Dict[str, Any] = {key: [] for key, types in _JOURNAL.items() if types == (list,)}
    said = _lacks({**dict.fromkeys(_JOURNAL), **lists, **content}, _JOURNAL, "journal")
    said = said or _items_damage(content.get("generations", []), _GENERATION, "generations")
    said = said or _items_damage(content.get("drains", []), _DRAIN, "drains")
    return said or _pending_damage(content)


def _pending_damage(content: Dict[str, Any]) -> str:
    pending = content.get("pending")
    if pending is None:
        return ""
    said = _lacks(pending, _PENDING, "pending")
    if said:
        return said
    if pending["phase"] not in (STARTED, ACTIVATED, GOING_BACK):
        return "pending in a phase that there is not"
    if pending["kind"] == CHANGE:
        said = _lacks(pending.get("lease"), _LEASE, "pending.lease")
    elif pending["kind"] != ROLLBACK or pending["phase"] != GOING_BACK:
        return "pending of a kind that there is not"
    if not said and pending["phase"] == GOING_BACK:
        said = _lacks(pending, _BACK, "pending")
        said = said or _items_damage(pending["generations"], _GENERATION, "generations")
    return said


def _items_damage(items: List[Any], wanted: Dict[str, Types], where: str) -> str:
    for item in items:
        said = _lacks(item, wanted, where)
        if said:
            return said
    return ""


def _lacks(part: Any, wanted: Dict[str, Types], where: str) -> str:
    if not isinstance(part, dict):
        return f"{where} that is no object"
    for key, types in wanted.items():
        if key not in part or not isinstance(part[key], types):
            return f"{where} without a usable {key}"
    return ""


def journal_path(root: str) -> str:
    """Where the journal is kept below the store's root."""
    return os.path.join(root, "journal")
