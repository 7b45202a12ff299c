"""What single questions were answered before and after a change: pure functions.

What worked before and does not work now is this change's doing, whatever the intent says; a route
test that asks for the same host and path says that it is wanted. What the change adds is not
compared: nobody asked for it before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.rehearsal.checks.user_requests import is_wanted
from evenkeel.rehearsal.plan.reachable import asked_of
from evenkeel.rehearsal.plan.requests import (
    MOST_BODY_BYTES,
    binds,
    declared,
    untested,
    waiver_of,
    was_known,
)
from evenkeel.rehearsal.protocol.check import Check, check, few, verdict_for
from evenkeel.rehearsal.protocol.measured_types import Phase, QuestionAnswer, Questions
from evenkeel.rehearsal.protocol.world_types import MixEntry, World

# What is the same in every request like this one; others may hold a number of their own.
_STEADY = (
    *("accept-language", "authorization", "cookie", "host", "user-agent"),
    *("x-forwarded-for", "x-forwarded-proto", "x-rehearsal-probe"),
)
# Whoever is not let in gets one of these.
_REFUSALS = (401, 403)
_NOTHING: Questions = {"routes": {}, "manners": {}, "limits": {}, "pools": {}}


def question_checks(world: World, before: Phase | None, after: Phase) -> Iterator[Check]:
    """Give the checks of what was asked one by one, and of the routes that have a test."""
    yield coverage(world)
    was = before["questions"] if before else _NOTHING
    now = after["questions"]
    yield routes(world, was, now)
    yield told(was["routes"], now["routes"])
    yield spoken(was["manners"], now["manners"])
    yield limits(was["limits"], now["limits"], world)


def coverage(world: World) -> Check:
    """Routes without a route test are named; whether that is a fault is the guardrail's word."""
    tests = untested(world)
    bare = sorted(route for route, found in tests.items() if not found)
    reasons = [f"route {route} has no route test" for route in bare]
    fails = bool(bare) and world["untested_routes"] == "fail"
    numbers = {"routes": len(tests), "tested": len(tests) - len(bare)}
    title = "Routes have a route test"
    return check("coverage", title, FAIL if fails else PASS, numbers, few(reasons, "routes"))


def routes(world: World, before: Questions, after: Questions) -> Check:
    """What a pool answered before is still answered, by the same pool or one of its servers."""
    reasons, waived, compared = [], [], 0
    for name, was in before["routes"].items():
        now = after["routes"].get(name)
        if now is None or not was_known(world, was["asked"]):
            continue
        if not _worked(was) and not _is_refusal(was):
            continue
        compared += 1
        difference = _difference(was, now)
        if difference and _members(was, before) & _members(now, after):
            difference = ""
        if difference and not _is_wanted(world, now):
            if why := waiver_of(world, {**now["asked"], "method": "GET"}):
                waived.append(f"waived: {name}: {difference}; because: {why}")
                continue
            reasons.append(f"{name}: {difference}")
    numbers = {"compared": compared, "asked": len(after["routes"]), "differ": len(reasons)}
    title = "Requests are answered by those who answered before"
    shown = [*few(reasons, "questions"), *few(waived, "questions")]
    return check("answered_by", title, verdict_for(reasons), numbers, shown)


def _members(answer: QuestionAnswer, asked: Questions) -> set[str]:
    """Give the endpoints of the pools that an answer came from."""
    return {endpoint for pool in answer["pools"] for endpoint in asked["pools"].get(pool, ())}


def _worked(answer: QuestionAnswer) -> bool:
    return answer["status"] is not None and answer["status"] < 400


def _is_refusal(answer: QuestionAnswer) -> bool:
    """Whether the balancer itself keeps this from whoever asks."""
    return not answer["server"] and answer["status"] in _REFUSALS


def _difference(was: QuestionAnswer, now: QuestionAnswer) -> str:
    if _is_refusal(was):
        opened = now["server"] and _worked(now)
        return f"status {was['status']} of the balancer before, {_who(now)} now" if opened else ""
    if was["server"] and not now["server"]:
        by = "no answer" if now["status"] is None else f"status {now['status']} of the balancer"
        return f"{_who(was)} before, {by} now"
    if not was["server"]:
        if now["status"] == was["status"] or (now["server"] and _worked(now)):
            return ""
        return f"status {was['status']} of the balancer before, {now['status']} now"
    if not _worked(now):
        return f"{_who(was)} before, status {now['status']} of {_who(now)} now"
    # A pool is known by its name or by its servers: either may have a reason to change.
    if set(was["pools"]) & set(now["pools"]) or was["server"] == now["server"]:
        return ""
    return f"{_who(was)} before, {_who(now)} now"


def _who(answer: QuestionAnswer) -> str:
    return f"pool {' or '.join(answer['pools'])}" if answer["pools"] else str(answer["server"])


def _is_wanted(world: World, now: QuestionAnswer) -> bool:
    """Whether a route test of the change wants just what is answered now."""
    for test in declared(world["route_tests"], now["asked"]):
        if test["expect_pool"] and test["expect_pool"] in now["pools"]:
            return True
        if test["expect_status"] and test["expect_status"] == now["status"]:
            return True
    return False


def told(before: Mapping[str, QuestionAnswer], after: Mapping[str, QuestionAnswer]) -> Check:
    """A server is told what it was told before: headers, host, path, PROXY header."""
    found: dict[str, list[str]] = {}
    compared = 0
    for name, was in before.items():
        now = after.get(name)
        if now is None or "headers" not in was or "headers" not in now:
            continue
        compared += 1
        for text in _told(was, now):
            found.setdefault(text, []).append(name)
    reasons = [
        f"{text} ({len(names)} of {compared} questions, {names[0]})"
        for text, names in sorted(found.items())
    ]
    title = "Servers are told what they were told before"
    return check("told", title, verdict_for(reasons), {"compared": compared}, few(reasons, "facts"))


def _told(was: QuestionAnswer, now: QuestionAnswer) -> Iterator[str]:
    for name, value in was["headers"].items():
        if name not in now["headers"]:
            yield f"the header {name} does not arrive any more"
        elif name in _STEADY and now["headers"][name] != value:
            yield f"the header {name} was {value[:60]!r} and is {now['headers'][name][:60]!r}"
    if was["line"] != now["line"]:
        yield f"the request was {was['line'][:80]!r} and is {now['line'][:80]!r}"
    # Which servers expect the header is their own matter: one that has not changed has not either.
    if was["proxy"] != now["proxy"] and was["pools"] and set(was["pools"]) & set(now["pools"]):
        before, after = (one["proxy"] or "none" for one in (was, now))
        yield f"the PROXY header was {before} and is {after}"


def spoken(before: Mapping[str, QuestionAnswer], after: Mapping[str, QuestionAnswer]) -> Check:
    """Clients that were understood before are understood still: TLS or plain, PROXY or not.

    One that speaks HTTP/2 alone, as gRPC does, has nothing from an answer in HTTP/1.1.
    """
    both = {name: (was, after[name]) for name, was in before.items() if name in after}
    reasons = [
        f"{name}: answered before, now {_said(now)}"
        for name, (was, now) in both.items()
        if _worked(was) and not _worked(now)
    ]
    reasons += [
        f"{name}: HTTP/2 was spoken before, now HTTP/{now['version']}"
        for name, (was, now) in both.items()
        if _worked(was) and _worked(now) and was["version"] == "2" != now["version"]
    ]
    numbers = {"compared": sum(1 for was in before.values() if _worked(was))}
    title = "Listeners understand those whom they understood before"
    return check("understood", title, verdict_for(reasons), numbers, few(reasons, "ways"))


def _said(answer: QuestionAnswer) -> str:
    return "no answer" if answer["status"] is None else f"status {answer['status']}"


def limits(
    before: Mapping[str, Mapping[str, int | None]],
    after: Mapping[str, Mapping[str, int | None]],
    world: World,
) -> Check:
    """Large requests pass as they did before, unless it is declared that such are refused."""
    profile = world["profile"]
    body = min(MOST_BODY_BYTES, profile["largest_body_bytes"])
    large = {
        "head": f"a request with {profile['largest_header_bytes'] / 1000:g} kB of headers",
        "body": f"an upload of {body / 1024:g} kB, half of it late",
    }
    reasons, told_as_before, asked = [], [], 0
    for name, answers in after.items():
        for what, status in answers.items():
            asked += 1
            if status is not None and status < 400:
                continue
            said = f"{name}: {large[what]} gets {status or 'no answer'}"
            was = before.get(name, {}).get(what)
            worked = was is not None and was < 400
            if worked and _is_closed(world, name, what, status):
                told_as_before.append(f"declared: {said}")
            elif worked:
                reasons.append(f"{said}, and passed before")
            else:
                told_as_before.append(f"as before: {said}" if name in before else said)
    title = "Large headers and slow uploads pass"
    numbers = {"asked": asked, "refused": len(reasons) + len(told_as_before)}
    shown = few([*reasons, *told_as_before], "requests")
    return check("limits", title, verdict_for(reasons), numbers, shown)


def _is_closed(world: World, name: str, what: str, status: int | None) -> bool:
    """Whether the change declares that a place takes no requests of such a method."""
    method = "POST" if what == "body" else "GET"
    for request_class in binds(world):
        entry: MixEntry = {
            "share": 0.0,
            "host": "",
            "path": request_class["paths"][0][0],
            "grows": False,
            "method": method,
            "learnt": False,
        }
        if f"port {request_class['port']}" == name:
            waived = waiver_of(world, asked_of(request_class, entry))
            return bool(waived) or is_wanted(world, request_class, entry, status, set())
    return False
