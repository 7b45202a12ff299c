"""Hold a stage for a person to decide, and confirm the hosts of a stage that passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from evenkeel.canary import hold as holds
from evenkeel.canary import plan as plans
from evenkeel.canary.change_outcome import UNTOUCHED
from evenkeel.canary.host_results import CONFIRM, RENEW, host_results
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_INCONCLUSIVE, RolledBack
from evenkeel.terminal import table
from evenkeel.verbs.context import Context
from evenkeel.verbs.results import Result, StageRow


def begin(folder: ChangeFolder, leased: Sequence[str]) -> Result:
    """Forget what the hosts answered to earlier renewals, and say that the stage is to be held."""
    for host in leased:
        (folder.path / "hosts" / host / f"{RENEW}.json").unlink(missing_ok=True)
    return {"changed": True, "held": True}


def hold(context: Context) -> Result:
    """Record the hold once every host has the longer lease, and give the recap.

    Raises Inconclusive when a host does not have it.
    """
    folder = context.folder
    stage: StageRow = context.args["stage"]
    plan, number = plans.load(folder), int(stage["number"])
    answers = host_results(folder, plan, verbs=(RENEW,))
    renewed = {host: answer.get(RENEW) or {} for host, answer in answers.items()}
    body = holds.hold(folder, number, renewed, stage["leased"], datetime.now(UTC))
    text = recap(folder, plan, number, body["remaining_seconds"], body["until"])
    return {"changed": True, "evenkeel": {"exit_code": EXIT_INCONCLUSIVE, "recap": text}}


def recap(
    folder: ChangeFolder,
    plan: plans.Plan,
    number: int,
    remaining: Mapping[str, float],
    until: str,
) -> str:
    """Draw which hosts carry the change held after stage `number`, why, and the next commands.

    `remaining` has the seconds left of each lease; `until` is the UTC time at which the first ends.
    """
    stage, change = plan.stage(number), folder.change_id
    carrying = (*stage.carriers, *stage.hosts)
    rows = [
        (host, holds.HELD, f"goes back in {remaining[host]:.0f} s unless you decide")
        if host in remaining
        else (host, "confirmed" if host in carrying else UNTOUCHED, "")
        for host in plan.hosts
    ]
    after = holds.CONFIRM if number == len(plan.stages) else number + 1
    judged = ledger.verify_chain(folder, ledger.CANARY, stage=number).canary[-1].body
    return "\n".join(
        [
            table(("host", "state", ""), rows),
            "",
            f"change {change}: held after stage {number}, verdict {judged['verdict']}, "
            f"until {until} (exit code {EXIT_INCONCLUSIVE})",
            *(f"  {reason}" for reason in judged["reasons"][:20]),
            f"next: go on: ansible-playbook playbooks/deploy.yml -e change={change} "
            f"-e canary_start_at={after}",
            f"      or take it back: scripts/rollback -e undo={change}",
            f"more: {folder.path / 'report.html'}",
        ]
    )


def require_confirmed(context: Context) -> Result:
    """Raise RolledBack while one of `hosts` has not confirmed the change."""
    folder = context.folder
    answers = host_results(folder, plans.load(folder), verbs=(CONFIRM,))
    without = [
        host
        for host in context.args["hosts"]
        if answers[host].get(CONFIRM, {}).get("status") != "ok"
    ]
    if without:
        raise RolledBack(
            "Not every host of the stage confirmed the change",
            where=", ".join(without)[:500],
            wanted="a confirmation of every host whose stage passed",
            got="no answer, or a refusal",
            next_step="every host goes back; read the errors of these hosts above",
        )
    return {"changed": False}
