"""How often even traffic is called uneven, by the judge and by its rivals, on the same streams."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

from evenkeel.judge.settings import DEFAULT_TOLERANCE
from evenkeel.judge.share import ShareJudge
from evenkeel_proof.simulation.every_look import look_at_every_unit
from evenkeel_proof.simulation.rivals import chi_square_fails, mann_whitney_fails, threshold_fails
from evenkeel_proof.simulation.streams import KINDS

ALPHA = 0.01
TOLERANCE = DEFAULT_TOLERANCE
# Runs take these numbers of servers in turn.
SERVERS = (2, 3, 5, 10)


def judge_for(servers: int) -> ShareJudge:
    """Return the judge with its default band over equal servers, in name order."""
    return ShareJudge({f"web{at:03d}": 1.0 for at in range(servers)}, TOLERANCE, ALPHA)


def one_run(kind: str, run: int, requests: int) -> dict[str, Any]:
    """Return what the judge and its rivals say of one A/A run; the run's number is its seed.

    `judge` counts what is assigned (clients), `judge_by_requests` counts requests.
    """
    servers = SERVERS[run % len(SERVERS)]
    stream = KINDS[kind](random.Random(f"{kind} {run}"), servers, requests)
    control = KINDS[kind](random.Random(f"{kind} {run} control"), servers, requests)
    by_client = look_at_every_unit(judge_for(servers), stream.clients)
    same = stream.clients is stream.requests
    by_request = by_client if same else look_at_every_unit(judge_for(servers), stream.requests)
    shares = [1.0 / servers] * servers
    return {
        "judge": by_client.failed_at is not None,
        "judge_by_requests": by_request.failed_at is not None,
        "chi_square": chi_square_fails(stream.requests, shares, ALPHA) is not None,
        "mann_whitney": mann_whitney_fails(stream.requests, control.requests, servers),
        "threshold": threshold_fails(stream.requests, shares, TOLERANCE) is not None,
        "looks": by_client.units,
        "calls": by_client.calls,
    }


def summed(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the rates over all runs of one kind.

    `judge_at_most` is the upper end of the 95 % confidence interval (one-sided, Clopper-Pearson by
    bisection) of the judge's rate.
    """
    runs = list(rows)
    number = len(runs)
    answer: dict[str, Any] = {"runs": number}
    for name in ("judge", "judge_by_requests", "chi_square", "mann_whitney", "threshold"):
        answer[name] = sum(row[name] for row in runs) / number
    answer["judge_at_most"] = upper_end(sum(row["judge"] for row in runs), number)
    answer["looks"] = sum(row["looks"] for row in runs)
    answer["judge_calls"] = sum(row["calls"] for row in runs)
    return answer


def upper_end(events: int, trials: int, level: float = 0.05) -> float:
    """Return the largest rate under which so few `events` still have the chance `level`."""
    low, high = events / trials, 1.0
    for _ in range(60):
        rate = (low + high) / 2.0
        chance = math.fsum(
            math.exp(
                math.lgamma(trials + 1) - math.lgamma(at + 1) - math.lgamma(trials - at + 1)
                + at * math.log(rate) + (trials - at) * math.log1p(-rate)
            )
            for at in range(events + 1)
        )  # fmt: skip
        low, high = (rate, high) if chance > level else (low, rate)
    return high
