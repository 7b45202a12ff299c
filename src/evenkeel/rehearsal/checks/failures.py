"""What failing servers did to clients, and whether the change is to blame: pure functions.

Each harm has a code, so that the candidate can be compared with the base under the same failure.
New harm fails. Old harm is reported and passes: the change is not to blame for it. Without a base,
a pool is held to what its own health checks promise.
Standard library only: the container uses it to decide what to measure again.
"""

from __future__ import annotations

from evenkeel.rehearsal.plan.concurrent_shares import likely
from evenkeel.rehearsal.plan.request_classes import class_names
from evenkeel.rehearsal.protocol.check import Check, check, names, verdict_for
from evenkeel.rehearsal.protocol.measured_types import (
    ClientCounts,
    FailureRun,
    PoolFailures,
    Tallies,
)
from evenkeel.rehearsal.protocol.world_types import PoolFacts, Waits, World

# Tolerated loss: responses that a failing server cut off.
_LOST_PERCENT = 5.0
_LOST_AT_LEAST = 2
# More than this multiple of the base's loss is new.
_TWICE = 2
# Tolerated failures once the checks had their time.
_BUDGET_PERCENT = 1.0
# Poisson: of 12 expected requests none arrives once in 100,000.
_SURE_OF_TRAFFIC = 12
_PILE = 3.0
# A rehearsal waits no longer for a check to notice.
_NOTICED_SECONDS = 16.0
_SLOW = "slow"
# Used for the base, whose check intervals are unknown.
USUAL_WAITS: Waits = {"noticed_seconds": 8.0, "hang_seconds": 14.0, "back_seconds": 6.0}
_MODES = {
    "refuse": "refuses connections",
    "errors": "answers 500",
    "hang": "does not answer",
}


def harms(pool: PoolFacts, facts: PoolFailures) -> dict[str, str]:
    """Give {code: sentence} for what clients of a pool suffered while its servers failed."""
    harm: dict[str, str] = {}
    refused, lost = facts.get("refused"), _lost(facts)
    if refused and lost > max(_LOST_AT_LEAST, refused["sent"] * _LOST_PERCENT / 100):
        harm["refused"] = (
            f"{lost} of {refused['sent']} requests are lost when {names(facts['victims'])} refuses"
            " connections, though other servers are well"
        )
    unnoticed: dict[str, list[str]] = {}
    for server, noticed in facts["noticed"].items():
        if not noticed:
            mode = facts.get("modes", {}).get(server, "")
            unnoticed.setdefault(mode, []).append(server)
    for mode, servers in sorted(unnoticed.items()):
        harm[f"unnoticed:{mode}"] = (
            f"the balancer keeps sending requests to {names(servers)}, which"
            f" {_MODES.get(mode, 'fails')}"
        )
    rest = facts.get("noticed_by_clients")
    # Checks notice a hanging server last; its requests still hang.
    hung = rest["hung"] if rest and facts.get("hanging") else 0
    if rest and (failed := _failed(rest) - hung) > _budget(rest):
        harm["errors"] = (
            f"{failed} of {rest['sent']} requests still fail ({_errors(rest)}) after the checks had"
            f" time to notice {names(facts['victims'])}"
        )
    elif rest:
        harm |= _spread(pool, facts, rest)
    harm |= _when_down(facts)
    back = facts.get("back")
    if back and back["away"]:
        harm["away"] = f"{names(back['away'])} recovered and still gets no requests"
    if back and (failed := _failed(back)) > _budget(back):
        harm["after"] = (
            f"{failed} of {back['sent']} requests fail ({_errors(back)}) after all servers are well"
        )
    slow = facts.get("slow")
    if slow and slow["lost"]:
        harm[_SLOW] = f"{slow['lost']} of {slow['sent']} slow requests fail ({_errors(slow)})"
    return harm


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
    """Compare the shares of the remaining servers with their weights, with a wide margin."""
    if pool["rule"] == "none":
        return {}
    weights = {server: pool["weights"][server] for server in facts["rest"]}
    harm = {}
    for server in weights:
        least, expected = (
            rest["answered"] * likely(pool, weights, server, most=most) for most in (False, True)
        )
        count = rest["servers"].get(pool["endpoints"][server], 0)
        if least >= _SURE_OF_TRAFFIC and not count:
            harm["idle"] = f"{server} gets none of the requests of {names(facts['victims'])}"
        elif expected >= _SURE_OF_TRAFFIC and count > expected * _PILE:
            harm["pile"] = (
                f"{server} gets {count} of {rest['answered']} requests when"
                f" {names(facts['victims'])} fails, about {expected:.0f} by its weight"
            )
    return harm


def _when_down(facts: PoolFailures) -> dict[str, str]:
    down = facts.get("down")
    if not down or not all(facts["noticed"].values()):
        return {}
    if facts["backups"]:
        if down["answered"]:
            return {}
        backups = names(facts["backups"])
        return {"backup": f"{backups} answers no request when all other servers are down"}
    if down["late"] * 2 > down["sent"]:
        return {
            "late": f"{down['late']} of {down['sent']} requests wait for more than 2 s when all"
            " servers are down, wanted an error at once"
        }
    return {}


def suspicious(world: World, run: FailureRun) -> dict[str, list[str]]:
    """Give {pool: codes} of the pools of a run that have to be measured again.

    A pool that the change leaves as it is never has to.
    """
    unchanged = set(world["unchanged"])
    codes = {
        name: list(harms(world["pools"][name], facts))
        for name, facts in run["pools"].items()
        if name not in unchanged
    }
    return {name: of_pool for name, of_pool in codes.items() if of_pool}


def worse(world: World, run: FailureRun, base: FailureRun | None) -> set[str]:
    """Give the pools that suffered harm in `run` and not in `base`."""
    before = base["pools"] if base else {}
    return {
        name
        for name, codes in suspicious(world, run).items()
        if set(codes) - (_codes(world["pools"][name], before[name]) if name in before else set())
    }


def _codes(pool: PoolFacts, facts: PoolFailures) -> set[str]:
    """Give the codes of the base's harm, without shares: its weights are unknown."""
    return set(harms({**pool, "rule": "none"}, facts))


def as_before(world: World, tallies: Tallies) -> World:
    """Give the world with the servers that answered each pool's requests before the change.

    An endpoint stands for the name of a server: the base may name it otherwise.
    """
    pools: dict[str, PoolFacts] = {}
    for name, pool in world["pools"].items():
        seen = {
            endpoint
            for class_name in class_names(world, name)
            if class_name in tallies
            for endpoint in tallies[class_name]["servers"]
        }
        if seen:
            pools[name] = {
                **pool,
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
    run: FailureRun,
    base: FailureRun | None,
    again: FailureRun | None,
) -> Check:
    """Judge one pool by what its clients met in `run`, compared with `base`.

    `base` is the same before the change, `again` the candidate's second run. Both are there only
    when the first run looked bad, and hold only pools that could be compared.
    """
    facts = run["pools"][name]
    new, old, how = _compared(name, world, run, base, again)
    for codes in (new, old):
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
    title = f"Pool {name} survives the failure of its servers"
    reasons = [*new.values(), *old.values()]
    return check(f"failing:{name}", title, verdict_for([*new]), numbers, reasons)


def slow_check(
    name: str,
    world: World,
    run: FailureRun,
    base: FailureRun | None,
    again: FailureRun | None,
) -> Check:
    """Judge one pool's slow requests: those that were answered before must still be."""
    slow = run["pools"][name].get("slow")
    new, old, how = _compared(name, world, run, base, again)
    new, old = ({c: text for c, text in codes.items() if c == _SLOW} for codes in (new, old))
    numbers = {
        "seconds": world["slow_seconds"],
        "sent": slow["sent"] if slow else 0,
        "answered": slow["answered"] if slow else 0,
        **how,
    }
    title = f"Slow requests to pool {name} are answered"
    reasons = [*new.values(), *old.values()]
    return check(f"slow:{name}", title, verdict_for([*new]), numbers, reasons)


def _compared(
    name: str,
    world: World,
    run: FailureRun,
    base: FailureRun | None,
    again: FailureRun | None,
) -> tuple[dict[str, str], dict[str, str], dict[str, bool]]:
    """Give the harms that are new, those that are old, and what they were compared with."""
    pool = world["pools"][name]
    harm = harms(pool, run["pools"][name])
    second = again["pools"].get(name) if again else None
    if second is not None:
        harm = {code: text for code, text in harms(pool, second).items() if code in harm}
    before = base["pools"].get(name) if base else None
    unchanged = name in world["unchanged"]
    if unchanged:
        known = set(harm)
    elif before is None:
        known = {code for code in harm if not _promised(pool, code)}
    else:
        known = _codes(pool, before)
        if _lost(second or run["pools"][name]) <= _TWICE * _lost(before) + _LOST_AT_LEAST:
            # 4 lost after 2 of some thirty is chance.
            known.add("refused")
    prefix = "as before" if unchanged or before is not None else "as it is set up"
    new = {code: text for code, text in harm.items() if code not in known}
    old = {code: f"{prefix}: {text}" for code, text in harm.items() if code in known}
    return new, old, {"compared": before is not None, "repeated": second is not None}


def _promised(pool: PoolFacts, code: str) -> bool:
    """Whether a pool's own checks promise that this harm does not happen."""
    checked_by = pool["check"]
    if checked_by not in ("http", "tcp") or code in ("refused", _SLOW):
        return False
    if pool["hang_seconds"] > _NOTICED_SECONDS:
        return code not in ("errors", "away") and not code.startswith("unnoticed:")
    return checked_by == "http" or code not in ("unnoticed:errors", "unnoticed:hang", "errors")
