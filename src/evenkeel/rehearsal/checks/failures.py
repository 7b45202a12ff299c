"""What failing servers did to clients, and whether this change is to blame: pure functions.

A harm has a code, so that what the candidate does can be compared with what the configuration
before it does under the same failure. New harm fails; old harm is told and passes: a change is not
to blame for what was so before. Where there is nothing to compare with, a pool is held to what its
own checks promise.

Standard library only: it runs in the staging container too, to see what is worth a second look.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenkeel.rehearsal.plan.concurrent_shares import likely
from evenkeel.rehearsal.protocol.check import Check, check, names, verdict_for
from evenkeel.rehearsal.protocol.measured_types import (
    ClientCounts,
    FailureRun,
    PoolFailures,
    Tallies,
)
from evenkeel.rehearsal.protocol.world_types import PoolFacts, Waits, World

# Of requests: what breaks off when a server goes away in the middle of an answer is its doing.
_LOST_PERCENT = 5.0
_LOST_AT_LEAST = 2
# More than twice as many as before, and these, is no luck.
_TWICE = 2
# After the check has noticed there is no excuse but chance.
_BUDGET_PERCENT = 1.0
# So many requests are expected at a server before its luck is judged: 1 in 100,000 gets none.
_SURE_OF_TRAFFIC = 12
_PILE = 3.0
# Nobody waits longer in a rehearsal for a check to notice.
_NOTICED_SECONDS = 16.0
_SLOW = "slow"
# How long to wait where nobody says how often servers are checked.
USUAL_WAITS: Waits = {"noticed_seconds": 8.0, "hang_seconds": 14.0, "back_seconds": 6.0}
_SAID = {
    "refuse": "refuses connections",
    "errors": "answers 500",
    "hang": "does not answer",
}


def harms(pool: PoolFacts, facts: PoolFailures) -> dict[str, str]:
    """Give {code: sentence} for what clients of a pool suffered while its servers failed."""
    found: dict[str, str] = {}
    refused, lost = facts.get("refused"), _lost(facts)
    if refused and lost > max(_LOST_AT_LEAST, refused["sent"] * _LOST_PERCENT / 100):
        victims = names(facts["victims"])
        found["refused"] = (
            f"{lost} of {refused['sent']} requests are lost when {victims} refuses connections,"
            " though other servers are well"
        )
    found |= _unnoticed(facts)
    rest = facts.get("noticed_by_clients")
    # Who hangs is noticed last of all: until then a part of the requests hangs with it.
    hung = rest["hung"] if rest and facts.get("hanging") else 0
    if rest and (failed := _failed(rest) - hung) > _budget(rest):
        found["errors"] = (
            f"{failed} of {rest['sent']} requests still fail ({_errors(rest)}) when the checks"
            f" have had their time with {names(facts['victims'])}"
        )
    elif rest:
        found |= _spread(pool, facts, rest)
    found |= _down(facts)
    found |= _back(facts)
    slow = facts.get("slow")
    if slow and slow["lost"]:
        found[_SLOW] = f"{slow['lost']} of {slow['sent']} slow requests fail ({_errors(slow)})"
    return found


def _unnoticed(facts: PoolFailures) -> dict[str, str]:
    by_mode: dict[str, list[str]] = {}
    for server, noticed in facts["noticed"].items():
        if not noticed:
            by_mode.setdefault(facts.get("modes", {}).get(server, ""), []).append(server)
    return {
        f"unnoticed:{mode}": f"the balancer keeps sending requests to {names(servers)}, which"
        f" {_SAID.get(mode, 'fails')}"
        for mode, servers in sorted(by_mode.items())
    }


def _lost(facts: PoolFailures) -> int:
    """Give how many requests were lost while servers refused connections."""
    refused = facts.get("refused")
    return refused["lost"] + refused["hung"] if refused else 0


def _failed(counts: ClientCounts) -> int:
    return counts["lost"] + counts["wrong"] + counts["hung"]


def _budget(counts: ClientCounts) -> float:
    return max(1.0, counts["sent"] * _BUDGET_PERCENT / 100)


def _errors(counts: ClientCounts) -> str:
    errors = dict(counts["errors"])
    if counts["hung"]:
        errors["no answer in time"] = counts["hung"]
    return ", ".join(f"{number} x {error}" for error, number in sorted(errors.items()))


def _spread(pool: PoolFacts, facts: PoolFailures, rest: ClientCounts) -> dict[str, str]:
    """Those that are left share what there is, by their weights; luck is left a wide berth."""
    if pool["rule"] == "none":
        return {}
    weights = {server: pool["weights"][server] for server in facts["rest"]}
    found = {}
    for server in weights:
        least, expected = (
            rest["answered"] * likely(pool, weights, server, most=most) for most in (False, True)
        )
        got = rest["servers"].get(pool["endpoints"][server], 0)
        if least >= _SURE_OF_TRAFFIC and not got:
            found["idle"] = f"{server} gets none of the requests of {names(facts['victims'])}"
        elif expected >= _SURE_OF_TRAFFIC and got > expected * _PILE:
            found["pile"] = (
                f"{server} gets {got} of {rest['answered']} requests when"
                f" {names(facts['victims'])} fails, by its weight about {expected:.0f}"
            )
    return found


def _down(facts: PoolFailures) -> dict[str, str]:
    down = facts.get("down")
    if not down or not all(facts["noticed"].values()):
        return {}
    if facts["backups"]:
        if down["answered"]:
            return {}
        backups = names(facts["backups"])
        return {"backup": f"no request is answered by {backups} when all other servers are down"}
    if down["late"] * 2 > down["sent"]:
        return {
            "late": f"{down['late']} of {down['sent']} requests wait for more than 2 s when all"
            " servers are down, wanted an error at once"
        }
    return {}


def _back(facts: PoolFailures) -> dict[str, str]:
    back, found = facts.get("back"), dict[str, str]()
    if not back:
        return found
    if back["away"]:
        found["away"] = f"{names(back['away'])} are well again and still get no requests"
    if (failed := _failed(back)) > _budget(back):
        found["after"] = (
            f"{failed} of {back['sent']} requests fail ({_errors(back)}) when all servers are well"
            " again"
        )
    return found


def suspicious(world: World, ran: FailureRun) -> dict[str, list[str]]:
    """Give the pools of a run that are worth a second look, each with its codes.

    A pool that the change leaves as it is has whatever it had: nobody looks twice.
    """
    same = set(world["unchanged"])
    found = {
        name: list(harms(world["pools"][name], facts))
        for name, facts in ran["pools"].items()
        if name not in same
    }
    return {name: codes for name, codes in found.items() if codes}


def worse(world: World, ran: FailureRun, base: FailureRun | None) -> set[str]:
    """Give the pools that suffered something in `ran` that they did not in `base`."""
    before = base["pools"] if base else {}
    return {
        name
        for name, codes in suspicious(world, ran).items()
        if set(codes) - (_before(world["pools"][name], before[name]) if name in before else set())
    }


def _before(pool: PoolFacts, facts: PoolFailures) -> set[str]:
    """Give the codes of what was so before; the weights of then are not known."""
    return set(harms({**pool, "rule": "none"}, facts))


def as_before(world: World, classes: Tallies) -> World:
    """Give the world with, in each pool, the servers that answered its requests before the change.

    What was before has servers and names of its own; an endpoint is a server's name here.
    """
    pools: dict[str, PoolFacts] = {}
    for name, pool in world["pools"].items():
        seen = {
            endpoint
            for request_class in world["classes"]
            if request_class["pool"] == name
            for endpoint in (
                classes[request_class["name"]]["servers"]
                if request_class["name"] in classes
                else ()
            )
        }
        if seen:
            pools[name] = {
                **pool,
                # The change says nothing of how often the base checked.
                **USUAL_WAITS,
                "endpoints": {endpoint: endpoint for endpoint in sorted(seen)},
                "weights": dict.fromkeys(sorted(seen), 1.0),
                "expected_up": sorted(seen),
                "backups": [],
            }
    return {**world, "pools": pools}


def failing_check(
    name: str,
    world: World,
    ran: FailureRun,
    base: FailureRun | None,
    again: FailureRun | None,
) -> Check:
    """Judge one pool: what its clients met while servers failed (`ran`), compared with `base`.

    `base` is what they met before the change, `again` the candidate's second run; both are there
    only where the first run was suspicious, and without this pool where nothing could be compared.
    """
    facts = ran["pools"][name]
    new, told, how = _compared(name, world, ran, base, again)
    for codes in (new, told):
        codes.pop(_SLOW, None)
    refused, noticed = facts.get("refused"), facts.get("noticed_by_clients")
    down, back = facts.get("down"), facts.get("back")
    acts = (refused, facts.get("noticing"), noticed, down, back)
    numbers = {
        "failed": {server: facts.get("modes", {}).get(server) for server in facts["victims"]},
        "servers": len(facts["noticed"]),
        "noticed": sum(facts["noticed"].values()),
        "sent": sum(counts["sent"] for counts in acts if counts),
        "lost_at_first": refused["lost"] if refused else None,
        "failed_once_noticed": _failed(noticed) if noticed else 0,
        "late_when_down": down["late"] if down else None,
        "away_afterwards": len(back["away"]) if back else 0,
        **how,
    }
    title = f"Pool {name} stands the failure of its servers"
    return _line(f"failing:{name}", title, numbers, new, told)


def slow_check(
    name: str,
    world: World,
    ran: FailureRun,
    base: FailureRun | None,
    again: FailureRun | None,
) -> Check:
    """Judge one pool's slow requests: what was answered before is answered still."""
    slow = ran["pools"][name].get("slow")
    new, told, how = _compared(name, world, ran, base, again)
    new, told = ({c: text for c, text in codes.items() if c == _SLOW} for codes in (new, told))
    numbers = {
        "seconds": world["slow_seconds"],
        "sent": slow["sent"] if slow else 0,
        "answered": slow["answered"] if slow else 0,
        **how,
    }
    title = f"Slow requests to pool {name} are answered"
    return _line(f"slow:{name}", title, numbers, new, told)


def _line(
    code: str,
    title: str,
    numbers: Mapping[str, object],
    new: dict[str, str],
    told: dict[str, str],
) -> Check:
    reasons = list(new.values())
    return check(code, title, verdict_for(reasons), numbers, [*reasons, *told.values()])


def _compared(
    name: str,
    world: World,
    ran: FailureRun,
    base: FailureRun | None,
    again: FailureRun | None,
) -> tuple[dict[str, str], dict[str, str], dict[str, bool]]:
    """Give the harms that are new, those that are told, and how they were found out."""
    pool = world["pools"][name]
    found = harms(pool, ran["pools"][name])
    twice = again["pools"].get(name) if again else None
    if twice is not None:
        found = {code: text for code, text in harms(pool, twice).items() if code in found}
    before = base["pools"].get(name) if base else None
    same = name in world["unchanged"]
    if same:
        old = set(found)
    elif before is None:
        old = {code for code in found if not _promised(pool, code)}
    else:
        old = _before(pool, before)
        if _lost(twice or ran["pools"][name]) <= _TWICE * _lost(before) + _LOST_AT_LEAST:
            # Of some thirty requests, 4 where 2 were lost before are no other behaviour.
            old.add("refused")
    as_it_was = "as before" if same or before is not None else "as it is set up"
    new = {code: text for code, text in found.items() if code not in old}
    told = {code: f"{as_it_was}: {text}" for code, text in found.items() if code in old}
    return new, told, {"compared": before is not None, "repeated": twice is not None}


def _promised(pool: PoolFacts, code: str) -> bool:
    """Whether a pool's own checks promise that this harm does not happen."""
    checked_by = pool["check"]
    if checked_by not in ("http", "tcp") or code in ("refused", _SLOW):
        return False
    if pool["hang_seconds"] > _NOTICED_SECONDS:
        return code not in ("errors", "away") and not code.startswith("unnoticed:")
    return checked_by == "http" or code not in ("unnoticed:errors", "unnoticed:hang", "errors")
