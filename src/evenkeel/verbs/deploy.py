"""Deploy: stages and the outcome, each decided from records and per-host results.

Nothing here trusts what Ansible thinks of a host: a host that went silent simply has no result, and
a stage without a result for every one of its hosts has not passed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from evenkeel import __version__
from evenkeel.canary import hold as holds
from evenkeel.canary import plan as plans
from evenkeel.canary import stage as stages
from evenkeel.canary.host_results import PREPARE, final_results, host_results
from evenkeel.canary.host_results import write_outcome as write_account
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import Record, utc_now, write_record
from evenkeel.report import write_report
from evenkeel.verbs import hold


def open_stage(folder: ChangeFolder, number: int) -> dict[str, Any]:
    """Let a stage begin: every host is prepared, and the stage before passed with all of its own.

    Raises Refused otherwise. Ansible goes on with the hosts that are left when one is not prepared.
    """
    stages.require_previous(folder, number)
    _require_prepared(folder)
    # What a killed attempt saw at this stage or later ones is no evidence for this attempt.
    for later in range(number, len(plans.load(folder).stages) + 1):
        shutil.rmtree(folder.stage_results(later), ignore_errors=True)
        holds.forget(folder, later)
        folder.stage_json(later).unlink(missing_ok=True)
    return {"changed": False}


def _require_prepared(folder: ChangeFolder) -> None:
    plan = plans.load(folder)
    answers = host_results(folder, plan, verbs=(PREPARE,))
    silent = [host for host in plan.hosts if answers[host].get(PREPARE, {}).get("status") != "ok"]
    if silent:
        raise Refused(
            "Not every host took the release, so none is activated",
            where=", ".join(silent)[:500],
            wanted="the release prepared and checked on every host of the plan",
            next_step="see what these hosts said above, mend it, then deploy again",
        )


def close_stage(
    folder: ChangeFolder, number: int, to_hold: Sequence[str] | None = None
) -> dict[str, Any]:
    """Write the stage's record; raises the error that ends the deploy unless it passed.

    `to_hold` are the hosts under lease when a stage without a clear verdict is to wait for a person
    instead of going back; None when it goes back.
    """
    started = utc_now()
    plan = plans.load(folder)
    body = _without_silence(plan, stages.judge(folder, plan, number))
    body |= holds.who_let_go_on(folder, number - 1)
    chain = ledger.verify_chain(folder, ledger.CANARY, stage=number - 1)
    write_record(
        folder.stage_json(number),
        Record(
            record=ledger.CANARY,
            change_id=folder.change_id,
            digest=folder.digest(),
            previous=chain.tip.sha256,
            started=started,
            ended=utc_now(),
            versions={"evenkeel": __version__},
            body=body,
        ),
    )
    write_report(folder)
    if to_hold is not None and holds.may_be_held(body["verdict"]):
        return hold.begin(folder, to_hold)
    if body["verdict"] != PASS:
        raise stages.refusal(folder, body)
    return {"changed": True, "held": False, "verdict": PASS, "reasons": body["reasons"]}


def _without_silence(plan: plans.Plan, body: dict[str, Any]) -> dict[str, Any]:
    """Fail a stage in which a host fell silent that waits for its own.

    It could not get the change any more, so going on would only put more hosts at risk.
    """
    carry = {**body["hosts"], **body["carriers"]}
    waiting = [host for host in plan.hosts if host not in carry]
    missing = {"status": "missing", "verdict": None, "reasons": ["it gave no result"]}
    controls = {host: body["controls"].get(host, missing) for host in waiting}
    silent = [host for host, row in controls.items() if row["status"] != "ok"]
    if not silent:
        return body
    reasons = [f"{host}: it fell silent before its own stage" for host in silent]
    reasons = [*(body["reasons"] if body["verdict"] == FAIL else []), *reasons]
    return body | {"verdict": FAIL, "reasons": reasons, "controls": controls}


def require_hosts(folder: ChangeFolder, alive: Sequence[str]) -> dict[str, Any]:
    """Refuse to begin confirming while a host of the plan is silent."""
    silent = [host for host in plans.load(folder).hosts if host not in alive]
    if silent:
        raise Refused(
            "Not every host answers, so none is confirmed",
            where=", ".join(silent),
            wanted="an answer from every host that carries the change",
            next_step="the change goes back everywhere; mend the hosts, then deploy it anew",
        )
    return {"changed": False}


def write_outcome(folder: ChangeFolder) -> dict[str, Any]:
    """Account for every host of the plan, write outcome.json and give the recap."""
    started = utc_now()
    body = write_account(folder, final_results(folder, plans.load(folder)), started)
    write_report(folder)
    recap = stages.recap(folder, body)
    return {
        "changed": True,
        "outcome": body["outcome"],
        "evenkeel": {"exit_code": body["exit_code"], "recap": recap},
    }
