"""Which requests of the classes a server answers: pure functions of what was tried.

Traffic in great number leaves out what no server answers; the checks compare the answers before and
after. Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evenkeel.rehearsal.plan.requests import ANY_HOST, declared, expects_refusal, waiver_of
from evenkeel.rehearsal.protocol.measured_types import Phase, Reached, Response
from evenkeel.rehearsal.protocol.world_types import MixEntry, RequestClass, Subject, World


def to_try(request_class: RequestClass) -> list[int]:
    """Give the numbers of the entries to try: all but GETs that no profile names.

    The balancer may answer OPTIONS and HEAD itself, so these are tried too.
    """
    return [
        number
        for number, entry in enumerate(request_class["mix"])
        if entry["learnt"] or entry["method"] != "GET"
    ]


def open_to(world: World, *phases: Reached | None) -> list[RequestClass]:
    """Give the classes without the entries that no server of their pool answered in some phase.

    An entry that a route test expects a redirect or an error for is left out too. A class without
    an entry left is sent for what its route looks at.
    """
    owners: dict[str, set[str]] = {}
    for name, pool in world["pools"].items():
        for endpoint in pool["endpoints"].values():
            owners.setdefault(endpoint, set()).add(name)
    known = [phase for phase in phases if phase is not None]
    classes: list[RequestClass] = []
    for request_class in world["classes"]:
        tried = set(to_try(request_class))
        kept = [
            entry
            for number, entry in enumerate(request_class["mix"])
            if number not in tried
            or all(_is_ours(request_class, owners, one, number, entry) for one in known)
        ]
        mix = _undeclared(world, request_class, kept) or kept
        classes.append({**request_class, "mix": mix})
    return classes


def _undeclared(
    world: World, request_class: RequestClass, mix: Sequence[MixEntry]
) -> list[MixEntry]:
    """Give the entries that no waiver covers and no route test expects to be refused."""
    tests = [test for test in world["route_tests"] if expects_refusal(test)]
    if not tests and not world["waived_requests"]:
        return list(mix)
    undeclared = []
    for entry in mix:
        subject: Subject = {**subject_of(request_class, entry), "of_traffic": True}
        if not (declared(tests, subject) or waiver_of(world, subject)):
            undeclared.append(entry)
    return undeclared


def closed_with(world: World, request_class: RequestClass) -> set[str]:
    """Give the statuses that close a class on purpose; none where it is open in part."""
    mix = [entry for entry in request_class["mix"] if entry["method"] == "GET"]
    if not mix or _undeclared(world, request_class, mix):
        return set()
    subjects = [subject_of(request_class, entry) for entry in mix]
    tests = [test for subject in subjects for test in declared(world["route_tests"], subject)]
    return {str(test["expect_status"]) for test in tests if expects_refusal(test)}


def subject_of(request_class: RequestClass, entry: MixEntry) -> Subject:
    """Give what an entry asks for, as `requests.declared` looks at it."""
    return {
        "listener": request_class["listener"],
        "host": entry["host"] or request_class["hosts"][0],
        "path": entry["path"],
        "method": entry["method"],
        "headers": request_class["headers"],
        "prefixes": [path for path, grows in request_class["paths"] if grows],
        "any_host": request_class["hosts"] == [ANY_HOST],
    }


def steady(world: World, measured: Phase | None, other: Phase | None = None) -> list[RequestClass]:
    """Give the classes whose requests were all answered: a switch must not disturb them.

    Their entries are those that servers answered in this phase, and in the `other` one too. A class
    that is closed on purpose is left out.
    """
    counted = measured["classes"] if measured else {}
    phases = [phase["scouted"] if phase else None for phase in (measured, other)]
    return [
        request_class
        for request_class in open_to(world, *phases)
        if (tally := counted.get(request_class["name"]))
        and tally["answered"] == tally["sent"] > 0
        and (not request_class["mix"] or _undeclared(world, request_class, request_class["mix"]))
    ]


def _is_ours(
    request_class: RequestClass,
    owners: Mapping[str, set[str]],
    reached: Reached,
    number: int,
    entry: MixEntry,
) -> bool:
    response = reached.get(request_class["name"], {}).get(str(number))
    if response is None:
        return entry["learnt"] and entry["method"] == "GET"
    own = request_class["pool"]
    return is_answered(response) and own in owners.get(response[1], {own})


def is_answered(response: Response) -> bool:
    """Whether a server answered, and not with an error."""
    return response[0] is not None and response[0] < 400 and bool(response[1])


def tried(world: World, reached: Reached) -> Iterator[tuple[RequestClass, str, Response]]:
    """Give (class, number of its entry, response) of each entry that was tried."""
    for request_class in world["classes"]:
        responses = reached.get(request_class["name"], {})
        for number in map(str, range(len(request_class["mix"]))):
            if number in responses:
                yield request_class, number, responses[number]
