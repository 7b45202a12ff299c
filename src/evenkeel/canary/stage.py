"""Judge one stage from the results of its hosts.

A host counts by its result file alone, `canary/<stage>/<host>.json`, as the watch writes it. A host
of the plan that has none has failed the stage, whatever Ansible says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict, cast

from evenkeel.answers import Observed, ProbeCounts
from evenkeel.canary import compare, fleet_shares
from evenkeel.canary.change_outcome import outcome, recap
from evenkeel.canary.hold import GoneOn, let_go_on, may_be_held
from evenkeel.canary.plan import Plan, Stage, load
from evenkeel.canary.service import down_by_change
from evenkeel.canary.watch import WatchResult
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EvenkeelError, Inconclusive, Refused, RolledBack
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, ORDER, PASS, worst
from evenkeel.records import canonical_json, read_json, sha256_of

__all__ = [
    "judge",
    "judge_results",
    "outcome",
    "recap",
    "refusal",
    "require_passed",
    "require_previous",
]


class HostRow(TypedDict):
    """What a stage's record keeps of one host; a host without a result has three keys only."""

    status: str
    verdict: str | None
    reasons: list[str]
    requests: NotRequired[int]
    errors: NotRequired[int]
    seconds: NotRequired[float | None]
    reverted: NotRequired[bool]
    counted: NotRequired[dict[str, dict[str, str | None]]]
    probe: NotRequired[ProbeCounts | None]
    sha256: NotRequired[str]


class StageBody(TypedDict):
    """The body of a stage's record.

    `hosts` are the stage's own, `carriers` those of earlier stages, `controls` still run the old
    release. `pools` has the sums over all hosts that carry the change. `errors`, `latency` and
    `connections` compare these hosts with the controls.
    """

    stage: int
    verdict: str
    reasons: list[str]
    hosts: dict[str, HostRow]
    carriers: dict[str, HostRow]
    controls: dict[str, HostRow]
    pools: dict[str, Any]
    errors: dict[str, Any]
    latency: dict[str, Any]
    connections: dict[str, list[str]]
    let_go_on: NotRequired[GoneOn]


def require_previous(folder: ChangeFolder, number: int) -> ledger.Chain:
    """Give the chain up to the stage before `number` when that stage lets this one begin.

    The first stage needs the rehearsal's record only; the deploy verifies the approvals. Raises
    Refused when a record is missing, altered or out of the chain, when the verdict is not pass, or
    when a host of the stage before is missing in its record.
    """
    load(folder).stage(number)
    if number == 1:
        return ledger.verify_chain(folder, ledger.STAGING)
    return require_passed(folder, number - 1)


def require_passed(folder: ChangeFolder, number: int) -> ledger.Chain:
    """Give the chain up to stage `number` when it and every stage before it have passed.

    A held stage counts as passed once a person has let the deploy go on. Raises Refused as
    `require_previous` does.
    """
    plan = load(folder)
    chain = ledger.verify_chain(folder, ledger.CANARY, stage=number)
    for stage, record in zip(plan.stages, chain.canary, strict=False):
        verdict = record.body.get("verdict")
        if may_be_held(verdict) and let_go_on(folder, stage.number):
            verdict = PASS
        got = {"verdict": verdict, "hosts": sorted(record.body.get("hosts") or {})}
        for name, wanted in {"verdict": PASS, "hosts": sorted(stage.hosts)}.items():
            if got[name] != wanted:
                raise Refused(
                    f"The record of stage {stage.number} does not let the deploy go on",
                    where=str(folder.stage_json(stage.number)),
                    wanted=f"{name} {_words(wanted)}",
                    got=f"{name} {_words(got[name])}",
                    next_step=_take_back(folder.change_id),
                )
    return chain


def judge(folder: ChangeFolder, plan: Plan, number: int) -> StageBody:
    """Give the body of a stage's record, from the result files of its hosts."""
    stage = plan.stage(number)
    results = read_results(folder, number)
    # One comparison has one limit for slow.
    first = stage.hosts[0]
    path = folder.intents / f"{first}.json"
    intent = {}
    if path.exists():
        next_step = _take_back(folder.change_id)
        intent = read_json(path, what=f"The intent of {first}", next_step=next_step)
    return judge_results(stage, results, compare.slow_limits(intent))


def read_results(folder: ChangeFolder, number: int) -> dict[str, WatchResult]:
    """Read every result file of a stage: {host: result}; raises Refused for a damaged one."""
    results: dict[str, WatchResult] = {}
    for path in sorted(folder.stage_results(number).glob("*.json")):
        value = read_json(
            path,
            what=f"The result of {path.stem} in stage {number}",
            next_step=_take_back(folder.change_id),
        )
        if not isinstance(value, dict) or value.get("host") != path.stem:
            raise Refused(
                f"The result of {path.stem} in stage {number} is of another host",
                where=str(path),
                next_step=_take_back(folder.change_id),
            )
        results[path.stem] = cast("WatchResult", value)
    return results


def judge_results(
    stage: Stage,
    results: Mapping[str, WatchResult],
    limits: Mapping[str, compare.SlowLimit] | None = None,
) -> StageBody:
    """Give the same as `judge`, from the results themselves and `compare.slow_limits`."""
    hosts = {host: _row(results.get(host)) for host in stage.hosts}
    carriers = {host: _row(results.get(host)) for host in stage.carriers}
    with_change = {**hosts, **carriers}
    controls: dict[str, HostRow] = {}
    for host, result in sorted(results.items()):
        if host not in with_change:
            controls[host] = {**_row(result), "verdict": None, "reasons": []}
    seen = {host: _answer(results[host]) for host in with_change if host in results}
    beside = {host: _answer(results[host]) for host in controls}
    changed = list(seen.values())
    pools = fleet_shares.over(changed)
    others = list(beside.values())
    errors = compare.errors(changed, others)
    latency = compare.latency(limits or {}, changed, others)
    connections = compare.connections(seen, others)
    down = down_by_change(seen, beside)
    # The stage may be too short for a carrier.
    judged = {**hosts}
    for host, row in carriers.items():
        probes = int((row.get("probe") or {}).get("sent") or 0)
        if row["verdict"] != INCONCLUSIVE or row.get("requests", 0) <= probes:
            judged[host] = row
    proved = [seen[host] for host in judged if host in seen]
    sums = fleet_shares.decisive(pools, changed, proved)
    verdicts = [str(row["verdict"]) for row in judged.values()]
    verdicts += [pool["verdict"] for pool in sums]
    verdicts += compare.decided(errors, latency, [*connections, *down])
    verdict = worst(verdicts)
    compared = [*sums, *([errors] if errors["verdict"] == FAIL else [])]
    compared += [{"verdict": FAIL, "reasons": connections}, *latency.values()]
    return {
        "stage": stage.number,
        "verdict": verdict,
        "reasons": [*_reasons(verdict, judged, compared), *down],
        "hosts": hosts,
        "carriers": carriers,
        "controls": controls,
        "pools": pools,
        "errors": errors,
        "latency": latency,
        "connections": {"problems": connections},
    }


def _row(result: WatchResult | None) -> HostRow:
    """Give the row of one host; a host that failed or reverted has the verdict fail."""
    if result is None:
        return {"status": "missing", "verdict": FAIL, "reasons": ["it gave no result"]}
    answer = _answer(result)
    verdict = str(answer.get("verdict") or NO_DATA)
    reasons = [str(reason) for reason in answer.get("reasons") or []]
    status = str(result.get("status") or "failed")
    if status != "ok" or answer.get("reverted") or verdict not in ORDER:
        verdict = FAIL
        if not reasons:
            error = answer.get("error")
            said = error.get("what") if isinstance(error, Mapping) else None
            ended = f"{result.get('verb') or 'the verb'} ended as {result.get('status')}"
            reverted = "it went back by itself" if answer.get("reverted") else ended
            reasons = [str(said or reverted)]
    return {
        "status": status,
        "verdict": verdict,
        "reasons": reasons,
        "requests": int(answer.get("requests") or 0),
        "errors": int(answer.get("errors") or 0),
        "seconds": answer.get("seconds"),
        "reverted": bool(answer.get("reverted")),
        "counted": {
            name: {"unit": pool.get("unit"), "assumption": pool.get("assumption")}
            for name, pool in (answer.get("pools") or {}).items()
        },
        "probe": answer.get("probe"),
        "sha256": sha256_of(canonical_json(dict(result))),
    }


def _answer(result: WatchResult) -> Observed:
    answer = result.get("result")
    return answer if isinstance(answer, dict) else {}


def _reasons(
    verdict: str,
    hosts: Mapping[str, HostRow],
    compared: Iterable[Mapping[str, Any]],
) -> list[str]:
    """Give the reasons of every host and comparison that has this verdict."""
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


def refusal(folder: ChangeFolder, body: StageBody) -> EvenkeelError:
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
