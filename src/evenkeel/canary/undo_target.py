"""What a fleet rollback undoes, decided from what the hosts say of themselves.

Pure. A rollback names the change that it undoes, so that repeating it after it was interrupted
brings the rest of the fleet back instead of taking the first hosts one release further.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from evenkeel.errors import UNREADABLE, Refused
from evenkeel.records import check_change_id


def change_to_undo(answers: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the change that went live last on any host of the fleet.

    `answers` maps a host to its answer to `status`. An unconfirmed change goes before a confirmed
    one. A host whose answer is of a shape that no program of ours gives has no say. Raises Refused
    when no host carries a change that it could go back from.
    """
    found: list[tuple[bool, str, str]] = []
    for answer in answers.values():
        # One host that is broken, or somebody's, must not keep the fleet from going back.
        with suppress(Refused, *UNREADABLE):
            pending = answer.get("pending") or {}
            generations = answer.get("generations") or [{}]
            confirmed = generations[-1]
            if pending.get("change"):
                found.append((True, "", check_change_id(pending["change"])))
            elif confirmed.get("change"):
                since = str(confirmed["confirmed"])
                found.append((False, since, check_change_id(confirmed["change"])))
    if not found:
        raise Refused(
            "There is no change to undo on any host",
            where=", ".join(sorted(answers))[:300],
            wanted="a host whose live release came from a change",
            next_step="look at the fleet: ansible-playbook playbooks/status.yml",
        )
    return max(found)[2]
