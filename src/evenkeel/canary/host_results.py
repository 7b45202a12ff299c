"""What is known of every host of a deploy, and the record that accounts for all of them.

The hosts' own answers lie beside the change, in `hosts/<host>/<verb>.json`; a silent host has none.
What the stages' records prove fills the gaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenkeel import __version__
from evenkeel.canary import plan as plans
from evenkeel.canary.change_outcome import UNTOUCHED, Answers, outcome
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


def final_results(folder: ChangeFolder, plan: plans.Plan) -> dict[str, dict[str, Any]]:
    """Give what each host answered, and for a silent one whose stage never began that it stayed."""
    results = host_results(folder, plan)
    untouched = {"status": "ok", "result": {"outcome": UNTOUCHED}}
    for stage in plan.stages[1:]:
        if _lets_go_on(folder, stage.number - 1):
            continue
        for host in stage.hosts:
            results[host] = results[host] or {ROLLBACK: untouched}
    return results


def _lets_go_on(folder: ChangeFolder, number: int) -> bool:
    """Whether the stage after `number` may have begun: this one passed, or a person let it go."""
    if not folder.stage_json(number).exists():
        return False
    chain = ledger.verify_chain(folder, ledger.CANARY, stage=number)
    return chain.canary[-1].body.get("verdict") == PASS or let_go_on(folder, number)


def host_results(
    folder: ChangeFolder, plan: plans.Plan, verbs: Sequence[str] = (ACTIVATE, CONFIRM, ROLLBACK)
) -> dict[str, dict[str, Any]]:
    """Give what each host answered last to each of `verbs`: {host: {verb: answer}}."""
    results: dict[str, dict[str, Any]] = {}
    for host in plan.hosts:
        results[host] = {}
        for verb in verbs:
            path = folder.path / "hosts" / host / f"{verb}.json"
            if path.exists():
                results[host][verb] = read_json(
                    path, what=f"What {host} answered", next_step="look at the host's status"
                )
    return results


def write_outcome(
    folder: ChangeFolder, results: Mapping[str, Answers], started: str
) -> dict[str, Any]:
    """Account for every host of the change from its `results`, write outcome.json, give its body.

    `started` is when the verb began that ends the change. Hosts that the change was rendered for
    and that the deploy left out are named too.
    """
    plan = plans.load(folder)
    chain = ledger.verify_chain(folder, ledger.CANARY)
    verdict = str(chain.canary[-1].body.get("verdict")) if chain.canary else FAIL
    if chain.canary and let_go_on(folder, len(chain.canary)):
        # What ended it after that was no want of data.
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
