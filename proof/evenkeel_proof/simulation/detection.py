"""How many requests the judge needs to fail a fault, beside the least that any judge needs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from evenkeel_proof.simulation.every_look import look_at_every_unit
from evenkeel_proof.simulation.false_alarms import ALPHA, TOLERANCE, judge_for
from evenkeel_proof.simulation.rivals import chi_square_fails, threshold_fails
from evenkeel_proof.simulation.shifts import Shift, information_limit

# 2024-06-20: one server of five at a weight of 10 against 1 (10/14 of the requests), and the shape
# of a weight typo on three servers (100 : 1 : 1).
INCIDENTS = {
    "one of five at 71 %": (10.0, 1.0, 1.0, 1.0, 1.0),
    "weights 100:1:1": (100.0, 1.0, 1.0),
}
# A run ends after so many times the limit; a fault not found by then counts as that many.
MOST_LIMITS = 40
# The judge is looked at after every request, or, where many are needed, 50 times in the limit's
# time: what is counted is then up to 2 % of the limit too high.
LOOKS_IN_LIMIT = 50


def requests_to_fail(shares: Sequence[float], limit: float, seed: str) -> int:
    """Return the requests until the judge fails one stream that is drawn from `shares`."""
    draw = random.Random(seed)
    most = int(MOST_LIMITS * limit) + 100
    step = max(1, int(limit / LOOKS_IN_LIMIT))
    judge = judge_for(len(shares))
    done, size = 0, max(64, int(2 * limit))
    while done < most:
        units = bytes(draw.choices(range(len(shares)), shares, k=size))
        looked = look_at_every_unit(judge, units, step=step)
        done += looked.units
        if looked.failed_at is not None:
            break
    return done


def measured(shift: Shift, runs: int) -> dict[str, Any]:
    """Return the mean and median requests to fail over `runs` streams, and the ratio of the mean.

    The mean is what the limit bounds; the median of so skew a number is lower.
    """
    needed = sorted(
        requests_to_fail(shift.shares, shift.limit, f"{shift.name} {run}") for run in range(runs)
    )
    mean = sum(needed) / runs
    return {
        "name": shift.name, "shape": shift.shape, "servers": shift.servers,
        "points": shift.points, "counted": shift.counted, "limit": shift.limit,
        "mean": mean, "median": needed[runs // 2], "ratio": mean / shift.limit,
    }  # fmt: skip


def incident(name: str, runs: int) -> dict[str, Any]:
    """Return the requests to fail one of INCIDENTS: median, 90th of 100, limit, and its rivals'."""
    weights = INCIDENTS[name]
    shares = [weight / sum(weights) for weight in weights]
    limit = information_limit(shares, TOLERANCE, ALPHA)
    needed = sorted(requests_to_fail(shares, limit, f"{name} {run}") for run in range(runs))
    units = bytes(random.Random(name).choices(range(len(shares)), shares, k=5000))
    even = [1.0 / len(shares)] * len(shares)
    return {
        "name": name, "limit": limit, "median": needed[runs // 2], "mean": sum(needed) / runs,
        "ninetieth": needed[runs * 9 // 10], "runs": runs,
        "chi_square": chi_square_fails(units, even, ALPHA),
        "threshold": threshold_fails(units, even, TOLERANCE),
    }  # fmt: skip


def overall(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean and the worst ratio of the counted set, by shape, by servers, and apart."""
    counted = [row for row in rows if row["counted"]]
    apart = [row for row in rows if not row["counted"]]
    return {
        "shifts": len(counted),
        **_figures(counted),
        "ratio_worst_name": max(counted, key=lambda row: row["ratio"])["name"],
        "by_shape": {
            shape: _figures([row for row in counted if row["shape"] == shape])
            for shape in sorted({row["shape"] for row in counted})
        },
        "by_servers": {
            servers: _figures([row for row in counted if row["servers"] == servers])
            for servers in sorted({row["servers"] for row in counted})
        },
        "scattered_in_large_pools": _figures(apart) if apart else None,
    }


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ratios = [row["ratio"] for row in rows]
    medians = [row["median"] / row["limit"] for row in rows]
    return {
        "ratio_mean": sum(ratios) / len(ratios),
        "ratio_worst": max(ratios),
        "median_ratio_mean": sum(medians) / len(medians),
        "median_ratio_worst": max(medians),
    }
