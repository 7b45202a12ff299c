"""Which faults a plan of stages finds, how soon, and how many requests they touch until then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from evenkeel.canary.plan import plan as plan_of
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel_proof.simulation.fleet_faults import FAULTS, GOOD
from evenkeel_proof.simulation.simulated_fleet import Fleet, Went

HOSTS = 10_000
# Requests a second of one host.
RATES = (1.0, 10.0, 100.0)
# How long a stage may take at most, in requests of each of its hosts: an even pool of five servers
# passes with 800 in turn and 1,600 at random (median), and needs half as many more at times.
BAKE_REQUESTS = 4000
LEAST_BAKE_SECONDS = 60
# `hosts` of each of `canary_stages`.
PLANS: Mapping[str, Sequence[int | str]] = {
    "tenfold": (1, 9, 90, 900, "50%", "100%"),
    "percent": ("1%", "5%", "10%", "25%", "50%", "100%"),
    "one, then all": (1, "100%"),
    "all at once": ("100%",),
}
# They are there to compare with: each costs a minute, and little differs from run to run. A fault
# that every host has and that takes many requests to see would cost the judge of each host minutes.
FOR_COMPARISON = ("one, then all", "all at once")
COMPARED_FAULTS = ("shift", "errors", "some_hosts", "sum")
COMPARED_RATE = 10.0
NAMES = {fault.name: fault for fault in (*FAULTS, GOOD)}

Row = tuple[str, str, float, int, bool]


def bake_seconds(rate: float) -> int:
    """Give the time in which a host of `rate` requests a second gets BAKE_REQUESTS."""
    return max(LEAST_BAKE_SECONDS, round(BAKE_REQUESTS / rate))


def rows(runs: int) -> Iterator[Row]:
    """Give the arguments of every `cell`, cheap ones first."""
    names = [fault.name for fault in FAULTS]
    stepped = [plan for plan in PLANS if plan not in FOR_COMPARISON]
    for plan in stepped:
        yield from ((name, plan, rate, runs, False) for rate in RATES for name in names)
    for plan in FOR_COMPARISON:
        yield from ((name, plan, COMPARED_RATE, 1, False) for name in COMPARED_FAULTS)
    yield GOOD.name, "tenfold", COMPARED_RATE, runs, True
    yield from ((GOOD.name, plan, COMPARED_RATE, 1, False) for plan in stepped)


def rollout(
    fault: str, plan: str, rate: float, run: int, at_random: bool = False, hosts: int = HOSTS
) -> Went:
    """Simulate one rollout over a fleet; the run's number is its seed."""
    stages = [{"hosts": each, "bake_seconds": bake_seconds(rate)} for each in PLANS[plan]]
    names = [f"lb{number:05d}" for number in range(1, hosts + 1)]
    seed = f"{fault} {plan} {rate} {run}"
    return Fleet(NAMES[fault], plan_of(names, stages), rate, seed, at_random).roll_out()


def cell(
    fault: str, plan: str, rate: float, runs: int, at_random: bool = False, hosts: int = HOSTS
) -> dict[str, Any]:
    """Give what became of `runs` rollouts of one fault under one plan at one rate.

    `found` is the part that did not pass every stage, `failed` the part that failed (the rest was
    inconclusive). The other figures are medians of those that were found, None without one:
    `seconds` to the decision, `touched` requests, `hosts` that got the change, the last `stage`;
    `seconds_passed` is of those that passed. `touched_seconds` is `touched` in seconds of the whole
    fleet's traffic.
    """
    went = [rollout(fault, plan, rate, run, at_random, hosts) for run in range(runs)]
    found = [one for one in went if one.verdict != PASS]
    touched = _median([one.touched for one in found])
    return {
        "fault": fault, "plan": plan, "rate": rate, "runs": runs, "at_random": at_random,
        "found": len(found) / runs,
        "failed": sum(one.verdict == FAIL for one in found) / runs,
        "by_sum": sum(one.by == "the sum" for one in found) / runs,
        "seconds": _median([one.seconds for one in found]),
        "seconds_passed": _median([one.seconds for one in went if one.verdict == PASS]),
        "touched": touched,
        "touched_most": max((one.touched for one in found), default=None),
        "touched_seconds": None if touched is None else touched / (rate * hosts),
        "hosts": _median([float(one.hosts) for one in found]),
        "stage": _median([float(one.stages) for one in found]),
    }  # fmt: skip


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
