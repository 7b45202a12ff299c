"""What a fleet rollback undoes, decided from what the hosts say of themselves.

Pure. A rollback names the change that it undoes, so that repeating it after it was interrupted
brings the rest of the fleet back instead of taking the first hosts one release further.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.errors import Refused


def change_to_undo(answers: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the change that went live last on any host of the fleet.

    `answers` maps a host to its answer to `status`. An unconfirmed change goes before a confirmed
    one. Raises Refused when no host carries a change that it could go back from.
    """
    found: list[tuple[bool, str, str]] = []
    for answer in answers.values():
        pending = answer.get("pending") or {}
        generations = answer.get("generations") or [{}]
        confirmed = generations[-1]
        if pending.get("change"):
            found.append((True, "", str(pending["change"])))
        elif confirmed.get("change"):
            found.append((False, str(confirmed["confirmed"]), str(confirmed["change"])))
    if not found:
        raise Refused(
            "There is no change to undo on any host",
            where=", ".join(sorted(answers))[:300],
            wanted="a host whose live release came from a change",
            next_step="look at the fleet: ansible-playbook playbooks/status.yml",
        )
    return max(found)[2]
