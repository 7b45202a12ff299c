"""Hold a stage for a person to decide, and say what there is to decide; confirm by stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from evenkeel.canary import hold as holds
from evenkeel.canary import plan as plans
from evenkeel.canary.change_outcome import UNTOUCHED
from evenkeel.canary.host_results import CONFIRM, RENEW, host_results
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_INCONCLUSIVE, RolledBack
from evenkeel.report import write_report
from evenkeel.terminal import table

Object = Mapping[str, Any]


def begin(folder: ChangeFolder, leased: Sequence[str]) -> dict[str, Any]:
    """Say that a stage is to be held, once what its hosts said of earlier renewals is forgotten."""
    for host in leased:
        (folder.path / "hosts" / host / f"{RENEW}.json").unlink(missing_ok=True)
    return {"changed": True, "held": True}


def hold(folder: ChangeFolder, stage: Object) -> dict[str, Any]:
    """Write that the stage is held once every host has the longer lease; give the recap.

    Raises Inconclusive when one has not.
    """
    plan, number = plans.load(folder), int(stage["number"])
    answers = host_results(folder, plan, verbs=(RENEW,))
    renewed = {host: answer.get(RENEW) or {} for host, answer in answers.items()}
    body = holds.hold(folder, number, renewed, stage["leased"], datetime.now(UTC))
    write_report(folder)
    text = recap(folder, plan, body)
    return {"changed": True, "evenkeel": {"exit_code": EXIT_INCONCLUSIVE, "recap": text}}


def recap(folder: ChangeFolder, plan: plans.Plan, body: Object) -> str:
    """Draw who carries a held change and until when, why, and what a person can do."""
    number, change = int(body["stage"]), folder.change_id
    stage = plan.stage(number)
    carrying = (*stage.carriers, *stage.hosts)
    left = body["remaining_seconds"]
    rows = [
        (host, holds.HELD, f"goes back in {left[host]:.0f} s unless somebody decides")
        if host in left
        else (host, "confirmed" if host in carrying else UNTOUCHED, "")
        for host in plan.hosts
    ]
    after = holds.CONFIRM if number == len(plan.stages) else number + 1
    reasons = ledger.verify_chain(folder, ledger.CANARY, stage=number).canary[-1].body["reasons"]
    return "\n".join(
        [
            table(("host", "state", ""), rows),
            "",
            f"change {change}: held after stage {number}, which says {body['verdict']}, "
            f"until {body['until']} (exit code {EXIT_INCONCLUSIVE})",
            *(f"  {reason}" for reason in reasons[:20]),
            f"next: go on: ansible-playbook playbooks/deploy.yml -e change={change} "
            f"-e canary_start_at={after}",
            f"      or take it back: scripts/rollback -e undo={change}",
            f"more: {folder.path / 'report.html'}",
        ]
    )


def require_confirmed(folder: ChangeFolder, hosts: Sequence[str]) -> dict[str, Any]:
    """Refuse to go on while one of `hosts` has not confirmed; raises RolledBack then."""
    answers = host_results(folder, plans.load(folder), verbs=(CONFIRM,))
    without = [host for host in hosts if answers[host].get(CONFIRM, {}).get("status") != "ok"]
    if without:
        raise RolledBack(
            "Not every host of the stage confirmed the change",
            where=", ".join(without)[:500],
            wanted="a confirmation of every host whose stage passed",
            got="none, or a refusal",
            next_step="every host goes back; see what these hosts said above",
        )
    return {"changed": False}
