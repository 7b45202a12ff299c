"""Deploy: stages and the outcome, decided from records and from the result file of each host.

Ansible's own view of a host does not count. A silent host leaves no result, and a stage passes only
with a result of every one of its hosts.
"""

from __future__ import annotations

import shutil

from evenkeel import __version__
from evenkeel.canary import hold as holds
from evenkeel.canary import plan as plans
from evenkeel.canary import stage as stages
from evenkeel.canary.host_results import PREPARE, final_results, host_results
from evenkeel.canary.host_results import write_outcome as write_account
from evenkeel.change import ledger
from evenkeel.errors import EvenkeelError, Refused
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import Record, utc_now, write_record
from evenkeel.verbs import hold
from evenkeel.verbs.context import Context
from evenkeel.verbs.results import Result, StageRow


def open_stage(context: Context) -> Result:
    """Let a stage begin once every host is prepared and every host of the stage before passed.

    Raises Refused otherwise: Ansible would go on without the hosts that are not prepared.
    """
    folder, number = context.folder, int(context.args["stage"])
    stages.require_previous(folder, number)
    plan = plans.load(folder)
    answers = host_results(folder, plan, verbs=(PREPARE,))
    silent = [host for host in plan.hosts if answers[host].get(PREPARE, {}).get("status") != "ok"]
    if silent:
        raise Refused(
            "Not every host took the release, so none is activated",
            where=", ".join(silent)[:500],
            wanted="the release prepared and checked on every host of the plan",
            next_step="read the errors of these hosts above, mend them, then deploy again",
        )
    # A killed attempt's results are no evidence.
    for later in range(number, len(plan.stages) + 1):
        shutil.rmtree(folder.stage_results(later), ignore_errors=True)
        holds.forget(folder, later)
        folder.stage_json(later).unlink(missing_ok=True)
    return {"changed": False}


def close_stage(context: Context) -> Result | EvenkeelError:
    """Judge the stage and write its record; give the error that ends the deploy unless it passed.

    A stage without a clear verdict is held when the rollout says so (`hold_seconds` is not 0).
    """
    started = utc_now()
    stage: StageRow = context.args["stage"]
    folder, number = context.folder, int(stage["number"])
    plan = plans.load(folder)
    body = stages.judge(folder, plan, number)
    carrying = {**body["hosts"], **body["carriers"]}
    missing = {"status": "missing", "verdict": None, "reasons": ["it gave no result"]}
    controls = {
        host: body["controls"].get(host, missing) for host in plan.hosts if host not in carrying
    }
    silent = [host for host, row in controls.items() if row["status"] != "ok"]
    if silent:
        # They cannot get the change: go no further.
        reasons = body["reasons"] if body["verdict"] == FAIL else []
        reasons = [*reasons, *(f"{host}: it fell silent before its own stage" for host in silent)]
        body |= {"verdict": FAIL, "reasons": reasons, "controls": controls}
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
    if stage["hold_seconds"] and holds.may_be_held(body["verdict"]):
        return hold.begin(folder, stage["leased"])
    if body["verdict"] != PASS:
        return stages.refusal(folder, body)
    return {"changed": True, "held": False, "verdict": PASS, "reasons": body["reasons"]}


def require_hosts(context: Context) -> Result:
    """Raise Refused when a host of the plan is silent, before any host confirms."""
    silent = [host for host in plans.load(context.folder).hosts if host not in context.alive]
    if silent:
        raise Refused(
            "Not every host answers, so none is confirmed",
            where=", ".join(silent),
            wanted="an answer from every host that carries the change",
            next_step="every host goes back; mend these hosts, then deploy the change again",
        )
    return {"changed": False}


def write_outcome(context: Context) -> Result:
    """Account for every host of the plan, write outcome.json and give the recap."""
    folder, started = context.folder, utc_now()
    body = write_account(folder, final_results(folder, plans.load(folder)), started)
    return {
        "changed": True,
        "outcome": body["outcome"],
        "evenkeel": {"exit_code": body["exit_code"], "recap": stages.recap(folder, body)},
    }
