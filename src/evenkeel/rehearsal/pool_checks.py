"""The checks of one pool: pure functions over what was measured. See `checks` for their shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evenkeel.judge.fixed import diverse_share, exact_share
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS
from evenkeel.rehearsal import effect as effects
from evenkeel.rehearsal.declared import KEY, is_declared
from evenkeel.rehearsal.line import Check, Data, check, few, verdict_for
from evenkeel.rehearsal.under_way import SLACK, at_one_time, needed, shows_under_load_only

# A server that should have had so many requests and had none is not unlucky (e^-20).
_SURE_OF_TRAFFIC = 20
# Half the room that there was is no rounding error.
_LEAST_ROOM = 0.5
_NAMED = 4
_AT_ONE_TIME = "exact, at one time"
_EXACT = ("exact", _AT_ONE_TIME)


def pool_checks(name: str, world: Data, measured: Data, effect: Data) -> Iterator[Check]:
    """Give every check of the pool `name`; `effect` is its part of `effect.effect`."""
    pool = world["pools"][name]
    after = measured["after"]
    yield _in_use(name, pool, after, measured["switch"])
    counts = effects.counts(world, after, name)
    if not counts.total:
        where = ", ".join(sorted(counts.elsewhere)[:_NAMED]) or "nowhere"
        reason = f"no request that was meant for pool {name} reached it; answers came from {where}"
        yield check(f"share:{name}", f"Shares of pool {name}", NO_DATA, {}, [reason])
        return
    if pool["guards"]["judged"] == "share":
        together = effects.at_one_time(world, after, name)
        share = _share(name, pool, counts, together, effect)
        yield share
        yield _idle(name, pool, counts)
        if share["verdict"] == PASS and share["numbers"]["rule"] in _EXACT:
            # The request more or less that was counted must not decide at a bound.
            effect = effects.by_weight(effect)
        yield _guarded(name, pool, effect)
        yield _shift(name, pool, effect)
    yield from _moved(name, pool, effect)
    if name in after["sticky"]:
        yield _sticky(name, after["sticky"][name])
    if name in after["peak"]:
        before = (measured["before"] or {}).get("peak", {}).get(name)
        yield _room(name, pool, after["peak"][name], before)
        yield _queue(name, after["peak"][name], before)


def _in_use(name: str, pool: Data, after: Data, switch: Data) -> Check:
    """The balancer itself takes the servers for what the intent says; all of them are well."""
    seen = after["health"].get(name, {})
    reasons = [
        f"server {server} of pool {name} is {seen.get(server, 'not there')},"
        f" though a healthy stub server answers at {pool['endpoints'][server]}"
        for server in pool["expected_up"]
        if seen.get(server) != "active"
    ]
    settled = switch["answers"].get("settle", {}).get("unchecked", [])
    numbers = {
        "active": sum(1 for status in seen.values() if status == "active"),
        "servers": len(pool["endpoints"]),
        "not_checked_yet": len(set(settled) & set(pool["endpoints"].values())),
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


def _share(
    name: str, pool: Data, counts: effects.Counts, together: effects.Counts | None, effect: Data
) -> Check:
    """Shares against the weights: exactly for round robin, within the tolerance for the others."""
    title = f"Shares of pool {name} are the intended ones"
    numbers: dict[str, Any] = {"requests": counts.total, "algorithm": pool["algorithm"]}
    reasons = []
    if counts.elsewhere:
        strays = sum(counts.elsewhere.values())
        where = ", ".join(sorted(counts.elsewhere)[:_NAMED])
        reasons.append(f"{strays} requests meant for pool {name} were answered by {where}")
    if pool["rule"] == "none":
        numbers["rule"] = "none: this algorithm intends no share"
        return check(f"share:{name}", title, verdict_for(reasons), numbers, reasons)
    busy = shows_under_load_only(pool)
    if busy and not at_one_time(pool):
        numbers["rule"] = "none: not enough of its requests can be under way for weights to show"
        return check(f"share:{name}", title, verdict_for(reasons), numbers, reasons)
    if busy:
        numbers["at_one_time"] = together.total if together else 0
        result = _of_requests_at_one_time(name, pool, together)
    elif pool["rule"] == "exact":
        result = exact_share(counts.servers, pool["weights"], pool=name)
    else:
        tolerance = pool["guards"]["share_tolerance"]
        result = diverse_share(counts.servers, pool["weights"], tolerance, pool=name)
        numbers["tolerance"] = tolerance
    numbers["rule"] = _AT_ONE_TIME if busy else pool["rule"]
    reasons += [_with_move(reason, effect) for reason in result["reasons"]]
    verdict = FAIL if counts.elsewhere else result["verdict"]
    return check(f"share:{name}", title, verdict, numbers, reasons)


def _of_requests_at_one_time(
    name: str, pool: Data, together: effects.Counts | None
) -> dict[str, Any]:
    if together:
        return exact_share(together.servers, pool["weights"], SLACK, pool=name)
    reason = (
        f"fewer than {needed(pool)} of {at_one_time(pool)} requests to pool {name} at one time"
        " were answered: too few to tell its shares"
    )
    return {"verdict": INCONCLUSIVE, "reasons": [reason]}


def _with_move(reason: str, effect: Data) -> str:
    """Add before → after to a reason that begins with "server NAME "."""
    words = reason.split(" ", 2)
    if words[0] != "server" or words[1] not in effect["servers"]:
        return reason
    return f"{reason} ({effects.move(effect['servers'][words[1]])})"


def _idle(name: str, pool: Data, counts: effects.Counts) -> Check:
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


def _guarded(name: str, pool: Data, effect: Data) -> Check:
    """No share is far from the fair one, whatever the weights say: wrong ones are intended too."""
    guards, reasons = pool["guards"], []
    rows = effects.against_fair(pool, effect)
    if shows_under_load_only(pool) and not at_one_time(pool):
        # What nobody could count is what the weights say as soon as there is more load.
        rows += effects.against_fair(pool, effects.by_weight(effect))
    for row in rows:
        ratio, fair = row["ratio"], row["fair"]
        if is_declared(pool, row):
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


def _shift(name: str, pool: Data, effect: Data) -> Check:
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
    reasons = [
        f"server {row['server']} of pool {name}: {effects.move(row)}, {row['points']:+.1f} points"
        f" among the servers that stay, wanted at most {limit:g}"
        for row in stay
        if abs(row["points"]) > limit and not is_declared(pool, row, row["points"])
    ]
    numbers: dict[str, Any] = {
        "largest_shift_points": max(abs(row["points"]) for row in stay),
        "compared": len(stay),
    }
    if pool.get(KEY):
        numbers["declared"] = sorted(pool[KEY])
    return check(f"shift:{name}", title, verdict_for(reasons), numbers, few(reasons))


def _moved(name: str, pool: Data, effect: Data) -> Iterator[Check]:
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


def _sticky(name: str, found: Data) -> Check:
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


def _room(name: str, pool: Data, peak: Data, before: Data | None) -> Check:
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


def _queue(name: str, peak: Data, before: Data | None) -> Check:
    """Who finds all servers full waits in a queue, and gets through in time."""
    asked, answered = peak["asked"], peak.get("answered", peak["asked"])
    lost = asked - answered
    lost_before = before["asked"] - before.get("answered", before["asked"]) if before else 0
    what = ", ".join(f"{n} x {kind}" for kind, n in sorted(peak.get("errors", {}).items()))
    text = f"{lost} of {asked} requests to pool {name} at one time are lost ({what})"
    reasons = [text] if lost > lost_before else []
    told = [f"as before: {text}"] if lost and not reasons else []
    numbers = {
        "asked": asked,
        "waited": asked - peak["reached"],
        "lost": lost,
        "lost_before": lost_before if before else None,
        "longest_milliseconds": peak.get("milliseconds"),
    }
    title = f"Requests that wait for pool {name} get through"
    return check(f"queue:{name}", title, verdict_for(reasons), numbers, [*reasons, *told])
