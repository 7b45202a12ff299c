"""The change that a rollback of the fleet undoes, from the status of the hosts.

A rollback names this change. So an interrupted rollback that is repeated takes the other hosts
back, and not the first hosts one release further.
"""

from __future__ import annotations

from contextlib import suppress

from evenkeel.answers import Generation, Statuses
from evenkeel.errors import UNREADABLE, Refused
from evenkeel.records import check_change_id


def change_to_undo(answers: Statuses) -> str:
    """Give the change that went live last on any host of the fleet.

    An unconfirmed change counts as later than a confirmed one. An answer of another shape is
    ignored. Raises Refused when no host carries a change.
    """
    changes: list[tuple[bool, str, str]] = []
    for answer in answers.values():
        # One broken host must not stop the rollback.
        with suppress(Refused, *UNREADABLE):
            pending = answer.get("pending")
            generations = answer.get("generations") or []
            confirmed: Generation = generations[-1] if generations else {}
            if pending and pending.get("change"):
                changes.append((True, "", check_change_id(pending["change"])))
            elif confirmed.get("change"):
                since = str(confirmed["confirmed"])
                changes.append((False, since, check_change_id(confirmed["change"])))
    if not changes:
        raise Refused(
            "There is no change to undo on any host",
            where=", ".join(sorted(answers))[:300],
            wanted="a host whose live release came from a change",
            next_step="look at the fleet: ansible-playbook playbooks/status.yml",
        )
    return max(changes)[2]
