"""From measurements to verdicts: pure functions, no container, no clock.

Each check is {"id", "title", "verdict", "numbers", "reasons"}. `world` is what `world.build` gave,
`measured` what `inside` printed for converge, `reloads` what it printed for side-effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

from evenkeel.judge.verdict import INCONCLUSIVE, NO_DATA, PASS, worst
from evenkeel.rehearsal.checks import effect as effects
from evenkeel.rehearsal.checks.answers import question_checks
from evenkeel.rehearsal.checks.failures import failing_check, slow_check
from evenkeel.rehearsal.checks.pool_checks import pool_checks
from evenkeel.rehearsal.checks.user_requests import asked_check
from evenkeel.rehearsal.plan import reachable
from evenkeel.rehearsal.plan.from_process import reading_check
from evenkeel.rehearsal.plan.handwritten import as_measured
from evenkeel.rehearsal.protocol.check import Check, check, verdict_for
from evenkeel.rehearsal.protocol.measured_types import (
    BaseStart,
    CandidatePhase,
    Measured,
    Phase,
    Reloads,
    StepAnswer,
    Switch,
    TrialRuns,
)
from evenkeel.rehearsal.protocol.world_types import RouteTest, World

_LONGEST_SAID = 600


class _Load(TypedDict):
    """What became of the steady traffic of a switch."""

    sent: int
    failed: int
    errors: dict[str, int]


def judge(world: World, measured: Measured, reloads: Reloads | None) -> list[Check]:
    """Give every check of one bundle.

    Of a candidate that did not come up there is nothing to check but why.
    """
    read, world = world, as_measured(world, measured)
    checks = [native_check(measured["prepare"]), activation(measured["switch"], measured["base"])]
    after = measured["after"]
    if after is None:
        return checks
    if read["by_hand"] and after["process"]:
        checks.append(reading_check(read, after["process"]))
    checks += [route_test(test, after) for test in world["route_tests"]]
    checks += question_checks(world, measured["before"], after)
    checks.append(asked_check(world, measured["before"], after))
    checks.append(answers(world, after))
    effect = effects.effect(world, measured)
    for name in sorted(world["pools"]):
        checks += pool_checks(name, world, measured, effect[name])
    checks += failing(world, after, reloads.get("failing", {}) if reloads else {})
    checks.append(reload_under_load(measured, reloads))
    return checks


def verdict_of(checks: Iterable[Check]) -> str:
    """Give the worst verdict of `checks`; nothing at all is no data."""
    return worst(one["verdict"] for one in checks)


def native_check(prepared: StepAnswer) -> Check:
    """The balancer's own check, and the host's program's, of the exact bytes."""
    title = "The balancer's own check accepts the bytes"
    reasons = [] if prepared["ok"] else [said(prepared)]
    return check("native_check", title, verdict_for(reasons), {"exit": prepared["exit"]}, reasons)


def activation(switch: Switch | None, base: BaseStart) -> Check:
    """The candidate came up in place of what was live.

    On a machine with few descriptors its connections are bounded, which is told.
    """
    title = "The candidate is activated under load"
    if switch is None:
        return check("activation", title, NO_DATA, {}, ["it was not reached"])
    reasons = [
        f"{verb}: {said(answer)}" for verb, answer in switch["answers"].items() if not answer["ok"]
    ]
    numbers = {"sent": _load(switch)["sent"], "seconds": switch["seconds"]}
    if base["bounded"]:
        numbers["bounded_connections"] = True
    return check("activation", title, verdict_for(reasons), numbers, reasons)


def said(answer: StepAnswer) -> str:
    """Give what the host's program said was wrong, in one line."""
    error, native = answer.get("error"), answer.get("check")
    parts = [error["what"], error["got"]] if error else []
    parts += [native["output"]] if native else []
    text = ": ".join(part.strip() for part in parts if part)
    return " ".join(text.split())[:_LONGEST_SAID] or f"exit code {answer['exit']}"


def route_test(test: RouteTest, after: CandidatePhase) -> Check:
    """One route test: the pool and the status that it expects, at every bind of its listener."""
    answered = next(one["answers"] for one in after["route_tests"] if one["name"] == test["name"])
    reasons = []
    for answer in answered:
        got = f"port {answer['port']}: status {answer['status']}"
        if answer["status"] is None:
            reasons.append(f"port {answer['port']}: no answer")
        elif test["expect_status"] not in (None, answer["status"]):
            reasons.append(f"{got}, wanted {test['expect_status']}")
        elif test["expect_pool"] and test["expect_pool"] not in answer["pools"]:
            pools = " or ".join(answer["pools"]) or "no pool"
            reasons.append(f"{got} from {pools}, wanted pool {test['expect_pool']}")
    return check(
        f"route:{test['name']}",
        f"Route test {test['name']}",
        verdict_for(reasons) if answered else NO_DATA,
        {"answers": answered},
        reasons,
    )


def answers(world: World, after: Phase) -> Check:
    """Every request is answered by a server: all of them are well, so there is no excuse.

    But of a class that a route test says is closed, as far as the status is the one it expects.
    """
    reasons = []
    for request_class in world["classes"]:
        tally = after["classes"].get(request_class["name"])
        closed = {f"status {status}" for status in reachable.closed_with(world, request_class)}
        is_closed = bool(closed) and set(tally["errors"] if tally else ()) <= closed
        if tally and tally["failed"] and not request_class["excused"] and not is_closed:
            what = ", ".join(f"{n} x {name}" for name, n in sorted(tally["errors"].items()))
            reasons.append(
                f"pool {request_class['pool']} by {request_class['name']}:"
                f" {tally['failed']} of {tally['sent']} requests failed ({what})"
            )
    tallies = list(after["classes"].values())
    numbers = {
        "sent": sum(tally["sent"] for tally in tallies),
        "answered": sum(tally["answered"] for tally in tallies),
        "failed": sum(tally["failed"] for tally in tallies),
        "in_http_2": sum(tally["versions"].get("2", 0) for tally in tallies),
    }
    return check("answers", "Every request is answered", verdict_for(reasons), numbers, reasons)


def failing(world: World, after: CandidatePhase, trials: TrialRuns) -> Iterator[Check]:
    """Each pool while its servers fail, compared with what was live where that is worth it."""
    ran = after["failing"]
    # Of a pool that no request was meant for, as it turned out, nothing is judged.
    for name in sorted(set(ran["pools"]) & set(world["pools"])):
        yield failing_check(name, world, ran, trials.get("base"), trials.get("again"))
        yield slow_check(name, world, ran, trials.get("base"), trials.get("again"))


def reload_under_load(measured: Measured, reloads: Reloads | None) -> Check:
    """Old to new, back and forth again: this change's own rollback loses no request either."""
    title = "Reloads under load lose no request"
    runs = reloads["reloads"] if reloads else []
    if measured["switch"]:
        runs = [{"name": "old to new", **measured["switch"]}, *runs]
    if len(runs) < 2:
        return check("reload", title, NO_DATA, {}, ["nothing was reloaded"])
    reasons: list[str] = []
    seconds: list[float] = []
    sent = 0
    for one in runs:
        load = _load(one)
        sent += load["sent"]
        seconds.append(one["seconds"])
        if load["failed"]:
            what = ", ".join(f"{n} x {error}" for error, n in sorted(load["errors"].items()))
            reasons.append(f"{one['name']}: {load['failed']} of {load['sent']} failed ({what})")
        reasons += [
            f"{one['name']}, {verb}: {said(answer)}"
            for verb, answer in one["answers"].items()
            if not answer["ok"]
        ]
    numbers = {"reloads": len(runs), "sent": sent, "seconds": seconds}
    if not reasons and not any(_load(one)["sent"] for one in runs):
        reason = "no route is answered both before and after, so there was no traffic to lose"
        nothing_before = measured["before"] is None
        return check("reload", title, PASS if nothing_before else INCONCLUSIVE, numbers, [reason])
    return check("reload", title, verdict_for(reasons), numbers, reasons)


def _load(run: Switch) -> _Load:
    errors: dict[str, int] = {}
    for tally in run["classes"].values():
        for error, count in tally["errors"].items():
            errors[error] = errors.get(error, 0) + count
    tallies = list(run["classes"].values())
    return {
        "sent": sum(tally["sent"] for tally in tallies),
        "failed": sum(tally["failed"] for tally in tallies),
        "errors": errors,
    }
