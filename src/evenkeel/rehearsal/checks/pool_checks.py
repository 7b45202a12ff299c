"""The checks of one pool: pure functions over what was measured. See `checks` for their shape."""

from __future__ import annotations

from collections.abc import Iterator

from evenkeel.judge.verdict import FAIL, NO_DATA
from evenkeel.rehearsal.checks import effect as effects
from evenkeel.rehearsal.checks.share_checks import share_checks
from evenkeel.rehearsal.protocol.check import Check, check, few, verdict_for
from evenkeel.rehearsal.protocol.effect_types import PoolEffect
from evenkeel.rehearsal.protocol.measured_types import (
    CandidatePhase,
    Measured,
    Peak,
    Sticky,
    Switch,
)
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

# Half the room that there was is no rounding error.
_LEAST_ROOM = 0.5
_NAMED = 4


def pool_checks(name: str, world: World, measured: Measured, effect: PoolEffect) -> Iterator[Check]:
    """Give every check of the pool `name`; `effect` is its part of `effect.effect`."""
    pool = world["pools"][name]
    after, before, switch = measured["after"], measured["before"], measured["switch"]
    if not after or not switch:
        return
    yield _in_use(name, pool, after, switch)
    counts = effects.counts(world, after, name)
    if not counts.total:
        where = ", ".join(sorted(counts.elsewhere)[:_NAMED]) or "nowhere"
        reason = f"no request that was meant for pool {name} reached it; answers came from {where}"
        yield check(f"share:{name}", f"Shares of pool {name}", NO_DATA, {}, [reason])
        return
    if pool["guards"]["judged"] == "share":
        yield from share_checks(name, world, measured, counts, effect)
    yield from _moved(name, pool, effect)
    if name in after["sticky"]:
        yield _sticky(name, after["sticky"][name])
    if name in after["peak"]:
        peak = before["peak"].get(name) if before else None
        yield _room(name, pool, after["peak"][name], peak)
        yield _queue(name, after["peak"][name], peak)


def _in_use(name: str, pool: PoolFacts, after: CandidatePhase, switch: Switch) -> Check:
    """The balancer itself takes the servers for what the intent says; all of them are well."""
    seen = after["health"].get(name, {})
    reasons = [
        f"server {server} of pool {name} is {seen.get(server, 'not there')},"
        f" though a healthy stub server answers at {pool['endpoints'][server]}"
        for server in pool["expected_up"]
        if seen.get(server) != "active"
    ]
    settle = switch["answers"].get("settle")
    unchecked = settle.get("unchecked", []) if settle else []
    numbers = {
        "active": sum(1 for status in seen.values() if status == "active"),
        "servers": len(pool["endpoints"]),
        "not_checked_yet": len(set(unchecked) & set(pool["endpoints"].values())),
    }
    least = pool["guards"]["minimum_active_servers"]
    used = sum(1 for server, weight in pool["weights"].items() if weight and seen.get(server))
    if used < least:
        reasons.append(f"pool {name} has {used} active servers, wanted at least {least}")
    return check(
        f"servers:{name}",
        f"Servers of pool {name} are in use",
        verdict_for(reasons),
        numbers,
        few(reasons),
    )


def _moved(name: str, pool: PoolFacts, effect: PoolEffect) -> Iterator[Check]:
    """Clients keep their server, as far as a guardrail says so; without one it is only shown."""
    limit, found = pool["guards"]["most_moved_clients_percent"], effect.get("moved_clients")
    if limit is None or not found:
        return
    reasons = []
    if found["percent"] > limit:
        said = effects.in_words(found)
        reasons.append(f"pool {name}: {said}, wanted at most {limit:g} %")
    title = f"Clients of pool {name} keep their server"
    yield check(f"moved:{name}", title, verdict_for(reasons), found, reasons)


def _sticky(name: str, found: Sticky) -> Check:
    """A client that comes back with its cookie meets its server again."""
    title = f"Clients of pool {name} stay on their server"
    reasons = [
        f"{count} visits of clients of {server} in pool {name} went to another server"
        for server, count in sorted(found["moved"].items())
    ]
    if found["lost"]:
        reasons.append(f"{found['lost']} returning requests to pool {name} were not answered")
    numbers = {"clients": found["clients"], "visits": found["visits"]}
    if not found["clients"]:
        return check(f"sticky:{name}", title, FAIL, numbers, ["no answer set the cookie"])
    return check(f"sticky:{name}", title, verdict_for(reasons), numbers, few(reasons))


def _room(name: str, pool: PoolFacts, peak: Peak, before: Peak | None) -> Check:
    """Requests that arrive together are served together, as far as the intent lets them."""
    asked, reached = peak["asked"], peak["reached"]
    places = asked if pool["places"] is None else min(asked, pool["places"])
    reasons = []
    was = before["reached"] if before else asked
    if reached < min(places, was):
        reasons.append(
            f"of {asked} requests to pool {name} at one time, {reached} reached a server,"
            f" wanted {places}"
        )
    if before and reached < min(asked, before["reached"]) * _LEAST_ROOM:
        reasons.append(
            f"of {asked} requests to pool {name} at one time, {before['reached']} reached a server"
            f" before and {reached} do after"
        )
    title = f"Pool {name} serves {asked} requests at one time"
    numbers = {"asked": asked, "reached": reached, "before": before and before["reached"]}
    return check(f"room:{name}", title, verdict_for(reasons), numbers, reasons)


def _queue(name: str, peak: Peak, before: Peak | None) -> Check:
    """Who finds all servers full waits in a queue, and gets through in time."""
    asked = peak["asked"]
    lost = asked - peak["answered"]
    lost_before = before["asked"] - before["answered"] if before else 0
    what = ", ".join(f"{n} x {error}" for error, n in sorted(peak["errors"].items()))
    text = f"{lost} of {asked} requests to pool {name} at one time are lost ({what})"
    reasons = [text] if lost > lost_before else []
    told = [f"as before: {text}"] if lost and not reasons else []
    numbers = {
        "asked": asked,
        "waited": asked - peak["reached"],
        "lost": lost,
        "lost_before": lost_before if before else None,
        "longest_milliseconds": peak["milliseconds"],
    }
    title = f"Requests that wait for pool {name} get through"
    return check(f"queue:{name}", title, verdict_for(reasons), numbers, [*reasons, *told])
