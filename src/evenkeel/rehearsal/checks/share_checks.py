"""The checks of one pool's shares: pure functions over what was measured. See `checks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evenkeel.judge.fixed import diverse_share, exact_share
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, PASS
from evenkeel.rehearsal.checks import effect as effects
from evenkeel.rehearsal.plan import concurrent_shares
from evenkeel.rehearsal.plan.waivers import is_declared
from evenkeel.rehearsal.protocol.check import Check, check, few, verdict_for
from evenkeel.rehearsal.protocol.effect_types import PoolEffect
from evenkeel.rehearsal.protocol.measured_types import Concurrent, Measured
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

# A server that should have had so many requests and had none is not unlucky (e^-20).
_SURE_OF_TRAFFIC = 20
_NAMED = 4
_EXACT = ("exact", "exact, at one time")
# Weights show with any load.
_ANY_LOAD = ""


@dataclass(frozen=True)
class _Counted:
    """What was counted for a pool: with a few requests at a time, and with many.

    `counts` are those with a few; `state` is what `under_way.state` says of `found`, or "" where
    weights show with any load; `together` are the requests under way together, None where these
    tell nothing; `alike` tells whether shares before and after were counted in the same way.
    """

    counts: effects.Counts
    state: str
    found: Concurrent | None
    together: effects.Counts | None
    alike: bool


def share_checks(
    name: str, world: World, measured: Measured, counts: effects.Counts, effect: PoolEffect
) -> Iterator[Check]:
    """Give the checks of the shares of pool `name`; `counts` are those with a few requests."""
    pool = world["pools"][name]
    counted = _counted(name, world, measured, counts)
    share = _share(name, pool, counted, effect)
    yield share
    yield _idle(name, pool, counts)
    # The request more or less that was counted must not decide at a bound.
    exact = share["verdict"] == PASS and share["numbers"]["rule"] in _EXACT
    intended = effects.by_weight(effect)
    seen = [intended if exact else effect]
    if counted.state == concurrent_shares.IMPOSSIBLE:
        # What could not be counted is what the weights say as soon as there is more load.
        seen.append(intended)
    yield _guarded(name, pool, seen)
    yield _shift(name, pool, intended if exact and counted.alike else effect)


def _counted(name: str, world: World, measured: Measured, counts: effects.Counts) -> _Counted:
    pool, before, after = world["pools"][name], measured["before"], measured["after"]
    if not after or not concurrent_shares.shows_under_load_only(pool):
        return _Counted(counts, _ANY_LOAD, None, None, alike=True)
    found = concurrent_shares.found_in(after, name)
    state = concurrent_shares.state(pool, found)
    if world["by_hand"] and not found:
        # Of a file that somebody wrote it is not known for sure which requests a pool answers.
        state = concurrent_shares.IMPOSSIBLE
    alike = not before or effects.at_one_time(world, before, name) is not None
    return _Counted(counts, state, found, effects.at_one_time(world, after, name), alike)


def _share(name: str, pool: PoolFacts, counted: _Counted, effect: PoolEffect) -> Check:
    """Shares against the weights: exactly for round robin, within the tolerance for the others."""
    title, counts = f"Shares of pool {name} are the intended ones", counted.counts
    numbers: dict[str, object] = {"requests": counts.total, "algorithm": pool["algorithm"]}
    elsewhere = counts.elsewhere + (counted.together or effects.Counts({})).elsewhere
    reasons = []
    if elsewhere:
        where = ", ".join(sorted(elsewhere)[:_NAMED])
        reasons.append(
            f"{elsewhere.total()} requests meant for pool {name} were answered by {where}"
        )
    if pool["rule"] == "none":
        numbers["rule"] = "none: this algorithm intends no share"
        return check(f"share:{name}", title, verdict_for(reasons), numbers, reasons)
    if counted.state == concurrent_shares.IMPOSSIBLE:
        numbers["rule"] = "none: not enough of its requests can be under way for weights to show"
        return check(f"share:{name}", title, verdict_for(reasons), numbers, reasons)
    if counted.state != _ANY_LOAD:
        reached = counted.found["reached"] if counted.found else 0
        numbers |= {"rule": _EXACT[1], "at_one_time": reached}
        result = _of_requests_at_one_time(name, pool, counted)
    elif pool["rule"] == "exact":
        numbers["rule"] = _EXACT[0]
        result = exact_share(counts.servers, pool["weights"], pool=name)
    else:
        tolerance = pool["guards"]["share_tolerance"]
        numbers |= {"rule": pool["rule"], "tolerance": tolerance}
        result = diverse_share(counts.servers, pool["weights"], tolerance, pool=name)
    reasons += [_with_move(reason, effect) for reason in result["reasons"]]
    verdict = FAIL if elsewhere else result["verdict"]
    return check(f"share:{name}", title, verdict, numbers, reasons)


def _of_requests_at_one_time(name: str, pool: PoolFacts, counted: _Counted) -> Mapping[str, Any]:
    if counted.together:
        weights = pool["weights"]
        return exact_share(counted.together.servers, weights, concurrent_shares.SLACK, pool=name)
    found: Concurrent = counted.found or {"asked": 0, "reached": 0, "servers": {}}
    asked, reached = found["asked"], found["reached"]
    reason = (
        f"of {asked} requests to pool {name} at one time {reached} reached a server together and"
        f" {concurrent_shares.answered(pool, found)} were answered by its own, wanted all"
        f" and at least {concurrent_shares.needed(pool)} to tell its shares"
    )
    return {"verdict": INCONCLUSIVE, "reasons": [reason]}


def _with_move(reason: str, effect: PoolEffect) -> str:
    """Add before → after to a reason that begins with "server NAME "."""
    words = reason.split(" ", 2)
    if words[0] != "server" or words[1] not in effect["servers"]:
        return reason
    return f"{reason} ({effects.move(effect['servers'][words[1]])})"


def _idle(name: str, pool: PoolFacts, counts: effects.Counts) -> Check:
    """No server that should have traffic is without any."""
    intended = effects.intended(pool)
    sure = [s for s, share in intended.items() if share * counts.total >= _SURE_OF_TRAFFIC]
    if pool["rule"] == "exact":
        sure = [s for s, share in intended.items() if share * counts.total >= 2]
    idle = [server for server in sure if not counts.servers.get(server)]
    reasons = [
        f"server {server} of pool {name} got no request, intended {intended[server] * 100:.1f} %"
        for server in idle
    ]
    numbers = {"without_traffic": len(idle), "judged": len(sure)}
    title = f"No server of pool {name} is without traffic"
    return check(f"idle:{name}", title, verdict_for(reasons), numbers, few(reasons))


def _guarded(name: str, pool: PoolFacts, seen: list[PoolEffect]) -> Check:
    """No share is far from the fair one, whatever the weights say: wrong ones are intended too.

    Each of the effects `seen` has to keep near it.
    """
    guards, reasons = pool["guards"], []
    rows = [row for effect in seen for row in effects.against_fair(pool, effect)]
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
                f"server {row['server']} of pool {name}: {effects.move(row)}, {ratio:.3g} times"
                f" its fair share of {fair * 100:.1f} %, wanted {bound} times"
            )
    numbers = {
        "largest_over_fair": max((row["ratio"] for row in rows), default=None),
        "least_over_fair": min((row["ratio"] for row in rows), default=None),
    }
    title = f"Shares of pool {name} stay near the fair ones"
    return check(f"spread:{name}", title, verdict_for(reasons), numbers, few(reasons))


def _shift(name: str, pool: PoolFacts, effect: PoolEffect) -> Check:
    """Servers that take traffic before and after keep their part of what they take together.

    A server that joins or leaves moves everybody's share, which is what it is for; so shares are
    compared among those that stay.
    """
    limit = pool["guards"]["largest_shift_points"]
    title = f"Shares of pool {name} do not jump"
    stay = effects.among_those_that_stay(effect)
    if not stay:
        nothing = {"largest_shift_points": None, "compared": 0}
        return check(f"shift:{name}", title, PASS, nothing, [])
    reasons = []
    for row in stay:
        server, points = row["server"], row["points"]
        share = effect["servers"][server]
        declared = is_declared(pool, server, share["before"], share["after"], points)
        if abs(points) > limit and not declared:
            reasons.append(
                f"server {server} of pool {name}: {effects.move(share)}, {points:+.1f} points"
                f" among the servers that stay, wanted at most {limit:g}"
            )
    numbers: dict[str, object] = {
        "largest_shift_points": max(abs(row["points"]) for row in stay),
        "compared": len(stay),
    }
    if pool["declared_shifts"]:
        numbers["declared"] = sorted(pool["declared_shifts"])
    return check(f"shift:{name}", title, verdict_for(reasons), numbers, few(reasons))
