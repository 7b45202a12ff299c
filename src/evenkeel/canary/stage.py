"""Judge one stage from what its hosts saw, and account for every host at the end.

A host counts by its result file alone, `canary/<stage>/<host>.json`, as the watch writes it:
`{"host", "role": canary|carrier|control, "verb", "status": ok|failed, "result": {…}}`. A planned
host without one has failed the stage, whatever Ansible made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evenkeel.canary import compare, fleet_shares
from evenkeel.canary.change_outcome import outcome, recap
from evenkeel.canary.hold import let_go_on, may_be_held
from evenkeel.canary.plan import Plan, Stage, load
from evenkeel.canary.service import down_by_change
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EvenkeelError, Inconclusive, Refused, RolledBack
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, ORDER, PASS, worst
from evenkeel.records import Record, canonical_json, read_json, sha256_of

__all__ = [
    "judge",
    "judge_results",
    "outcome",
    "recap",
    "refusal",
    "require_passed",
    "require_previous",
]

Result = Mapping[str, Any]


def require_previous(folder: ChangeFolder, number: int) -> ledger.Chain:
    """Give the chain up to the stage before `number` when that stage lets this one begin.

    The first stage needs the rehearsal's record only; approvals are verified by the deploy itself.
    Raises Refused when a record is missing, altered or out of the chain, when the verdict is not
    pass, or when a host of the stage before is not accounted for.
    """
    load(folder).stage(number)
    if number == 1:
        return ledger.verify_chain(folder, ledger.STAGING)
    return require_passed(folder, number - 1)


def require_passed(folder: ChangeFolder, number: int) -> ledger.Chain:
    """Give the chain up to stage `number` when it and every stage before it have passed.

    A stage that was held counts as passed once a person has let the deploy go on from it. Raises
    Refused as `require_previous` does.
    """
    plan = load(folder)
    chain = ledger.verify_chain(folder, ledger.CANARY, stage=number)
    for stage, record in zip(plan.stages, chain.canary, strict=False):
        hosts = sorted(record.body.get("hosts") or {})
        got = {"verdict": _verdict(folder, stage.number, record), "hosts": hosts}
        for name, wanted in {"verdict": PASS, "hosts": sorted(stage.hosts)}.items():
            if got[name] != wanted:
                raise Refused(
                    f"Nothing goes on from the record of stage {stage.number}",
                    where=str(folder.stage_json(stage.number)),
                    wanted=f"{name} {_words(wanted)}",
                    got=f"{name} {_words(got[name])}",
                    next_step=_take_back(folder.change_id),
                )
    return chain


def _verdict(folder: ChangeFolder, number: int, record: Record) -> object:
    verdict = record.body.get("verdict")
    return PASS if may_be_held(verdict) and let_go_on(folder, number) else verdict


def judge(folder: ChangeFolder, plan: Plan, number: int) -> dict[str, Any]:
    """Give the body of a stage's record: what every host saw, and one verdict with its reasons.

    `hosts` are the stage's own, `carriers` those of earlier stages, `controls` those that still run
    the old release; `pools` is the sum over all hosts that carry the change, by pool; `errors`
    compares these hosts with the controls, and so do `latency`, where slow answers are counted, and
    `connections`, the open ones.
    """
    stage = plan.stage(number)
    results = read_results(folder, number)
    return judge_results(stage, results, compare.slow_limits(_intent(folder, stage)))


def read_results(folder: ChangeFolder, number: int) -> dict[str, Result]:
    """Read every result file of a stage: {host: result}; raises Refused for a damaged one."""
    results: dict[str, Result] = {}
    for path in sorted(folder.stage_results(number).glob("*.json")):
        value = read_json(
            path,
            what=f"The result of {path.stem} in stage {number}",
            next_step=_take_back(folder.change_id),
        )
        if not isinstance(value, dict) or value.get("host") != path.stem:
            raise Refused(
                f"The result of {path.stem} in stage {number} is not that host's",
                where=str(path),
                next_step=_take_back(folder.change_id),
            )
        results[path.stem] = value
    return results


def judge_results(
    stage: Stage, results: Mapping[str, Result], limits: Mapping[str, Result] | None = None
) -> dict[str, Any]:
    """The same as `judge`, from the results themselves and `compare.slow_limits`."""
    hosts = {host: _row(results.get(host)) for host in stage.hosts}
    carriers = {host: _row(results.get(host)) for host in stage.carriers}
    with_change = {**hosts, **carriers}
    controls = {
        host: _row(result) | {"verdict": None, "reasons": []}
        for host, result in sorted(results.items())
        if host not in with_change
    }
    seen = {host: _answer(results[host]) for host in with_change if host in results}
    beside = {host: _answer(results[host]) for host in controls}
    changed = list(seen.values())
    pools = fleet_shares.over(changed)
    others = list(beside.values())
    errors = compare.errors(changed, others)
    latency = compare.latency(limits or {}, changed, others)
    connections = compare.connections(seen, others)
    down = down_by_change(seen, beside)
    # This stage may end before a host of an earlier one has seen enough to be sure once more.
    speaking = hosts | {h: row for h, row in carriers.items() if not _is_cut_short(row)}
    proved = [seen[host] for host in speaking if host in seen]
    sums = fleet_shares.decisive(pools, changed, proved)
    verdicts = [row["verdict"] for row in speaking.values()]
    verdicts += [pool["verdict"] for pool in sums]
    verdicts += compare.decided(errors, latency, [*connections, *down])
    verdict = worst(verdicts)
    compared = [*sums, *([errors] if errors["verdict"] == FAIL else [])]
    compared += [{"verdict": FAIL, "reasons": connections}, *latency.values()]
    return {
        "stage": stage.number,
        "verdict": verdict,
        "reasons": [*_reasons(verdict, speaking, compared), *down],
        "hosts": hosts,
        "carriers": carriers,
        "controls": controls,
        "pools": pools,
        "errors": errors,
        "latency": latency,
        "connections": {"faults": connections},
    }


def _intent(folder: ChangeFolder, stage: Stage) -> Mapping[str, Any]:
    """Give the intent of the stage's first host: slow is one thing in one comparison."""
    path = folder.path / "intent" / f"{stage.hosts[0]}.json"
    what, then = f"The intent of {stage.hosts[0]}", _take_back(folder.change_id)
    value: Mapping[str, Any] = read_json(path, what=what, next_step=then) if path.exists() else {}
    return value


def _row(result: Result | None) -> dict[str, Any]:
    """What the stage's record keeps of one host."""
    if result is None:
        return {"status": "missing", "verdict": FAIL, "reasons": ["it gave no result"]}
    answer = _answer(result)
    verdict = str(answer.get("verdict") or NO_DATA)
    reasons = [str(reason) for reason in answer.get("reasons") or []]
    status = str(result.get("status") or "failed")
    if status != "ok" or answer.get("reverted") or verdict not in ORDER:
        verdict = FAIL
        reasons = reasons or [_problem(result, answer)]
    return {
        "status": status,
        "verdict": verdict,
        "reasons": reasons,
        "requests": int(answer.get("requests") or 0),
        "errors": int(answer.get("errors") or 0),
        "seconds": answer.get("seconds"),
        "reverted": bool(answer.get("reverted")),
        "counted": {name: _counted(pool) for name, pool in (answer.get("pools") or {}).items()},
        "probe": answer.get("probe"),
        "sha256": sha256_of(canonical_json(dict(result))),
    }


def _is_cut_short(row: Result) -> bool:
    """Whether clients ask a carrier, and not probes alone, yet too few for a verdict."""
    probes = int((row.get("probe") or {}).get("sent") or 0)
    return bool(row["verdict"] == INCONCLUSIVE and row["requests"] > probes)


def _counted(pool: Result) -> dict[str, Any]:
    """Give what a pool was judged in, and what has to be true for that."""
    return {key: pool.get(key) for key in ("unit", "assumption")}


def _problem(result: Result, answer: Result) -> str:
    error = answer.get("error") or {}
    said = error.get("what") if isinstance(error, Mapping) else None
    if said:
        return str(said)
    if answer.get("reverted"):
        return "it went back by itself"
    return f"{result.get('verb') or 'the verb'} ended as {result.get('status')}"


def _answer(result: Result) -> Result:
    answer = result.get("result")
    return answer if isinstance(answer, Mapping) else {}


def _reasons(verdict: str, hosts: Mapping[str, Result], compared: Iterable[Result]) -> list[str]:
    """Why the verdict is what it is: the reasons of everything that says the same."""
    reasons = [
        f"{host}: {reason}"
        for host, row in hosts.items()
        if row["verdict"] == verdict != PASS
        for reason in row["reasons"] or [f"verdict {verdict}"]
    ]
    for result in compared:
        if result["verdict"] == verdict != PASS:
            reasons += result["reasons"]
    return list(dict.fromkeys(reasons))


def refusal(folder: ChangeFolder, body: Result) -> EvenkeelError:
    """Give the error that ends a deploy whose stage did not pass."""
    kind = RolledBack if body["verdict"] == FAIL else Inconclusive
    reasons = list(body["reasons"])
    return kind(
        f"Stage {body['stage']} of {folder.change_id} says {body['verdict']}:\n  "
        + "\n  ".join(reasons[:20] or ["no reason was given"]),
        where=str(folder.stage_json(int(body["stage"]))),
        wanted=f"verdict {PASS} from {', '.join(body['hosts'])}",
        got=f"verdict {body['verdict']}",
        next_step=f"every host goes back; then read {folder.path / 'report.html'}",
    )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _take_back(change_id: str) -> str:
    return f"take it back: ansible-playbook playbooks/rollback.yml -e undo={change_id}"
