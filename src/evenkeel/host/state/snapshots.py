"""Snapshots: a second copy of a release, with its runtime state, versions and predecessor."""

from __future__ import annotations

from typing import Any, Dict

from evenkeel.host.state.journal import Journal
from evenkeel.host.state.machine import Machine


def take(
    machine: Machine, journal: Journal, name: str, release: str, state: Dict[str, Any]
) -> None:
    """Keep bytes, runtime state and versions of `release` as snapshot `name`, chained."""
    confirmed = journal.confirmed() or {}
    is_confirmed = confirmed.get("release") == release
    previous = (journal.last_snapshot or {}).get("sha256")
    digest = machine.store.write_snapshot(
        name,
        release,
        {
            "created": machine.clock.now(),
            "change": confirmed.get("change") if is_confirmed else None,
            "confirmed": is_confirmed,
            "runtime_state": state,
            "versions": machine.versions(),
            "previous": previous,
        },
    )
    journal.last_snapshot = {"name": name, "sha256": digest}
