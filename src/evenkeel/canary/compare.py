"""Compare the hosts with the change to those with the old release, over one window.

Errors and slow answers are proportions, so hosts of different size can be compared. The probes that
hosts sent themselves are left out: they would hide what happens to real requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from evenkeel.answers import Observed
from evenkeel.judge.error_rates import compare_errors
from evenkeel.judge.guards import connections_problem
from evenkeel.judge.latency import LatencyComparison
from evenkeel.judge.verdict import FAIL, PASS, worst

# A canary's open connections, in those of a control.
MOST_CONNECTIONS_RATIO = 3.0
# Fewest requests of a host that can be compared.
LEAST_REQUESTS = 100


class SlowLimit(TypedDict):
    """When an answer of a pool is slow, and how many percent of its answers may be."""

    slow_response_seconds: float | None
    slow_budget_percent: float


def errors(changed: Iterable[Observed], controls: Iterable[Observed]) -> dict[str, Any]:
    """Compare failed requests; the result is that of `judge.compare.compare_errors`."""
    return compare_errors(*_sum(changed), *_sum(controls))


def _sum(answers: Iterable[Observed]) -> tuple[int, int]:
    failed = requests = 0
    for answer in answers:
        probe = answer.get("probe") or {}
        seen = max(0, int(answer.get("requests") or 0) - int(probe.get("sent") or 0))
        requests += seen
        bad = max(0, int(answer.get("errors") or 0) - int(probe.get("failed") or 0))
        # A retried request can fail at several servers.
        failed += min(seen, bad)
    return failed, requests


def slow_limits(intent: Mapping[str, Any]) -> dict[str, SlowLimit]:
    """Give the limit for slow answers of each pool of a normalised intent."""
    limits: dict[str, SlowLimit] = {}
    guardrails = intent.get("guardrails") or {}
    for pool in intent.get("pools") or []:
        own = guardrails["pools"].get(pool["name"], {}).get("slow_response_seconds")
        limits[pool["name"]] = {
            "slow_response_seconds": guardrails["slow_response_seconds"] if own is None else own,
            "slow_budget_percent": guardrails["slow_budget_percent"],
        }
    return limits


def latency(
    limits: Mapping[str, SlowLimit], changed: Sequence[Observed], controls: Sequence[Observed]
) -> dict[str, Any]:
    """Compare the slow answers of each pool that counts them: {pool: result}.

    `limits` are those of `slow_limits`. A result is that of `judge.latency.LatencyComparison`. It
    has no minimum of requests: that is checked for each host.
    """
    results = {}
    pools = sorted({name for answer in changed for name in answer.get("pools") or {}})
    for pool in pools:
        slow = limits.get(pool)
        limit = slow["slow_response_seconds"] if slow else None
        ours, theirs = _answers(changed, pool), _answers(controls, pool)
        if slow is None or limit is None or ours is None:
            continue
        comparison = LatencyComparison(
            [limit],
            limit,
            budget_percent=float(slow["slow_budget_percent"]),
            minimum_requests=0,
        )
        comparison.update(ours, theirs or [0, 0])
        results[pool] = comparison.result()
    return results


def _answers(answers: Iterable[Observed], pool: str) -> list[int] | None:
    """Give the fast and slow answers of `pool` over all hosts; None when no host counts them."""
    pools = [answer["pools"][pool] for answer in answers if pool in (answer.get("pools") or {})]
    counted = [times for row in pools if (times := row.get("answers"))]
    if not counted:
        return None
    timed = sum(int(times["timed"]) for times in counted)
    slow = sum(int(times["slow"]) for times in counted)
    return [max(0, timed - slow), slow]


def latency_verdict(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the worst verdict of the comparisons.

    A pool without timed answers does not count: the hosts' own verdicts need traffic.
    """
    return worst(
        [str(row["verdict"]) for row in results.values() if row["canary_requests"]] or [PASS]
    )


def connections(changed: Mapping[str, Observed], controls: Iterable[Observed]) -> list[str]:
    """Give a sentence for each host with far more open connections than its traffic explains.

    The connections of a control are scaled by the requests of the two hosts: a host with twice the
    traffic may hold twice the connections.
    """
    others = [_open(answer) for answer in controls]
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


def _open(answer: Observed) -> tuple[int | None, int]:
    held = answer.get("open_connections")
    return None if held is None else int(held), int(answer.get("requests") or 0)


def decided(
    error_result: Mapping[str, Any],
    latencies: Mapping[str, Mapping[str, Any]],
    failures: Sequence[str],
) -> list[str]:
    """Give the verdicts that these comparisons add to those of the hosts.

    Errors that are not clearly worse add nothing, because each host judges its own. Slow answers
    over the budget without a control to compare do add one: only `pass` goes on.
    """
    return [
        *([FAIL] if error_result["verdict"] == FAIL else []),
        latency_verdict(latencies),
        *([FAIL] if failures else []),
    ]
