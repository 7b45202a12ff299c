"""What scouting found: which requests of the classes a server answers. Pure functions.

What is asked in great number leaves out what no server answers; the checks compare what was
answered before and after.

Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evenkeel.rehearsal.mix import SAFE

Data = Mapping[str, Any]
Scouted = dict[str, dict[str, list[Any]]]
"""{class: {number of its entry, as text: [status or None, endpoint of the server or ""]}}"""


def to_try(kind: Data) -> list[int]:
    """Give the numbers of the entries that have to be tried: all but safe ones of our making."""
    return [
        number
        for number, entry in enumerate(kind.get("mix", ()))
        if entry["learnt"] or entry["method"] not in SAFE
    ]


def open_to(world: Data, *phases: Scouted | None) -> list[dict[str, Any]]:
    """Give the classes of the world without the entries that no server answered in some phase.

    An entry that another pool answers is that pool's traffic. A class of which nothing is left is
    asked for what its route looks at.
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
        found.append({**kind, "mix": kept})
    return found


def steady(world: Data, measured: Data | None, other: Data | None = None) -> list[dict[str, Any]]:
    """Give the classes of which every request was answered: what a switch must not disturb.

    They are asked for what servers answered in this phase, and in the `other` one too.
    """
    counted = measured["classes"] if measured else {}
    phases = [phase["scouted"] if phase else None for phase in (measured, other)]
    return [
        kind
        for kind in open_to(world, *phases)
        if (tally := counted.get(kind["name"])) and tally["answered"] == tally["sent"] > 0
    ]


def _is_ours(
    kind: Data, owners: Mapping[str, set[str]], scouted: Scouted, number: int, entry: Data
) -> bool:
    said = scouted.get(kind["name"], {}).get(str(number))
    if said is None:
        return bool(entry["learnt"] and entry["method"] in SAFE)
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
