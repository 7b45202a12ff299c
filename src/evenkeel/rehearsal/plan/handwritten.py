"""Classes of requests of a hand-written configuration: what they reached says what they are for.

Its routes are read from its lines, and a line before may take a request, refuse it or send it
elsewhere by a rule that nobody read. What is live now is the base: a class belongs to the pool
that answered it before, and one that nobody answered before is judged by nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from evenkeel.rehearsal.plan.from_process import by_process

Data = Mapping[str, Any]


def as_measured(world: Data, measured: Data) -> dict[str, Any]:
    """Give the world with classes and pools as they showed themselves; an intent's stays as it is.

    Pools that no class is left for go to `unreached`.
    """
    if not world.get("by_hand") or not measured["after"]:
        return dict(world)
    world = by_process(world, measured["after"].get("process"))
    owners: dict[str, list[str]] = {}
    for name, pool in world["pools"].items():
        for here in pool["endpoints"].values():
            owners.setdefault(here, []).append(name)
    phases = [phase for phase in (measured["before"], measured["after"]) if phase]
    classes = []
    for kind in world["classes"]:
        tallies = [phase["classes"].get(kind["name"], {}) for phase in phases]
        excused = bool(measured["before"]) and _no_better(*tallies)
        if excused and not tallies[0].get("servers"):
            continue
        pool = next(filter(None, (_pool(kind, one, owners) for one in tallies)), None)
        if pool or any(tally.get("failed") for tally in tallies):
            # Of one that was refused in part, who answered the rest counts as before.
            classes.append({**kind, "pool": pool or kind["pool"], "excused": excused})
    judged = {kind["pool"] for kind in classes}
    return {
        **world,
        "classes": classes,
        "pools": {name: pool for name, pool in world["pools"].items() if name in judged},
        "unreached": sorted({*world["unreached"], *(set(world["pools"]) - judged)}),
    }


def unanswered(world: Data, before: Data | None) -> set[str]:
    """Give the classes, by name, that nobody answered before: those that are judged by nothing.

    What they would add to a pool's requests must not be missing from those that are judged.
    `before` is what was measured of what is live, None where that is nothing.
    """
    if not world.get("by_hand") or before is None:
        return set()
    return {
        name
        for name, tally in before["classes"].items()
        if tally.get("failed") and not tally.get("servers")
    }


def _no_better(before: Data, after: Data) -> bool:
    """Whether requests failed before as they do after: it is not this change's doing."""
    if not before.get("failed"):
        return False
    return bool(before["failed"] * after.get("sent", 0) >= after.get("failed", 0) * before["sent"])


def _pool(kind: Data, tally: Data, owners: Mapping[str, list[str]]) -> str | None:
    """Give the pool whose servers answered most of a class; its own when that is one of several."""
    found: Counter[str] = Counter()
    for here, count in tally.get("servers", {}).items():
        for name in owners.get(here, []):
            found[name] += count
    if not found:
        return None
    most = max(found.values())
    return kind["pool"] if found[kind["pool"]] == most else max(found, key=lambda one: found[one])
