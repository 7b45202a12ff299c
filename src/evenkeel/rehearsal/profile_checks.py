"""What a profile says users ask for, and whether a server answers it: pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from evenkeel.rehearsal.line import Check, Data, check, few, verdict_for
from evenkeel.rehearsal.question_plan import declared
from evenkeel.rehearsal.scouting import is_answered, learnt


def profile_checks(world: Data, before: Data | None, after: Data) -> Iterator[Check]:
    """Give the check of a profile's rows; none without rows.

    What was answered before is answered still, or a route test asks for the status that it gets.
    What nobody answered before either is told, and is no traffic of this rehearsal.
    """
    was = (before or {}).get("scouted") or {}
    rows = list(learnt(world, after.get("scouted") or {}))
    if not rows:
        return
    reasons, as_before, refused = [], [], 0.0
    for kind, number, said in rows:
        entry = kind["mix"][int(number)]
        if is_answered(said) or _is_wanted(world, kind, entry, said[0]):
            continue
        refused += entry["share"]
        text = f"{_name(kind, entry)} gets {_said(said[0])}"
        then = was.get(kind["name"], {}).get(number)
        if then is not None and is_answered(then):
            reasons.append(f"{text}, and a server answered before")
        else:
            as_before.append(f"as before: {text}" if then is not None else text)
    numbers = {
        "groups": len(rows),
        "not_answered_percent": round(100 * refused, 2),
        "without_route_percent": round(100 * world["profile"]["unrouted_share"], 2),
    }
    title = "What users are known to ask for is answered"
    shown = [*few(reasons, "groups"), *few(as_before, "groups")]
    yield check("profile", title, verdict_for(reasons), numbers, shown)


def _name(kind: Data, entry: Data) -> str:
    host = entry["host"] or kind["hosts"][0]
    return f"port {kind['port']} {entry['method']} {host}{entry['path']}"


def _said(status: int | None) -> str:
    return "no answer" if status is None else f"status {status} of the balancer"


def _is_wanted(world: Data, kind: Data, entry: Data, status: int | None) -> bool:
    host = entry["host"] or kind["hosts"][0]
    asked = {"listener": kind["listener"], "host": host, "path": entry["path"]}
    return status is not None and any(
        test["expect_status"] == status for test in declared(world, asked)
    )
