"""What scouting found: which requests of the classes a server answers. Pure functions.

What is asked in great number leaves out what no server answers; the checks compare what was
answered before and after.

Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evenkeel.rehearsal.plan.requests import ANY_HOST, declared, says_no, waiver_of
from evenkeel.rehearsal.protocol.measured_types import Phase, Reached, Response
from evenkeel.rehearsal.protocol.world_types import MixEntry, RequestClass, Subject, World


def to_try(request_class: RequestClass) -> list[int]:
    """Give the numbers of the entries that have to be tried: all but GETs of our making.

    Of OPTIONS and HEAD too the balancer may answer some itself.
    """
    return [
        number
        for number, entry in enumerate(request_class["mix"])
        if entry["learnt"] or entry["method"] != "GET"
    ]


def open_to(world: World, *phases: Reached | None) -> list[RequestClass]:
    """Give the classes of the world without the entries that no server answered in some phase.

    An entry that another pool answers is that pool's traffic, and one that a route test expects a
    redirect or an error for is the balancer's. A class of which nothing is left is asked for what
    its route looks at.
    """
    owners: dict[str, set[str]] = {}
    for name, pool in world["pools"].items():
        for endpoint in pool["endpoints"].values():
            owners.setdefault(endpoint, set()).add(name)
    known = [phase for phase in phases if phase is not None]
    found: list[RequestClass] = []
    for request_class in world["classes"]:
        mix = request_class["mix"]
        tried = set(to_try(request_class))
        kept = [
            entry
            for number, entry in enumerate(mix)
            if number not in tried
            or all(_is_ours(request_class, owners, one, number, entry) for one in known)
        ]
        found.append({**request_class, "mix": _undeclared(world, request_class, kept) or kept})
    return found


def _undeclared(
    world: World, request_class: RequestClass, mix: Sequence[MixEntry]
) -> list[MixEntry]:
    """Give the entries that no route test expects a redirect or an error for, nor a waiver."""
    tests = [test for test in world["route_tests"] if says_no(test)]
    if not tests and not world["waived_requests"]:
        return list(mix)
    found = []
    for entry in mix:
        asked: Subject = {**subject_of(request_class, entry), "of_traffic": True}
        if not (declared(tests, asked) or waiver_of(world, asked)):
            found.append(entry)
    return found


def closed_with(world: World, request_class: RequestClass) -> set[str]:
    """Give the statuses by which a class is closed on purpose; none where it is open in part."""
    mix = [entry for entry in request_class["mix"] if entry["method"] == "GET"]
    if not mix or _undeclared(world, request_class, mix):
        return set()
    tests = [
        test
        for entry in mix
        for test in declared(world["route_tests"], subject_of(request_class, entry))
    ]
    return {str(test["expect_status"]) for test in tests if says_no(test)}


def subject_of(request_class: RequestClass, entry: MixEntry) -> Subject:
    """Give what an entry asks for, as `question_plan.declared` looks at it."""
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
    """Give the classes of which every request was answered: what a switch must not disturb.

    They are asked for what servers answered in this phase, and in the `other` one too. A class of
    which a route test says that the balancer answers everything itself is none of them.
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
    scouted: Reached,
    number: int,
    entry: MixEntry,
) -> bool:
    said = scouted.get(request_class["name"], {}).get(str(number))
    if said is None:
        return bool(entry["learnt"] and entry["method"] == "GET")
    return is_answered(said) and request_class["pool"] in owners.get(
        said[1], {request_class["pool"]}
    )


def is_answered(said: Response) -> bool:
    """Whether a server answered, and not with an error."""
    return said[0] is not None and said[0] < 400 and bool(said[1])


def tried(world: World, scouted: Reached) -> Iterator[tuple[RequestClass, str, Response]]:
    """Give (class, number of its entry, what answered) of each entry that was tried."""
    for request_class in world["classes"]:
        for number in range(len(request_class["mix"])):
            said = scouted.get(request_class["name"], {}).get(str(number))
            if said is not None:
                yield request_class, str(number), said
