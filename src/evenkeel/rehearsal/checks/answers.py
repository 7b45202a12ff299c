"""Single requests, compared before and after a change: pure functions.

The change is to blame for a request that worked before and fails now, whatever the intent says; a
route test for the same host and path declares that this is wanted. New requests are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.rehearsal.checks.user_requests import is_wanted
from evenkeel.rehearsal.plan.reachable import subject_of
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

# Headers whose values must not change; others may be unique.
_STEADY = (
    *("accept-language", "authorization", "cookie", "host", "user-agent"),
    *("x-forwarded-for", "x-forwarded-proto", "x-rehearsal-probe"),
)
# Statuses of a balancer that denies access.
_REFUSALS = (401, 403)
_NOTHING: Questions = {"routes": {}, "manners": {}, "limits": {}, "pools": {}}

Answers = Mapping[str, QuestionAnswer]
Limits = Mapping[str, Mapping[str, int | None]]


def question_checks(world: World, before: Phase | None, after: Phase) -> Iterator[Check]:
    """Give the checks of single requests, and of the routes that have a test."""
    yield coverage(world)
    was = before["questions"] if before else _NOTHING
    now = after["questions"]
    yield routes(world, was, now)
    yield received(was["routes"], now["routes"])
    yield understood(was["manners"], now["manners"])
    yield limits(was["limits"], now["limits"], world)


def coverage(world: World) -> Check:
    """Check that every route has a route test; a guardrail decides whether one without fails."""
    tests = untested(world)
    bare = sorted(route for route, names in tests.items() if not names)
    reasons = [f"route {route} has no route test" for route in bare]
    fails = bool(bare) and world["untested_routes"] == "fail"
    numbers = {"routes": len(tests), "tested": len(tests) - len(bare)}
    title = "Routes have a route test"
    return check("coverage", title, FAIL if fails else PASS, numbers, few(reasons, "routes"))


def routes(world: World, before: Questions, after: Questions) -> Check:
    """Check that the same pool, or one of its servers, still answers each request."""
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
        # A route test declares the answer of now.
        is_declared = any(
            (test["expect_pool"] and test["expect_pool"] in now["pools"])
            or (test["expect_status"] and test["expect_status"] == now["status"])
            for test in declared(world["route_tests"], now["asked"])
        )
        if difference and not is_declared:
            if why := waiver_of(world, {**now["asked"], "method": "GET"}):
                waived.append(f"waived: {name}: {difference}; because: {why}")
                continue
            reasons.append(f"{name}: {difference}")
    numbers = {"compared": compared, "asked": len(after["routes"]), "differ": len(reasons)}
    title = "The same pools answer the same requests as before"
    shown = [*few(reasons, "requests"), *few(waived, "requests")]
    return check("answered_by", title, verdict_for(reasons), numbers, shown)


def _members(answer: QuestionAnswer, questions: Questions) -> set[str]:
    """Give the endpoints of the pools that an answer came from."""
    return {endpoint for pool in answer["pools"] for endpoint in questions["pools"].get(pool, ())}


def _worked(answer: QuestionAnswer) -> bool:
    return answer["status"] is not None and answer["status"] < 400


def _is_refusal(answer: QuestionAnswer) -> bool:
    """Whether the balancer itself denied access."""
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
    # A change may rename a pool or replace its servers.
    if set(was["pools"]) & set(now["pools"]) or was["server"] == now["server"]:
        return ""
    return f"{_who(was)} before, {_who(now)} now"


def _who(answer: QuestionAnswer) -> str:
    return f"pool {' or '.join(answer['pools'])}" if answer["pools"] else str(answer["server"])


def received(before: Answers, after: Answers) -> Check:
    """Check that servers receive the same headers, host, path and PROXY header as before."""
    names_of: dict[str, list[str]] = {}
    compared = 0
    for name, was in before.items():
        now = after.get(name)
        if now is None or "headers" not in was or "headers" not in now:
            continue
        compared += 1
        texts = []
        for header, value in was["headers"].items():
            received = now["headers"].get(header)
            if received is None:
                texts.append(f"the header {header} no longer arrives")
            elif header in _STEADY and received != value:
                texts.append(f"the header {header} was {value[:60]!r} and is {received[:60]!r}")
        if was["line"] != now["line"]:
            texts.append(f"the request was {was['line'][:80]!r} and is {now['line'][:80]!r}")
        # Other pools may expect another PROXY header.
        if was["proxy"] != now["proxy"] and set(was["pools"]) & set(now["pools"]):
            proxies = f"{was['proxy'] or 'none'} and is {now['proxy'] or 'none'}"
            texts.append(f"the PROXY header was {proxies}")
        for text in texts:
            names_of.setdefault(text, []).append(name)
    reasons = [
        f"{text} ({len(names)} of {compared} requests, {names[0]})"
        for text, names in sorted(names_of.items())
    ]
    title = "Servers receive the same requests as before"
    numbers = {"compared": compared}
    return check("told", title, verdict_for(reasons), numbers, few(reasons, "differences"))


def understood(before: Answers, after: Answers) -> Check:
    """Check that listeners still accept clients in TLS or plain, with PROXY or without.

    A client that speaks HTTP/2 alone, such as gRPC, cannot use an answer in HTTP/1.1.
    """
    both = {name: (was, after[name]) for name, was in before.items() if name in after}
    reasons = []
    for name, (was, now) in both.items():
        if _worked(was) and not _worked(now):
            status = "no answer" if now["status"] is None else f"status {now['status']}"
            reasons.append(f"{name}: answered before, now {status}")
    reasons += [
        f"{name}: HTTP/2 was spoken before, now HTTP/{now['version']}"
        for name, (was, now) in both.items()
        if _worked(was) and _worked(now) and was["version"] == "2" != now["version"]
    ]
    numbers = {"compared": sum(1 for was in before.values() if _worked(was))}
    title = "Listeners accept the same clients as before: TLS, HTTP/2, PROXY"
    return check("understood", title, verdict_for(reasons), numbers, few(reasons, "ways"))


def limits(before: Limits, after: Limits, world: World) -> Check:
    """Check that large requests pass as before, unless the change declares to refuse them."""
    profile = world["profile"]
    body = min(MOST_BODY_BYTES, profile["largest_body_bytes"])
    large = {
        "head": f"a request with {profile['largest_header_bytes'] / 1000:g} kB of headers",
        "body": f"an upload of {body / 1024:g} kB, half of it late",
    }
    reasons, as_before, sent = [], [], 0
    for name, statuses in after.items():
        for part, status in statuses.items():
            sent += 1
            if status is not None and status < 400:
                continue
            text = f"{name}: {large[part]} gets {status or 'no answer'}"
            was = before.get(name, {}).get(part)
            worked = was is not None and was < 400
            if worked and _is_closed(world, name, part, status):
                as_before.append(f"declared: {text}")
            elif worked:
                reasons.append(f"{text}, and passed before")
            else:
                as_before.append(f"as before: {text}" if name in before else text)
    title = "Large headers and slow uploads pass"
    numbers = {"asked": sent, "refused": len(reasons) + len(as_before)}
    shown = few([*reasons, *as_before], "requests")
    return check("limits", title, verdict_for(reasons), numbers, shown)


def _is_closed(world: World, name: str, part: str, status: int | None) -> bool:
    """Whether the change declares that a place takes no requests of such a method."""
    for place in binds(world):
        entry: MixEntry = {
            "share": 0.0,
            "host": "",
            "path": place["paths"][0][0],
            "grows": False,
            "method": "POST" if part == "body" else "GET",
            "learnt": False,
        }
        if f"port {place['port']}" == name:
            waived = waiver_of(world, subject_of(place, entry))
            return bool(waived) or is_wanted(world, place, entry, status, set())
    return False
