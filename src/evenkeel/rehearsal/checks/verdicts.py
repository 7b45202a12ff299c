"""From measurements to verdicts: pure functions, without a container and without a clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

from evenkeel.judge.verdict import INCONCLUSIVE, NO_DATA, PASS, worst
from evenkeel.rehearsal.checks.answers import question_checks
from evenkeel.rehearsal.checks.effect import effect
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

_LONGEST_TEXT = 600


class _Load(TypedDict):
    """What became of the steady traffic of a switch."""

    sent: int
    failed: int
    errors: dict[str, int]


def judge(world: World, measured: Measured, reloads: Reloads | None) -> list[Check]:
    """Give every check of one bundle; for a candidate that did not start, only why."""
    planned, world = world, as_measured(world, measured)
    checks = [native_check(measured["prepare"]), activation(measured["switch"], measured["base"])]
    after = measured["after"]
    if after is None:
        return checks
    if planned["by_hand"] and after["process"]:
        checks.append(reading_check(planned, after["process"]))
    checks += [route_test(test, after) for test in world["route_tests"]]
    checks += question_checks(world, measured["before"], after)
    checks.append(asked_check(world, measured["before"], after))
    checks.append(answers(world, after))
    effects = effect(world, measured)
    for name in sorted(world["pools"]):
        checks += pool_checks(name, world, measured, effects[name])
    checks += failing(world, after, reloads.get("failing", {}) if reloads else {})
    checks.append(reload_under_load(measured, reloads))
    return checks


def verdict_of(checks: Iterable[Check]) -> str:
    """Give the worst verdict of `checks`; no check at all is no data."""
    return worst(one["verdict"] for one in checks)


def native_check(prepared: StepAnswer) -> Check:
    """Check that the balancer itself, and the host's program, accept the exact bytes."""
    title = "The balancer's own check accepts the bytes"
    reasons = [] if prepared["ok"] else [error_of(prepared)]
    return check("native_check", title, verdict_for(reasons), {"exit": prepared["exit"]}, reasons)


def activation(switch: Switch | None, base: BaseStart) -> Check:
    """Check that the candidate started in place of the base."""
    title = "The candidate is activated under load"
    if switch is None:
        return check("activation", title, NO_DATA, {}, ["the candidate was not activated"])
    reasons = [
        f"{verb}: {error_of(answer)}"
        for verb, answer in switch["answers"].items()
        if not answer["ok"]
    ]
    numbers = {"sent": _load(switch)["sent"], "seconds": switch["seconds"]}
    if base["bounded"]:
        numbers["bounded_connections"] = True
    return check("activation", title, verdict_for(reasons), numbers, reasons)


def error_of(answer: StepAnswer) -> str:
    """Give the error of the host's program in one line."""
    error, native = answer.get("error"), answer.get("check")
    parts = [error["what"], error["got"]] if error else []
    parts += [native["output"]] if native else []
    text = ": ".join(part.strip() for part in parts if part)
    return " ".join(text.split())[:_LONGEST_TEXT] or f"exit code {answer['exit']}"


def route_test(test: RouteTest, after: CandidatePhase) -> Check:
    """Check one route test: its pool and its status, at every bind of its listener."""
    answers = next(one["answers"] for one in after["route_tests"] if one["name"] == test["name"])
    reasons = []
    for answer in answers:
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
        verdict_for(reasons) if answers else NO_DATA,
        {"answers": answers},
        reasons,
    )


def answers(world: World, after: Phase) -> Check:
    """Check that a server answers every request; all servers are well.

    A class that a route test closes may fail with the status that the test expects.
    """
    reasons = []
    for one in world["classes"]:
        tally = after["classes"].get(one["name"])
        closed = {f"status {status}" for status in reachable.closed_with(world, one)}
        is_closed = bool(closed) and set(tally["errors"] if tally else ()) <= closed
        if tally and tally["failed"] and not one["excused"] and not is_closed:
            errors = ", ".join(f"{n} x {name}" for name, n in sorted(tally["errors"].items()))
            reasons.append(
                f"pool {one['pool']} by {one['name']}: {tally['failed']} of {tally['sent']}"
                f" requests failed ({errors})"
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
    """Give the checks of each pool whose servers failed, compared with the base where needed."""
    run = after["failing"]
    base, again = trials.get("base"), trials.get("again")
    # A pool that no request was meant for is not judged.
    for name in sorted(set(run["pools"]) & set(world["pools"])):
        yield failing_check(name, world, run, base, again)
        yield slow_check(name, world, run, base, again)


def reload_under_load(measured: Measured, reloads: Reloads | None) -> Check:
    """Check that the switch, its rollback and the switch again lose no request."""
    title = "Reloads under load lose no request"
    runs = reloads["reloads"] if reloads else []
    if measured["switch"]:
        runs = [{"name": "old to new", **measured["switch"]}, *runs]
    if len(runs) < 2:
        return check("reload", title, NO_DATA, {}, ["nothing was reloaded"])
    reasons: list[str] = []
    seconds: list[float] = []
    sent = 0
    for run in runs:
        load = _load(run)
        sent += load["sent"]
        seconds.append(run["seconds"])
        if load["failed"]:
            errors = ", ".join(f"{n} x {error}" for error, n in sorted(load["errors"].items()))
            reasons.append(f"{run['name']}: {load['failed']} of {load['sent']} failed ({errors})")
        reasons += [
            f"{run['name']}, {verb}: {error_of(answer)}"
            for verb, answer in run["answers"].items()
            if not answer["ok"]
        ]
    numbers = {"reloads": len(runs), "sent": sent, "seconds": seconds}
    if not reasons and not sent:
        reason = "no traffic was sent: no route is answered both before and after"
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
