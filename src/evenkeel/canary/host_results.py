"""What every host of a deploy answered, and the record of the outcome that follows from it.

The answers are files beside the change, `hosts/<host>/<verb>.json`. A silent host has none; for it
the records of the stages say whether the change can have reached it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evenkeel import __version__
from evenkeel.canary import plan as plans
from evenkeel.canary.change_outcome import UNTOUCHED, KeptAnswer, OutcomeBody, outcome
from evenkeel.canary.hold import let_go_on
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import Record, read_json, utc_now, write_record

PREPARE = "prepare"
ACTIVATE = "activate"
CONFIRM = "confirm"
RENEW = "renew"
ROLLBACK = "rollback"


def host_results(
    folder: ChangeFolder, plan: plans.Plan, verbs: Sequence[str] = (ACTIVATE, CONFIRM, ROLLBACK)
) -> dict[str, dict[str, KeptAnswer]]:
    """Give the last answer of each host to each of `verbs`: {host: {verb: answer}}."""
    results: dict[str, dict[str, KeptAnswer]] = {}
    for host in plan.hosts:
        results[host] = {}
        for verb in verbs:
            path = folder.path / "hosts" / host / f"{verb}.json"
            if path.exists():
                results[host][verb] = read_json(
                    path, what=f"The answer of {host}", next_step="look at the host's status"
                )
    return results


def hosts_without(folder: ChangeFolder, hosts: Sequence[str], verb: str) -> list[str]:
    """Give the hosts that did not answer `verb`, or that failed in it."""
    answers = host_results(folder, plans.load(folder), verbs=(verb,))
    return [host for host in hosts if answers[host].get(verb, {"status": ""})["status"] != "ok"]


def final_results(folder: ChangeFolder, plan: plans.Plan) -> dict[str, dict[str, KeptAnswer]]:
    """Give `host_results`, with a silent host as untouched when its stage never began."""
    results = host_results(folder, plan)
    for stage in plan.stages[1:]:
        number = stage.number - 1
        if folder.stage_json(number).exists():
            record = ledger.verify_chain(folder, ledger.CANARY, stage=number).canary[-1]
            if record.body.get("verdict") == PASS or let_go_on(folder, number):
                continue
        for host in stage.hosts:
            untouched: KeptAnswer = {"status": "ok", "result": {"outcome": UNTOUCHED}}
            results[host] = results[host] or {ROLLBACK: untouched}
    return results


def write_outcome(
    folder: ChangeFolder, results: Mapping[str, Mapping[str, KeptAnswer]], started: str
) -> OutcomeBody:
    """Derive the outcome of every host from `results`, write outcome.json and give its body.

    `started` is when the verb began that ends the change. Hosts that the deploy left out are named
    too.
    """
    plan = plans.load(folder)
    chain = ledger.verify_chain(folder, ledger.CANARY)
    verdict = str(chain.canary[-1].body.get("verdict")) if chain.canary else FAIL
    if chain.canary and let_go_on(folder, len(chain.canary)):
        # A person accepted the missing data.
        verdict = FAIL
    left_out = [host for host in folder.manifest()["hosts"] if host not in plan.hosts]
    body = outcome(plan, results, verdict, left_out)
    record = Record(
        record=ledger.OUTCOME,
        change_id=folder.change_id,
        digest=chain.tip.digest,
        previous=chain.tip.sha256,
        started=started,
        ended=utc_now(),
        versions={"evenkeel": __version__},
        body=body,
    )
    write_record(folder.outcome_json, record)
    return body
