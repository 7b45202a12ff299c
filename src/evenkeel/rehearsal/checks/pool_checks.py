"""The checks of one pool: pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from evenkeel.judge.verdict import FAIL, NO_DATA
from evenkeel.rehearsal.checks import effect
from evenkeel.rehearsal.checks.share_checks import share_checks
from evenkeel.rehearsal.protocol.check import Check, check, few, names, verdict_for
from evenkeel.rehearsal.protocol.effect_types import PoolEffect
from evenkeel.rehearsal.protocol.measured_types import (
    CandidatePhase,
    Measured,
    Peak,
    Sticky,
    Switch,
)
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

# A larger loss of concurrency is no measuring error.
_LEAST_ROOM = 0.5


def pool_checks(
    name: str, world: World, measured: Measured, on_pool: PoolEffect
) -> Iterator[Check]:
    """Give every check of the pool `name`; `on_pool` is the effect on it."""
    pool = world["pools"][name]
    after, before, switch = measured["after"], measured["before"], measured["switch"]
    if not after or not switch:
        return
    yield servers_in_use(name, pool, after, switch)
    counts = effect.counts(world, after, name)
    if not counts.total:
        elsewhere = names(sorted(counts.elsewhere)) or "nowhere"
        reason = f"no request for pool {name} reached it; answers came from {elsewhere}"
        yield check(f"share:{name}", f"Shares of pool {name}", NO_DATA, {}, [reason])
        return
    if pool["guards"]["judged"] == "share":
        yield from share_checks(name, world, measured, counts, on_pool)
    limit, clients = pool["guards"]["most_moved_clients_percent"], on_pool.get("moved_clients")
    if limit is not None and clients:
        reasons = []
        if clients["percent"] > limit:
            moved = effect.in_words(clients)
            reasons.append(f"pool {name}: {moved}, wanted at most {limit:g} %")
        title = f"Clients of pool {name} keep their server"
        yield check(f"moved:{name}", title, verdict_for(reasons), clients, reasons)
    if name in after["sticky"]:
        yield returning_clients(name, after["sticky"][name])
    if name in after["peak"]:
        peak = before["peak"].get(name) if before else None
        yield concurrency(name, pool, after["peak"][name], peak)
        yield queue(name, after["peak"][name], peak)


def servers_in_use(name: str, pool: PoolFacts, after: CandidatePhase, switch: Switch) -> Check:
    """Check that the balancer sees the servers in the state that the intent says."""
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
    title = f"Servers of pool {name} are in use"
    return check(f"servers:{name}", title, verdict_for(reasons), numbers, few(reasons))


def returning_clients(name: str, sticky: Sticky) -> Check:
    """Check that a client that comes back with its cookie meets its server again."""
    title = f"Clients of pool {name} return to their server by cookie"
    reasons = [
        f"{count} visits of clients of {server} in pool {name} went to another server"
        for server, count in sorted(sticky["moved"].items())
    ]
    if sticky["lost"]:
        reasons.append(f"{sticky['lost']} returning requests to pool {name} were not answered")
    numbers = {"clients": sticky["clients"], "visits": sticky["visits"]}
    if not sticky["clients"]:
        return check(f"sticky:{name}", title, FAIL, numbers, ["no answer set the cookie"])
    return check(f"sticky:{name}", title, verdict_for(reasons), numbers, few(reasons))


def concurrency(name: str, pool: PoolFacts, peak: Peak, before: Peak | None) -> Check:
    """Check that servers get concurrent requests together, within the limits of the intent."""
    sent, reached = peak["asked"], peak["reached"]
    places = sent if pool["places"] is None else min(sent, pool["places"])
    reasons = []
    was = before["reached"] if before else sent
    if reached < min(places, was):
        reasons.append(
            f"{reached} of {sent} concurrent requests to pool {name} reached a server,"
            f" wanted {places}"
        )
    if before and reached < min(sent, before["reached"]) * _LEAST_ROOM:
        reasons.append(
            f"{reached} of {sent} concurrent requests to pool {name} reach a server,"
            f" {before['reached']} did before"
        )
    title = f"Pool {name} serves {sent} concurrent requests"
    numbers = {"asked": sent, "reached": reached, "before": before and before["reached"]}
    return check(f"room:{name}", title, verdict_for(reasons), numbers, reasons)


def queue(name: str, peak: Peak, before: Peak | None) -> Check:
    """Check that requests which wait in the queue are answered in time."""
    sent = peak["asked"]
    lost = sent - peak["answered"]
    lost_before = before["asked"] - before["answered"] if before else 0
    errors = ", ".join(f"{n} x {error}" for error, n in sorted(peak["errors"].items()))
    text = f"{lost} of {sent} concurrent requests to pool {name} are lost ({errors})"
    reasons = [text] if lost > lost_before else []
    as_before = [f"as before: {text}"] if lost and not reasons else []
    numbers = {
        "asked": sent,
        "waited": sent - peak["reached"],
        "lost": lost,
        "lost_before": lost_before if before else None,
        "longest_milliseconds": peak["milliseconds"],
    }
    title = f"Queued requests to pool {name} are answered"
    return check(f"queue:{name}", title, verdict_for(reasons), numbers, [*reasons, *as_before])
