"""Classes of requests of a hand-written configuration: what they reached says what they are for.

Its routes are read from its lines, and a line before may take a request, refuse it or send it
elsewhere by a rule that nobody read. What is live now is the base: a class belongs to the pool
that answered it before, and one that nobody answered before is judged by nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from evenkeel.rehearsal.plan.from_process import by_process
from evenkeel.rehearsal.protocol.measured_types import Measured, Phase, TallyRecord
from evenkeel.rehearsal.protocol.world_types import RequestClass, World


def as_measured(world: World, measured: Measured) -> World:
    """Give the world with classes and pools as they showed themselves; an intent's stays as it is.

    Pools that no class is left for go to `unreached`.
    """
    after, before = measured["after"], measured["before"]
    if not world["by_hand"] or not after:
        return world
    world = by_process(world, after["process"])
    owners: dict[str, list[str]] = {}
    for name, pool in world["pools"].items():
        for endpoint in pool["endpoints"].values():
            owners.setdefault(endpoint, []).append(name)
    phases: list[Phase] = [before, after] if before else [after]
    classes: list[RequestClass] = []
    for request_class in world["classes"]:
        tallies = [phase["classes"].get(request_class["name"]) for phase in phases]
        excused = bool(before) and _no_better(*tallies)
        if excused and not (tallies[0] and tallies[0]["servers"]):
            continue
        owner = next(
            filter(None, (_pool(request_class, one, owners) for one in tallies if one)), None
        )
        if owner or any(tally and tally["failed"] for tally in tallies):
            # Of one that was refused in part, who answered the rest counts as before.
            classes.append(
                {**request_class, "pool": owner or request_class["pool"], "excused": excused}
            )
    judged = {request_class["pool"] for request_class in classes}
    return {
        **world,
        "classes": classes,
        "pools": {name: pool for name, pool in world["pools"].items() if name in judged},
        "unreached": sorted({*world["unreached"], *(set(world["pools"]) - judged)}),
    }


def unanswered(world: World, before: Phase | None) -> set[str]:
    """Give the classes, by name, that nobody answered before: those that are judged by nothing.

    What they would add to a pool's requests must not be missing from those that are judged.
    `before` is what was measured of what is live, None where that is nothing.
    """
    if not world["by_hand"] or before is None:
        return set()
    return {
        name
        for name, tally in before["classes"].items()
        if tally["failed"] and not tally["servers"]
    }


def _no_better(before: TallyRecord | None, after: TallyRecord | None = None) -> bool:
    """Whether requests failed before as they do after: it is not this change's doing."""
    if not before or not before["failed"]:
        return False
    sent, failed = (after["sent"], after["failed"]) if after else (0, 0)
    return before["failed"] * sent >= failed * before["sent"]


def _pool(
    request_class: RequestClass, tally: TallyRecord, owners: Mapping[str, list[str]]
) -> str | None:
    """Give the pool whose servers answered most of a class; its own when that is one of several."""
    found: Counter[str] = Counter()
    for endpoint, count in tally["servers"].items():
        for name in owners.get(endpoint, []):
            found[name] += count
    if not found:
        return None
    most = max(found.values())
    return (
        request_class["pool"]
        if found[request_class["pool"]] == most
        else max(found, key=lambda one: found[one])
    )
