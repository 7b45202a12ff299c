"""Request classes of a handwritten configuration: the servers they reached show their pool.

Routes are read from the file, but a line before them may take a request, refuse it or send it
elsewhere by a rule that was not read. So a class belongs to the pool that answered it on the base,
and a class that the base did not answer is not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from evenkeel.rehearsal.plan.from_process import by_process
from evenkeel.rehearsal.protocol.measured_types import Measured, Phase, TallyRecord
from evenkeel.rehearsal.protocol.world_types import RequestClass, World


def as_measured(world: World, measured: Measured) -> World:
    """Give the world with the classes and pools that were measured; an intent's stays as it is.

    Pools without a class move to `unreached`.
    """
    after, before = measured["after"], measured["before"]
    if not world["by_hand"] or not after:
        return world
    world = by_process(world, after["process"])
    owners: dict[str, list[str]] = {}
    for name, pool in world["pools"].items():
        for endpoint in pool["endpoints"].values():
            owners.setdefault(endpoint, []).append(name)
    classes: list[RequestClass] = []
    for request_class in world["classes"]:
        was = before["classes"].get(request_class["name"]) if before else None
        now = after["classes"].get(request_class["name"])
        excused = False
        if was and was["failed"]:
            # As many failed on the base: do not blame the change.
            sent, failed = (now["sent"], now["failed"]) if now else (0, 0)
            excused = was["failed"] * sent >= failed * was["sent"]
        if excused and not (was and was["servers"]):
            continue
        tallies = [tally for tally in (was, now) if tally]
        pools = (_owner(request_class, tally, owners) for tally in tallies)
        owner = next(filter(None, pools), None)
        if owner or any(tally["failed"] for tally in tallies):
            # Some of its requests were answered: count the class.
            pool_name = owner or request_class["pool"]
            classes.append({**request_class, "pool": pool_name, "excused": excused})
    judged = {request_class["pool"] for request_class in classes}
    return {
        **world,
        "classes": classes,
        "pools": {name: pool for name, pool in world["pools"].items() if name in judged},
        "unreached": sorted({*world["unreached"], *(set(world["pools"]) - judged)}),
    }


def unanswered(world: World, before: Phase | None) -> set[str]:
    """Give the names of the classes that the base did not answer: they are not judged.

    Their requests are sent by the other classes of their pools instead.
    """
    if not world["by_hand"] or before is None:
        return set()
    return {
        name
        for name, tally in before["classes"].items()
        if tally["failed"] and not tally["servers"]
    }


def _owner(
    request_class: RequestClass, tally: TallyRecord, owners: Mapping[str, list[str]]
) -> str | None:
    """Give the pool whose servers answered most of a class; the class's own of several."""
    answers: Counter[str] = Counter()
    for endpoint, count in tally["servers"].items():
        for name in owners.get(endpoint, []):
            answers[name] += count
    if not answers:
        return None
    most = max(answers.values())
    own = request_class["pool"]
    return own if answers[own] == most else max(answers, key=lambda name: answers[name])
