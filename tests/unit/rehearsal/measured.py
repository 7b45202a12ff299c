"""Measurements as the program in the container prints them, made up for the tests of verdicts."""

from typing import Any

from unit.rehearsal.changes import intent

from evenkeel.intent.parse import normalise, parse_intent
from evenkeel.rehearsal.plan import world as worlds
from evenkeel.rehearsal.run.reachability import to_try

# What `ship` adds to a plan.
SHIPPED: dict[str, Any] = {
    "health": {},
    "live_health": {},
    "nameservers": [],
    "speaks": {},
    "over_tls": [],
    "unchanged": [],
    "words": {"paths": [], "hosts": []},
    "base_words": {"paths": [], "hosts": [], "headers": []},
    "balancer": "haproxy",
    "change_id": "c1",
    "digest": "d" * 64,
    "release": "a" * 64,
    "files": {},
    "base": {"release": "b" * 64, "files": []},
    "waived_requests": {},
    "seed": 1,
}
NO_QUESTIONS: dict[str, Any] = {"routes": {}, "manners": {}, "limits": {}, "pools": {}}


def world_of(pool: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    plan = worlds.build(normalise(parse_intent(intent(pool, **more), where="lb1")))
    return {**plan, **SHIPPED}


def tally(servers: dict[str, int], failed: int = 0, errors: dict[str, int] | None = None) -> Any:
    answered = sum(servers.values())
    return {
        "sent": answered + failed,
        "answered": answered,
        "failed": failed,
        "diverted": 0,
        "again": 0,
        "servers": servers,
        "statuses": {},
        "errors": errors or ({"status 503": failed} if failed else {}),
        "versions": {},
        "milliseconds": {"median": 1.0, "p95": 1.0, "largest": 1.0},
    }


def peak(asked: int, reached: int, answered: int | None = None, **errors: int) -> dict[str, Any]:
    return {
        "asked": asked,
        "reached": reached,
        "answered": asked if answered is None else answered,
        "errors": {name.replace("_", " "): number for name, number in errors.items()},
        "milliseconds": 1.0,
    }


def phase(classes: dict[str, Any], scouted: dict[str, Any] | None = None, **more: Any) -> Any:
    """Give what is measured of one release; a part that is not named is empty."""
    return {
        "classes": classes,
        "scouted": scouted or {},
        "seen": {"requests": {}, "bodies": 0, "largest_body_bytes": 0},
        "peak": {},
        "under_way": {},
        "sticky": {},
        "questions": NO_QUESTIONS,
        "visitors": {},
        **more,
    }


def counts(*numbers: int) -> dict[str, int]:
    """Give answers of 10.20.0.1, 10.20.0.2, ... in this order."""
    return {f"10.20.0.{n}:80": number for n, number in enumerate(numbers, 1)}


def switch(failed: int = 0, **answers: Any) -> dict[str, Any]:
    done = {"ok": True, "exit": 0}
    steps = {"activate": done, "settle": {"ok": True, "unchecked": []}, "confirm": done}
    return {
        "answers": {**steps, **answers},
        "seconds": 1.0,
        "classes": {"www:80/default": tally(counts(100), failed)},
    }


def measured(
    world: dict[str, Any],
    before: dict[str, int] | None,
    after: dict[str, int],
    **more: Any,
) -> dict[str, Any]:
    pool = world["pools"]["web"]
    up = pool["expected_up"]
    scouted = {
        kind["name"]: {str(number): [200, "10.20.0.1:80"] for number in to_try(kind)}
        for kind in world["classes"]
    }
    active = {name: "active" if name in up else "draining" for name in pool["weights"]}
    found = phase(
        {"www:80/default": tally(after)},
        scouted,
        peak={"web": peak(32, 32)},
        process=None,
        health={"web": active},
        failing={"pools": {}, "seconds": 0.0},
        route_tests=[
            {
                "name": "front",
                "answers": [{"port": 80, "status": 200, "server": "x", "pools": ["web"]}],
            }
        ],
    )
    found.update(more)
    base = {"release": "b" * 64, "runs": True, "said": "", "bounded": False, "seconds": 1.0}
    return {
        "base": base,
        "before": before
        and phase({"www:80/default": tally(before)}, scouted, peak={"web": peak(32, 32)}),
        "prepare": {"ok": True, "exit": 0, "check": {"ok": True, "output": ""}},
        "switch": switch(),
        "after": found,
        "versions": {"haproxy": "2.6"},
        "seconds": 3.0,
    }


def reloads(failed: int = 0) -> dict[str, Any]:
    done = {"ok": True, "exit": 0}
    runs = [
        {"name": "new to old", "answers": {"rollback": done}},
        {"name": "old to new", "answers": {"activate": done, "confirm": done}},
    ]
    for number, run in enumerate(runs):
        lost = failed if number == 0 else 0
        run |= {"seconds": 0.3, "classes": {"www:80/default": tally(counts(100), lost)}}
    return {"reloads": runs, "seconds": 2.0}
