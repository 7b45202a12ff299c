"""The checks of one pool's shares: pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evenkeel.judge.fixed import diverse_share, exact_share
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, PASS
from evenkeel.rehearsal.checks import effect
from evenkeel.rehearsal.plan import concurrent_shares
from evenkeel.rehearsal.plan.waivers import is_declared
from evenkeel.rehearsal.protocol.check import Check, check, few, names, verdict_for
from evenkeel.rehearsal.protocol.effect_types import PoolEffect
from evenkeel.rehearsal.protocol.measured_types import Concurrent, Measured
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

# Poisson: of 20 expected requests none arrives with e^-20.
_SURE_OF_TRAFFIC = 20
_EXACT = ("exact", "exact, at one time")
# Weights show with any load.
_ANY_LOAD = ""


@dataclass(frozen=True)
class _Counted:
    """What was counted for a pool, with few requests at a time and with many.

    `counts` are those with few. `state` is that of `concurrent`, or "" where weights show with any
    load. `together` are the concurrent requests, None where they do not show shares. `alike` tells
    whether shares before and after were counted in the same way.
    """

    counts: effect.Counts
    state: str
    concurrent: Concurrent | None
    together: effect.Counts | None
    alike: bool


def share_checks(
    name: str, world: World, measured: Measured, counts: effect.Counts, on_pool: PoolEffect
) -> Iterator[Check]:
    """Give the checks of the shares of pool `name`; `counts` are those with few requests."""
    pool = world["pools"][name]
    counted = _counted(name, world, measured, counts)
    share = shares_as_intended(name, pool, counted, on_pool)
    yield share
    yield no_idle_server(name, pool, counts)
    # One request more or less must not decide at a bound.
    exact = share["verdict"] == PASS and share["numbers"]["rule"] in _EXACT
    intended = effect.by_weight(on_pool)
    seen = [intended if exact else on_pool]
    if counted.state == concurrent_shares.IMPOSSIBLE:
        # More load would spread by weight.
        seen.append(intended)
    yield near_fair_shares(name, pool, seen)
    yield no_jump(name, pool, intended if exact and counted.alike else on_pool)


def _counted(name: str, world: World, measured: Measured, counts: effect.Counts) -> _Counted:
    pool, before, after = world["pools"][name], measured["before"], measured["after"]
    if not after or not concurrent_shares.shows_under_load_only(pool):
        return _Counted(counts, _ANY_LOAD, None, None, alike=True)
    concurrent = concurrent_shares.counted_in(after, name)
    state = concurrent_shares.state(pool, concurrent)
    if world["by_hand"] and not concurrent:
        # A handwritten file may route a pool's requests elsewhere.
        state = concurrent_shares.IMPOSSIBLE
    alike = not before or effect.at_one_time(world, before, name) is not None
    return _Counted(counts, state, concurrent, effect.at_one_time(world, after, name), alike)


def shares_as_intended(name: str, pool: PoolFacts, counted: _Counted, on_pool: PoolEffect) -> Check:
    """Compare shares with weights: exactly for round robin, within the tolerance otherwise."""
    title, counts = f"Shares of pool {name} are as intended", counted.counts
    numbers: dict[str, object] = {"requests": counts.total, "algorithm": pool["algorithm"]}
    elsewhere = counts.elsewhere + (counted.together or effect.Counts({})).elsewhere
    reasons = []
    if elsewhere:
        where = names(sorted(elsewhere))
        reasons.append(f"{elsewhere.total()} requests for pool {name} were answered by {where}")
    if pool["rule"] == "none":
        numbers["rule"] = "none: this algorithm intends no share"
        return check(f"share:{name}", title, verdict_for(reasons), numbers, reasons)
    if counted.state == concurrent_shares.IMPOSSIBLE:
        numbers["rule"] = "none: too few concurrent requests are possible to show weights"
        return check(f"share:{name}", title, verdict_for(reasons), numbers, reasons)
    if counted.state != _ANY_LOAD:
        concurrent: Concurrent = counted.concurrent or {"asked": 0, "reached": 0, "servers": {}}
        numbers |= {"rule": _EXACT[1], "at_one_time": concurrent["reached"]}
        if counted.together:
            servers = counted.together.servers
            result = exact_share(servers, pool["weights"], concurrent_shares.SLACK, pool=name)
        else:
            own = concurrent_shares.answered(pool, concurrent)
            reason = (
                f"of {concurrent['asked']} concurrent requests to pool {name},"
                f" {concurrent['reached']} reached a server together and {own} were answered by its"
                f" own servers, wanted all and at least {concurrent_shares.needed(pool)}"
            )
            result = {"verdict": INCONCLUSIVE, "reasons": [reason]}
    elif pool["rule"] == "exact":
        numbers["rule"] = _EXACT[0]
        result = exact_share(counts.servers, pool["weights"], pool=name)
    else:
        tolerance = pool["guards"]["share_tolerance"]
        numbers |= {"rule": pool["rule"], "tolerance": tolerance}
        result = diverse_share(counts.servers, pool["weights"], tolerance, pool=name)
    for reason in result["reasons"]:
        # The judge's reasons begin with "server NAME ".
        words = reason.split(" ", 2)
        row = on_pool["servers"].get(words[1]) if words[0] == "server" else None
        reasons.append(f"{reason} ({effect.move(row)})" if row else reason)
    verdict = FAIL if elsewhere else result["verdict"]
    return check(f"share:{name}", title, verdict, numbers, reasons)


def no_idle_server(name: str, pool: PoolFacts, counts: effect.Counts) -> Check:
    """Check that every server gets requests that has a share large enough to expect some."""
    intended = effect.intended(pool)
    least = 2 if pool["rule"] == "exact" else _SURE_OF_TRAFFIC
    sure = [server for server, share in intended.items() if share * counts.total >= least]
    idle = [server for server in sure if not counts.servers.get(server)]
    reasons = [
        f"server {server} of pool {name} got no request, intended {intended[server] * 100:.1f} %"
        for server in idle
    ]
    numbers = {"without_traffic": len(idle), "judged": len(sure)}
    title = f"Every server of pool {name} gets requests"
    return check(f"idle:{name}", title, verdict_for(reasons), numbers, few(reasons))


def near_fair_shares(name: str, pool: PoolFacts, seen: Sequence[PoolEffect]) -> Check:
    """Check that no share is far from the fair one: a wrong weight is intended too.

    Every effect in `seen` has to pass.
    """
    guards, reasons = pool["guards"], []
    rows = [row for on_pool in seen for row in effect.against_fair(pool, on_pool)]
    for row in rows:
        ratio, fair = row["ratio"], row["fair"]
        if is_declared(pool, row["server"], row["before"], row["after"]):
            continue
        if ratio > guards["largest_fair_ratio"] or ratio < guards["least_fair_ratio"]:
            bound = (
                f"at most {guards['largest_fair_ratio']:g}"
                if ratio > 1
                else f"at least {guards['least_fair_ratio']:g}"
            )
            reasons.append(
                f"server {row['server']} of pool {name}: {effect.move(row)}, {ratio:.3g} times"
                f" its fair share of {fair * 100:.1f} %, wanted {bound} times"
            )
    numbers = {
        "largest_over_fair": max((row["ratio"] for row in rows), default=None),
        "least_over_fair": min((row["ratio"] for row in rows), default=None),
    }
    title = f"Shares of pool {name} stay near the fair ones"
    return check(f"spread:{name}", title, verdict_for(reasons), numbers, few(reasons))


def no_jump(name: str, pool: PoolFacts, on_pool: PoolEffect) -> Check:
    """Check that shares do not jump among the servers that stay.

    A server that joins or leaves is meant to move everybody's share.
    """
    limit = pool["guards"]["largest_shift_points"]
    title = f"Shares of pool {name} do not jump"
    stay = effect.among_those_that_stay(on_pool)
    if not stay:
        nothing = {"largest_shift_points": None, "compared": 0}
        return check(f"shift:{name}", title, PASS, nothing, [])
    reasons = []
    for stayer in stay:
        server, points = stayer["server"], stayer["points"]
        row = on_pool["servers"][server]
        declared = is_declared(pool, server, row["before"], row["after"], points)
        if abs(points) > limit and not declared:
            reasons.append(
                f"server {server} of pool {name}: {effect.move(row)}, {points:+.1f} points"
                f" among the servers that stay, wanted at most {limit:g}"
            )
    numbers: dict[str, object] = {
        "largest_shift_points": max(abs(stayer["points"]) for stayer in stay),
        "compared": len(stay),
    }
    if pool["declared_shifts"]:
        numbers["declared"] = sorted(pool["declared_shifts"])
    return check(f"shift:{name}", title, verdict_for(reasons), numbers, few(reasons))
