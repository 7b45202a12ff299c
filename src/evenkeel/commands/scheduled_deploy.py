"""Deploy every change that is scheduled, approved and due, one after the other."""

from __future__ import annotations

import argparse
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evenkeel.change.windows import require_open
from evenkeel.commands import ROOT, add_inventory, run
from evenkeel.errors import EXIT_OK, Refused, gravest, one_line
from evenkeel.schedule.due import Settings, due
from evenkeel.schedule.run_due import deploy
from evenkeel.schedule.runner import RunPlaybook, playbooks, read_settings
from evenkeel.terminal import say

LOCK = ".scheduled_deploy.lock"


def main(arguments: list[str]) -> int:
    """Deploy what is due; the exit code is that of the gravest outcome, 0 when nothing was due."""
    parser = argparse.ArgumentParser(prog="scripts/scheduled_deploy", description=__doc__)
    add_inventory(parser)
    parser.add_argument("--list", action="store_true", help="say what is due and deploy nothing")
    options = parser.parse_args(arguments)
    settings = _settings(options.inventory, options.fleet)
    with only_one(settings.changes):
        return deploy_due(
            settings,
            playbooks(ROOT, options.inventory, options.fleet, say),
            datetime.now(UTC),
            only_list=options.list,
        )


def deploy_due(
    settings: Settings, run_playbook: RunPlaybook, now: datetime, *, only_list: bool = False
) -> int:
    """Deploy what is due at `now` and give the exit code.

    The first change that does not end confirmed is the last: what comes after it may build on it.
    Raises Refused when something is due and the fleet is frozen.
    """
    found = due(settings, now)
    for change, why in found.waiting.items():
        say(one_line(f"{change} waits: {why}"))
    for change, error in found.refused.items():
        say(f"{change} is refused: {error}")
    codes = [error.exit_code for error in found.refused.values()]
    if not found.ready:
        say("nothing is due")
    for folder in found.ready:
        say(f"{folder.change_id} is due")
        if only_list:
            continue
        require_open({"change_id": folder.change_id}, settings.freeze_windows, now)
        codes.append(deploy(folder, run_playbook, say))
        if codes[-1] != EXIT_OK:
            break
    return gravest(codes)


@contextmanager
def only_one(changes: Path) -> Iterator[None]:
    """Hold the lock of this folder of changes; raises Refused while another run holds it.

    The kernel drops the lock of a run that was killed.
    """
    if not changes.is_dir():
        raise Refused(
            "The folder of changes is missing",
            where=str(changes),
            next_step="set evenkeel_changes_dir in the inventory",
        )
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(changes / LOCK, flags, 0o600)
    except OSError as error:
        raise Refused(
            "The lock of scheduled deploys cannot be opened",
            where=str(changes / LOCK),
            wanted="a file of our own, or none",
            got=str(error.strerror),
            next_step="see who may write into the folder of changes, and remove what lies there",
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refused(
            "Another scheduled deploy is under way",
            where=str(changes / LOCK),
            next_step="wait for its end; it is tried again at the next run",
        ) from None
    else:
        yield
    finally:
        os.close(handle)


def _settings(inventory: str, fleet: str) -> Settings:
    defaults: dict[str, Any] = {
        "evenkeel_changes_dir": str(ROOT / "changes"),
        "evenkeel_allowed_signers": "",
        "approvals_required": 1,
        "freeze_windows": [],
        "scheduled_changes": [],
    }
    found = read_settings(ROOT, inventory, fleet, defaults)
    return Settings(
        changes=(ROOT / str(found["evenkeel_changes_dir"])).resolve(),
        allowed_signers=ROOT / str(found["evenkeel_allowed_signers"]),
        approvals_required=int(found["approvals_required"]),
        freeze_windows=found["freeze_windows"],
        scheduled_changes=found["scheduled_changes"],
    )


if __name__ == "__main__":
    run(main)
