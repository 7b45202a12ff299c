"""Requests that users send, compared before and after a change: pure functions.

The change is to blame for a request that a server answered before and does not answer now. A route
test for the same host, path and method declares that this is wanted; so does a waiver of the rule
`asked`, which a handwritten configuration can have too. Without a base, a refusal is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS
from evenkeel.rehearsal.plan.reachable import is_answered, subject_of, to_try, tried
from evenkeel.rehearsal.plan.request_mix import SAFE
from evenkeel.rehearsal.plan.requests import ANY_HOST, declared, waiver_of, was_known
from evenkeel.rehearsal.protocol.check import Check, check, few
from evenkeel.rehearsal.protocol.measured_types import Phase, Reached, Response
from evenkeel.rehearsal.protocol.world_types import MixEntry, RequestClass, World

RULE = "asked"
_REDIRECT, _ERROR = 300, 400
# Scans of strangers make up less than this.
_LEAST_SHARE = 0.001

Members = Mapping[str, set[str]]
"""{pool: its endpoints}"""
Pair = tuple[Response | None, Response]
"""A response before, None without one, and the response after."""


@dataclass
class _Findings:
    """Sentences for the check, by what they mean for its verdict."""

    reasons: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    refused: float = 0.0
    in_doubt: float = 0.0

    def verdict(self) -> str:
        """Give `fail` for a reason, `no_data` for a gap, `inconclusive` for enough doubt."""
        if self.reasons:
            return FAIL
        if self.missing:
            return NO_DATA
        return INCONCLUSIVE if self.in_doubt >= _LEAST_SHARE else PASS


@dataclass(frozen=True)
class _Entry:
    """One entry of the mix of a class: its requests are alike."""

    world: World
    request_class: RequestClass
    entry: MixEntry

    @property
    def target(self) -> str:
        """Its method, host and path, as a waiver names them."""
        host = self.entry["host"] or self.request_class["hosts"][0]
        return f"{self.entry['method']} {host}{self.entry['path']}"

    @property
    def name(self) -> str:
        """Its target with the port that it arrives at."""
        return f"port {self.request_class['port']} {self.target}"

    def waiver(self) -> str:
        """Give the reason of a waiver for it, or ""."""
        return waiver_of(self.world, subject_of(self.request_class, self.entry))

    def way_out(self, status: int | None) -> str:
        """Say how to declare that the response is wanted."""
        waive = f"waive the rule {RULE} for {self.target!r}"
        if self.world["by_hand"]:
            return f"if this is intended, {waive}"
        any_host = self.request_class["hosts"] == [ANY_HOST] and not self.entry["host"]
        host = "" if any_host else " for its host"
        if status is not None and status < _ERROR:
            return f"if this is intended, add a route test{host} that expects it, or {waive}"
        expects = "" if status is None else f" and expect_status {status}"
        test = f"a route test{host} with method {self.entry['method']}{expects}"
        return f"if this is intended, add {test}, or {waive}"

    def blame(self, findings: _Findings, text: str, now: Response) -> None:
        """Add `text` as a reason, or as a remark when it is waived."""
        if reason := self.waiver():
            findings.remarks.append(f"waived: {text}; because: {reason}")
        else:
            findings.reasons.append(f"{text}; {self.way_out(now[0])}")


def asked_check(world: World, before: Phase | None, after: Phase) -> Check:
    """Check that a server of the same pool answers what a server answered before.

    These are the rows of the traffic profile, and requests other than GET to each route. Rows that
    get a redirect, or failed before too, are remarks. Without a base, an unanswered row is a doubt.
    A request that was tried before and not after is missing.
    """
    was = before["scouted"] if before else None
    now = after["scouted"]
    findings = _Findings(missing=list(_not_tried(world, was, now)))
    members = _members(world, before), _members(world, after)
    rows = list(tried(world, now))
    for request_class, number, response in rows:
        row = _Entry(world, request_class, request_class["mix"][int(number)])
        then = (was or {}).get(request_class["name"], {}).get(number)
        if is_answered(response):
            difference = _other_pool(row, (then, response), members)
            phases = (before, after)
            if difference and not _is_split(request_class, (then, response), phases, members):
                row.blame(findings, difference, response)
            continue
        if is_wanted(world, request_class, row.entry, response[0], set()):
            continue
        findings.refused += row.entry["share"] if row.entry["learnt"] else 0.0
        _note_refusal(row, findings, (then, response))
    numbers = {
        "tried": len(rows),
        "not_answered_percent": round(100 * findings.refused, 2),
        "without_route_percent": round(100 * world["profile"]["unrouted_share"], 2),
    }
    lists = (findings.reasons, findings.missing, findings.doubts, findings.remarks)
    shown = [line for lines in lists for line in few(lines, "requests")]
    return check(RULE, "Requests that users send are answered", findings.verdict(), numbers, shown)


def _not_tried(world: World, was: Reached | None, now: Reached) -> Iterator[str]:
    """Name what was tried before and not after; without a base, say when nothing was tried."""
    for request_class in world["classes"]:
        responses = now.get(request_class["name"], {})
        for number in (was or {}).get(request_class["name"], {}):
            if number not in responses:
                row = _Entry(world, request_class, request_class["mix"][int(number)])
                yield f"{row.name} was not tried after the change"
    if was is None and not now and any(map(to_try, world["classes"])):
        yield "nothing was tried after the change"


def _note_refusal(row: _Entry, findings: _Findings, responses: Pair) -> None:
    """Note an entry that no server answers, and that no route test wants so."""
    then, now = responses
    status, server = now
    who = "a server" if server else "the balancer"
    text = f"{row.name} gets {'no answer' if status is None else f'status {status} of {who}'}"
    worked = then is not None and is_answered(then)
    harmless = False
    if status is not None and status < _ERROR and not server:
        # Browsers repeat a redirected POST as GET, without its body.
        harmless = row.entry["method"] in (SAFE if status >= _REDIRECT else ("OPTIONS",))
    if worked and not harmless:
        row.blame(findings, f"{text}, and a server answered before", now)
    elif not row.entry["learnt"]:
        return
    elif worked:
        findings.remarks.append(f"{text}, where a server answered before")
    elif then is not None or harmless:
        findings.remarks.append(f"as before: {text}" if then is not None else text)
    elif reason := row.waiver():
        findings.remarks.append(f"waived: {text}; because: {reason}")
    else:
        doubt = f"{text}, and there is no base that shows who answered before"
        findings.doubts.append(f"{doubt}; {row.way_out(status)}")
        findings.in_doubt += row.entry["share"]


def _members(world: World, phase: Phase | None) -> Members:
    """Give the endpoints of each pool in a phase, or those of the intent."""
    seen = phase["questions"]["pools"] if phase else {}
    if seen:
        return {name: set(endpoints) for name, endpoints in seen.items()}
    return {name: set(pool["endpoints"].values()) for name, pool in world["pools"].items()}


def _pools(members: Members, server: str) -> set[str]:
    return {name for name, endpoints in members.items() if server in endpoints}


def _other_pool(row: _Entry, responses: Pair, members: tuple[Members, Members]) -> str:
    """Say that another pool answers than before; "" where it is the same, new or wanted.

    Pools are the same by their name, or when they share an endpoint.
    """
    then, now = responses
    if then is None or not is_answered(then) or then[1] == now[1]:
        return ""
    pools = _pools(members[0], then[1]), _pools(members[1], now[1])
    if not all(pools) or pools[0] & pools[1]:
        return ""
    endpoints = [
        {endpoint for name in names for endpoint in known[name]}
        for names, known in zip(pools, members, strict=True)
    ]
    subject = subject_of(row.request_class, row.entry)
    is_new = not row.entry["learnt"] and not was_known(row.world, subject)
    if endpoints[0] & endpoints[1] or is_new:
        return ""
    if is_wanted(row.world, row.request_class, row.entry, now[0], pools[1]):
        return ""
    before, after = (" or ".join(sorted(names)) for names in pools)
    return f"{row.name} is answered by pool {after}, and by pool {before} before"


def _is_split(
    request_class: RequestClass,
    responses: Pair,
    phases: tuple[Phase | None, Phase],
    members: tuple[Members, Members],
) -> bool:
    """Whether both pools answered requests of this class before and after: chance decides.

    Only then do the counts of a class have servers of other pools than its own.
    """
    for phase, known in zip(phases, members, strict=True):
        tally = phase["classes"].get(request_class["name"]) if phase else None
        servers = tally["servers"] if tally else {}
        met = {name for endpoint in servers for name in _pools(known, endpoint)}
        for side, response in zip(members, responses, strict=True):
            if not response or not met & _pools(side, response[1]):
                return False
    return True


def is_wanted(
    world: World,
    request_class: RequestClass,
    entry: MixEntry,
    status: int | None,
    pools: set[str],
) -> bool:
    """Whether a route test for this host, path and method expects this status or one of `pools`.

    A test of GET also speaks for methods that no profile names, and for which pool answers.
    """
    methods = {entry["method"], *(("GET",) if pools or not entry["learnt"] else ())}
    for method in methods:
        subject = subject_of(request_class, entry)
        subject["method"] = method
        for test in declared(world["route_tests"], subject):
            if pools and test["expect_pool"] in pools:
                return True
            if not pools and status is not None and test["expect_status"] == status:
                return True
    return False
