"""What users ask for, and whether a server answers it: pure functions."""

from __future__ import annotations

from evenkeel.rehearsal.line import Check, Data, check, few, verdict_for
from evenkeel.rehearsal.question_plan import declared
from evenkeel.rehearsal.scouted import is_answered, tried

_ERROR = 400


def asked_check(world: Data, before: Data | None, after: Data) -> Check:
    """What a server answered before gets no error now, unless a route test asks for that status.

    These are the rows of the traffic profile, and requests that change something to each route. Of
    the rows it is told too which get a redirect or a page of the balancer's own, and which nobody
    answered before either.
    """
    was = (before or {}).get("scouted") or {}
    rows = list(tried(world, after.get("scouted") or {}))
    reasons, told, refused = [], [], 0.0
    for kind, number, said in rows:
        entry = kind["mix"][int(number)]
        if is_answered(said) or _is_wanted(world, kind, entry, said[0]):
            continue
        text = f"{_name(kind, entry)} gets {_said(said[0])}"
        then = was.get(kind["name"], {}).get(number)
        worked = then is not None and is_answered(then)
        if worked and (said[0] is None or said[0] >= _ERROR):
            reasons.append(f"{text}, and a server answered before")
        elif entry["learnt"]:
            how = f"{text}, where a server answered before" if worked else text
            told.append(f"as before: {text}" if then is not None and not worked else how)
        refused += entry["share"] if entry["learnt"] else 0.0
    numbers = {
        "tried": len(rows),
        "not_answered_percent": round(100 * refused, 2),
        "without_route_percent": round(100 * world["profile"]["unrouted_share"], 2),
    }
    title = "What users ask for is answered"
    shown = [*few(reasons, "requests"), *few(told, "requests")]
    return check("asked", title, verdict_for(reasons), numbers, shown)


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
