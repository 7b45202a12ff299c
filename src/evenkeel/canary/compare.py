"""The canary hosts of a stage against the hosts that still run the old release, over one window.

Errors and slow answers are proportions, so hosts of different size can be compared. Probes that
hosts sent themselves are left out of both, where they would hide what happens to real requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evenkeel.judge.error_rates import compare_errors
from evenkeel.judge.guards import connections_problem
from evenkeel.judge.latency import LatencyComparison
from evenkeel.judge.verdict import FAIL, PASS, worst

# A canary may hold so many times the open connections, for its traffic, of any control.
MOST_CONNECTIONS_RATIO = 3.0
# A comparison per host needs so many requests of it.
LEAST_REQUESTS = 100

Answer = Mapping[str, Any]


def errors(changed: Iterable[Answer], controls: Iterable[Answer]) -> dict[str, Any]:
    """Compare failed requests; result as `judge.compare.compare_errors` gives it."""
    return compare_errors(*_sum(changed), *_sum(controls))


def _sum(answers: Iterable[Answer]) -> tuple[int, int]:
    failed = requests = 0
    for answer in answers:
        probe = answer.get("probe") or {}
        seen = max(0, int(answer.get("requests") or 0) - int(probe.get("sent") or 0))
        requests += seen
        bad = max(0, int(answer.get("errors") or 0) - int(probe.get("failed") or 0))
        # A retried request can fail at more than one server and still be one request.
        failed += min(seen, bad)
    return failed, requests


def slow_limits(intent: Answer) -> dict[str, dict[str, Any]]:
    """Give each pool's slow_response_seconds and slow_budget_percent of a normalised intent."""
    limits: dict[str, dict[str, Any]] = {}
    guardrails = intent.get("guardrails") or {}
    for pool in intent.get("pools") or []:
        own = guardrails["pools"].get(pool["name"], {}).get("slow_response_seconds")
        limits[pool["name"]] = {
            "slow_response_seconds": guardrails["slow_response_seconds"] if own is None else own,
            "slow_budget_percent": guardrails["slow_budget_percent"],
        }
    return limits


def latency(
    policies: Mapping[str, Answer], changed: Sequence[Answer], controls: Sequence[Answer]
) -> dict[str, Any]:
    """Compare the slow answers of each pool that counts them: {pool: result}.

    `policies` is what `slow_limits` gives. The result is
    that of `judge.latency.LatencyComparison`. No limit on how few there may be: each host answers
    for its own number of requests.
    """
    results = {}
    pools = sorted({name for answer in changed for name in answer.get("pools") or {}})
    for pool in pools:
        limit = (policies.get(pool) or {}).get("slow_response_seconds")
        ours, theirs = _answers(changed, pool), _answers(controls, pool)
        if limit is None or ours is None:
            continue
        comparison = LatencyComparison(
            [limit],
            limit,
            budget_percent=float(policies[pool]["slow_budget_percent"]),
            minimum_requests=0,
        )
        comparison.update(ours, theirs or [0, 0])
        results[pool] = comparison.result()
    return results


def _answers(answers: Iterable[Answer], pool: str) -> list[int] | None:
    """Give how many answers of `pool` were fast and slow over all hosts; None when none counts."""
    rows = [((answer.get("pools") or {}).get(pool) or {}).get("answers") for answer in answers]
    counted = [row for row in rows if row]
    if not counted:
        return None
    timed, slow = (sum(int(row[key]) for row in counted) for key in ("timed", "slow"))
    return [max(0, timed - slow), slow]


def latency_verdict(results: Mapping[str, Answer]) -> str:
    """Give what the comparisons together say of the stage.

    What was not timed does not count: that there was traffic at all is the hosts' own verdict.
    """
    return worst(
        [str(row["verdict"]) for row in results.values() if row["canary_requests"]] or [PASS]
    )


def connections(changed: Mapping[str, Answer], controls: Iterable[Answer]) -> list[str]:
    """Give each host that holds far more open connections than its traffic explains.

    Those of a control are scaled by the two hosts' requests of the window: a host with twice the
    traffic may hold twice the connections.
    """
    others = [(*_open(answer),) for answer in controls]
    problems = []
    for host, answer in changed.items():
        held, requests = _open(answer)
        if held is None or requests < LEAST_REQUESTS:
            continue
        scaled = [
            round(their * requests / theirs)
            for their, theirs in others
            if their is not None and theirs >= LEAST_REQUESTS
        ]
        said = connections_problem(held, scaled, MOST_CONNECTIONS_RATIO)
        problems += [f"{host}: {said}"] if said else []
    return problems


def _open(answer: Answer) -> tuple[int | None, int]:
    held = answer.get("open_connections")
    return None if held is None else int(held), int(answer.get("requests") or 0)


def decided(
    error_result: Answer, latencies: Mapping[str, Answer], held: Sequence[str]
) -> list[str]:
    """Give the verdicts that these comparisons add to those of the hosts.

    Errors that are not clearly worse add nothing, because each host judges its own. Slow answers
    over the budget that nobody can compare do: only `pass` goes on.
    """
    return [
        *([FAIL] if error_result["verdict"] == FAIL else []),
        latency_verdict(latencies),
        *([FAIL] if held else []),
    ]
