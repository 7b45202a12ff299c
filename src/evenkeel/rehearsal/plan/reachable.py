"""What scouting found: which requests of the classes a server answers. Pure functions.

What is asked in great number leaves out what no server answers; the checks compare what was
answered before and after.

Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evenkeel.rehearsal.plan.requests import ANY_HOST, WAIVED, declared, says_no, waiver_of

Data = Mapping[str, Any]
Scouted = dict[str, dict[str, list[Any]]]
"""{class: {number of its entry, as text: [status or None, endpoint of the server or ""]}}"""


def to_try(kind: Data) -> list[int]:
    """Give the numbers of the entries that have to be tried: all but GETs of our making.

    Of OPTIONS and HEAD too the balancer may answer some itself.
    """
    return [
        number
        for number, entry in enumerate(kind.get("mix", ()))
        if entry["learnt"] or entry["method"] != "GET"
    ]


def open_to(world: Data, *phases: Scouted | None) -> list[dict[str, Any]]:
    """Give the classes of the world without the entries that no server answered in some phase.

    An entry that another pool answers is that pool's traffic, and one that a route test expects a
    redirect or an error for is the balancer's. A class of which nothing is left is asked for what
    its route looks at.
    """
    owners: dict[str, set[str]] = {}
    for name, pool in world["pools"].items():
        for here in pool["endpoints"].values():
            owners.setdefault(here, set()).add(name)
    known = [phase for phase in phases if phase is not None]
    found = []
    for kind in world["classes"]:
        mix = kind.get("mix", [])
        tried = set(to_try(kind))
        kept = [
            entry
            for number, entry in enumerate(mix)
            if number not in tried
            or all(_is_ours(kind, owners, one, number, entry) for one in known)
        ]
        found.append({**kind, "mix": _undeclared(world, kind, kept) or kept})
    return found


def _undeclared(world: Data, kind: Data, mix: Sequence[Data]) -> list[Data]:
    """Give the entries that no route test expects a redirect or an error for, nor a waiver."""
    only = {"route_tests": [test for test in world["route_tests"] if says_no(test)]}
    if not only["route_tests"] and not world.get(WAIVED):
        return list(mix)
    pairs = [(entry, {**asked_of(kind, entry), "of_traffic": True}) for entry in mix]
    return [one for one, asked in pairs if not (declared(only, asked) or waiver_of(world, asked))]


def closed_with(world: Data, kind: Data) -> set[str]:
    """Give the statuses by which a class is closed on purpose; none where it is open in part."""
    mix = [entry for entry in kind.get("mix", ()) if entry["method"] == "GET"]
    if not mix or _undeclared(world, kind, mix):
        return set()
    tests = [test for entry in mix for test in declared(world, asked_of(kind, entry))]
    return {str(test["expect_status"]) for test in tests if says_no(test)}


def asked_of(kind: Data, entry: Data) -> dict[str, Any]:
    """Give what an entry asks for, as `question_plan.declared` looks at it."""
    return {
        "listener": kind["listener"],
        "host": entry["host"] or kind["hosts"][0],
        "path": entry["path"],
        "method": entry["method"],
        "headers": kind.get("headers", {}),
        "prefixes": [path for path, grows in kind["paths"] if grows],
        "any_host": kind["hosts"] == [ANY_HOST],
    }


def steady(world: Data, measured: Data | None, other: Data | None = None) -> list[dict[str, Any]]:
    """Give the classes of which every request was answered: what a switch must not disturb.

    They are asked for what servers answered in this phase, and in the `other` one too. A class of
    which a route test says that the balancer answers everything itself is none of them.
    """
    counted = measured["classes"] if measured else {}
    phases = [phase["scouted"] if phase else None for phase in (measured, other)]
    return [
        kind
        for kind in open_to(world, *phases)
        if (tally := counted.get(kind["name"]))
        and tally["answered"] == tally["sent"] > 0
        and (not kind["mix"] or _undeclared(world, kind, kind["mix"]))
    ]


def _is_ours(
    kind: Data, owners: Mapping[str, set[str]], scouted: Scouted, number: int, entry: Data
) -> bool:
    said = scouted.get(kind["name"], {}).get(str(number))
    if said is None:
        return bool(entry["learnt"] and entry["method"] == "GET")
    return is_answered(said) and kind["pool"] in owners.get(said[1], {kind["pool"]})


def is_answered(said: Sequence[Any]) -> bool:
    """Whether a server answered, and not with an error."""
    return said[0] is not None and said[0] < 400 and bool(said[1])


def tried(world: Data, scouted: Scouted) -> Iterator[tuple[Data, str, Sequence[Any]]]:
    """Give (class, number of its entry, what answered) of each entry that was tried."""
    for kind in world["classes"]:
        for number in range(len(kind.get("mix", ()))):
            said = scouted.get(kind["name"], {}).get(str(number))
            if said is not None:
                yield kind, str(number), said
