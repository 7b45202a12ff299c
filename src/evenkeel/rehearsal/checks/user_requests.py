"""What users ask for, and whether who answered before answers still: pure functions.

What worked before and does not now is this change's doing. A route test for the same host, path and
method says that it is wanted; so does a waiver of the rule `asked`, which a configuration by hand
can have as well. Where nobody knows what was before, nothing is taken to be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS
from evenkeel.rehearsal.plan.reachable import asked_of, is_answered, to_try, tried
from evenkeel.rehearsal.plan.request_mix import SAFE
from evenkeel.rehearsal.plan.requests import ANY_HOST, declared, waiver_of, was_known
from evenkeel.rehearsal.protocol.check import Check, check, few
from evenkeel.rehearsal.protocol.measured_types import Phase, Reached, Response
from evenkeel.rehearsal.protocol.world_types import MixEntry, RequestClass, World

RULE = "asked"
_REDIRECT, _ERROR = 300, 400
# Refused rows of no known before that are fewer than this are what strangers try at every address.
_LEAST_SHARE = 0.001


@dataclass
class _Found:
    reasons: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    refused: float = 0.0
    in_doubt: float = 0.0


def asked_check(world: World, before: Phase | None, after: Phase) -> Check:
    """What a server answered before is answered now, and by a server of the same pool.

    These are the rows of the traffic profile, and requests other than GET to each route. Of the
    rows it is told too which get a redirect, and which nobody answered before either. Without a
    before, rows that nobody answers are a doubt; what was tried before and is not now is missing.
    """
    was = before["scouted"] if before else None
    now = after["scouted"]
    found = _Found(missing=list(_missing(world, was, now)))
    members = _members(world, before), _members(world, after)
    rows = list(tried(world, now))
    for request_class, number, said in rows:
        entry = request_class["mix"][int(number)]
        then = (was or {}).get(request_class["name"], {}).get(number)
        if is_answered(said):
            fault = _elsewhere(world, request_class, entry, (then, said), members)
            if fault and not _is_split(request_class, (then, said), (before, after), members):
                _note(world, found, request_class, entry, said, fault)
            continue
        if is_wanted(world, request_class, entry, said[0], set()):
            continue
        found.refused += entry["share"] if entry["learnt"] else 0.0
        _refused(world, found, request_class, entry, said, then)
    numbers = {
        "tried": len(rows),
        "not_answered_percent": round(100 * found.refused, 2),
        "without_route_percent": round(100 * world["profile"]["unrouted_share"], 2),
    }
    title = "What users ask for is answered"
    return check(RULE, title, _verdict(found), numbers, _few(found))


def _verdict(found: _Found) -> str:
    if found.reasons:
        return FAIL
    if found.missing:
        return NO_DATA
    return INCONCLUSIVE if found.in_doubt >= _LEAST_SHARE else PASS


def _few(found: _Found) -> list[str]:
    lists = (found.reasons, found.missing, found.doubts, found.told)
    return [line for one in lists for line in few(one, "requests")]


def _missing(world: World, was: Reached | None, now: Reached) -> Iterator[str]:
    """Give what was tried before and not now; without a before, that nothing was tried at all."""
    for request_class in world["classes"]:
        endpoint = now.get(request_class["name"], {})
        for number in (was or {}).get(request_class["name"], {}):
            if number not in endpoint:
                name = _name(request_class, request_class["mix"][int(number)])
                yield f"{name} was not tried after the change"
    if was is None and not now and any(to_try(request_class) for request_class in world["classes"]):
        yield "nothing was tried after the change"


def _refused(
    world: World,
    found: _Found,
    request_class: RequestClass,
    entry: MixEntry,
    said: Response,
    then: Response | None,
) -> None:
    """Take note of an entry that no server answers well, and that no route test wants so."""
    text = f"{_name(request_class, entry)} gets {_said(said)}"
    worked = then is not None and is_answered(then)
    is_told = _is_harmless(entry, said)
    if worked and not is_told:
        _note(world, found, request_class, entry, said, f"{text}, and a server answered before")
    elif not entry["learnt"]:
        return
    elif worked:
        found.told.append(f"{text}, where a server answered before")
    elif then is not None or is_told:
        found.told.append(f"as before: {text}" if then is not None else text)
    elif reason := _waiver(world, request_class, entry):
        found.told.append(f"waived: {text}; because: {reason}")
    else:
        doubt = f"{text}, and nobody knows who answered before"
        found.doubts.append(f"{doubt}; {_way_out(world, request_class, entry, said[0])}")
        found.in_doubt += entry["share"]


def _note(
    world: World,
    found: _Found,
    request_class: RequestClass,
    entry: MixEntry,
    said: Response,
    text: str,
) -> None:
    reason = _waiver(world, request_class, entry)
    if reason:
        found.told.append(f"waived: {text}; because: {reason}")
    else:
        found.reasons.append(f"{text}; {_way_out(world, request_class, entry, said[0])}")


def _is_harmless(entry: MixEntry, said: Response) -> bool:
    """Whether the balancer may answer this itself: a redirect of a page, or OPTIONS.

    A browser that is redirected sends a POST again as GET, without its body.
    """
    status, server = said
    if status is None or status >= _ERROR or server:
        return False
    if status >= _REDIRECT:
        return entry["method"] in SAFE
    return bool(entry["method"] == "OPTIONS")


Members = Mapping[str, set[str]]
Pair = tuple[Response | None, Response]


def _members(world: World, phase: Phase | None) -> dict[str, set[str]]:
    """Give the endpoints of each pool as they were in a phase; those of the intent otherwise."""
    seen = phase["questions"]["pools"] if phase else {}
    if seen:
        return {name: set(members) for name, members in seen.items()}
    return {name: set(pool["endpoints"].values()) for name, pool in world["pools"].items()}


def _pools(members: Members, server: str) -> set[str]:
    return {name for name, endpoints in members.items() if server in endpoints}


def _elsewhere(
    world: World,
    request_class: RequestClass,
    entry: MixEntry,
    said: Pair,
    members: tuple[Members, Members],
) -> str:
    """Say that another pool answers than before; "" where it is the same, or new, or wanted.

    Pools are the same by their name, or when they share an endpoint.
    """
    then, now = said
    if then is None or not is_answered(then) or then[1] == now[1]:
        return ""
    pools = [_pools(members[0], then[1]), _pools(members[1], now[1])]
    if not all(pools) or pools[0] & pools[1]:
        return ""
    ends = [
        {endpoint for name in names for endpoint in known[name]}
        for names, known in zip(pools, members, strict=True)
    ]
    is_new = not entry["learnt"] and not was_known(world, asked_of(request_class, entry))
    if ends[0] & ends[1] or is_new or is_wanted(world, request_class, entry, now[0], pools[1]):
        return ""
    before, after = (" or ".join(sorted(names)) for names in pools)
    return f"{_name(request_class, entry)} is answered by pool {after}, and by pool {before} before"


def _is_split(
    request_class: RequestClass,
    said: Pair,
    phases: tuple[Phase | None, Phase],
    members: tuple[Members, Members],
) -> bool:
    """Whether servers of both pools answered this class before as after: chance decides.

    What is counted of a class is its own pool's alone, unless the same requests go to several.
    """
    for phase, known in zip(phases, members, strict=True):
        tally = phase["classes"].get(request_class["name"]) if phase else None
        servers = tally["servers"] if tally else {}
        met = {name for endpoint in servers for name in _pools(known, endpoint)}
        for side, one in zip(members, said, strict=True):
            if not one or not met & _pools(side, one[1]):
                return False
    return True


def is_wanted(
    world: World, request_class: RequestClass, entry: MixEntry, status: int | None, pools: set[str]
) -> bool:
    """Whether a route test for this host, path and method expects just what is answered now.

    What goes to a pool, and what is closed to pages that are asked for, is so for other methods as
    well, as far as nobody is known to send them.
    """
    methods = {entry["method"], *(("GET",) if pools or not entry["learnt"] else ())}
    for method in methods:
        for test in declared(
            world["route_tests"], {**asked_of(request_class, entry), "method": method}
        ):
            if pools and test["expect_pool"] in pools:
                return True
            if not pools and status is not None and test["expect_status"] == status:
                return True
    return False


def _waiver(world: World, request_class: RequestClass, entry: MixEntry) -> str:
    return waiver_of(world, asked_of(request_class, entry))


def _subject(request_class: RequestClass, entry: MixEntry) -> str:
    return f"{entry['method']} {entry['host'] or request_class['hosts'][0]}{entry['path']}"


def _name(request_class: RequestClass, entry: MixEntry) -> str:
    return f"port {request_class['port']} {_subject(request_class, entry)}"


def _said(said: Response) -> str:
    status, server = said
    if status is None:
        return "no answer"
    return f"status {status} of {'a server' if server else 'the balancer'}"


def _way_out(world: World, request_class: RequestClass, entry: MixEntry, status: int | None) -> str:
    waive = f"waive the rule {RULE} for {_subject(request_class, entry)!r}"
    if world["by_hand"]:
        return f"if that is meant, {waive}"
    host = "" if request_class["hosts"] == [ANY_HOST] and not entry["host"] else " for its host"
    if status is not None and status < _ERROR:
        return f"if that is meant, add a route test{host} that expects it, or {waive}"
    expects = "" if status is None else f" and expect_status {status}"
    test = f"a route test{host} with method {entry['method']}{expects}"
    return f"if that is meant, add {test}, or {waive}"
