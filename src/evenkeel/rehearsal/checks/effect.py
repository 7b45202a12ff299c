"""The measured effect of a change: each server's share of its pool before and after.

A share is counted where it matters, at the clients: which server answered the requests that are
meant for a pool. So what was live before is measured the same way, whatever its pools are called.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evenkeel.intent.guardrails import among_those_that_stay as among_those_that_stay
from evenkeel.rehearsal.checks.affinity import moved
from evenkeel.rehearsal.plan import concurrent_shares
from evenkeel.rehearsal.protocol.effect_types import (
    Effect,
    FairRow,
    MovedClients,
    PoolEffect,
    ShareRow,
)
from evenkeel.rehearsal.protocol.measured_types import Measured, Phase
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

_SHOWN = 8


@dataclass
class Counts:
    """Answers to the requests that are meant for one pool."""

    servers: dict[str, int]
    elsewhere: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Requests that servers of the pool answered."""
        return sum(self.servers.values())


def counts(world: World, phase: Phase, pool: str) -> Counts:
    """Count who answered the requests meant for `pool` in one phase.

    Two servers at one endpoint cannot be told apart: the first has the answers.
    """
    mine = (
        request_class["name"] for request_class in world["classes"] if request_class["pool"] == pool
    )
    return _counts(
        world["pools"][pool],
        [phase["classes"][name]["servers"] for name in mine if name in phase["classes"]],
    )


def at_one_time(world: World, phase: Phase, pool: str) -> Counts | None:
    """Count the requests for `pool` that were under way together; None: too few to tell shares."""
    found = concurrent_shares.found_in(phase, pool)
    state = concurrent_shares.state(world["pools"][pool], found)
    if found is None or state != concurrent_shares.COUNTED:
        return None
    return _counts(world["pools"][pool], [found["servers"]])


def _counts(pool: PoolFacts, answered: Iterable[Mapping[str, int]]) -> Counts:
    names: dict[str, str] = {}
    for server, endpoint in sorted(pool["endpoints"].items()):
        names.setdefault(endpoint, server)
    found = Counts(dict.fromkeys(pool["endpoints"], 0))
    for servers in answered:
        for endpoint, number in servers.items():
            if endpoint in names:
                found.servers[names[endpoint]] += number
            else:
                found.elsewhere[endpoint] += number
    return found


def intended(pool: PoolFacts) -> dict[str, float]:
    """Give each server's intended share; empty when the algorithm intends none."""
    total = math.fsum(pool["weights"].values())
    if pool["rule"] == "none" or not total:
        return {}
    return {server: weight / total for server, weight in pool["weights"].items()}


def effect(world: World, measured: Measured) -> Effect:
    """Give {pool: {"servers": {server: {before, after, intended}}, "largest_shift_points", …}}.

    Shares are 0 to 1, or None where nothing was measured. A server that only what was live before
    has is named by its endpoint; it has no `after`.
    `moved_clients` is {"clients", "moved", "percent"}: how many of the clients that had a server of
    their own land on another one; it is not there where clients of a pool have none.
    """
    return {name: _pool(world, measured, name) for name in sorted(world["pools"])}


def _pool(world: World, measured: Measured, name: str) -> PoolEffect:
    pool = world["pools"][name]
    wanted = intended(pool)
    before, after = _before_and_after(world, measured, name)
    servers: dict[str, ShareRow] = {
        server: {
            "before": before.get(server),
            "after": after.get(server),
            "intended": wanted.get(server),
        }
        for server in sorted({*pool["endpoints"], *before})
        if server in pool["endpoints"] or before.get(server)
    }
    points = [
        abs((row["after"] or 0.0) - (row["before"] or 0.0)) * 100
        for row in servers.values()
        if before and after
    ]
    found: PoolEffect = {
        "servers": servers,
        "largest_shift_points": round(max(points), 2) if points else None,
    }
    was, now = measured["before"], measured["after"]
    mine = {
        request_class["name"] for request_class in world["classes"] if request_class["pool"] == name
    }
    clients = moved(
        pool,
        next((one for one in was["visitors"].values() if one["class_name"] in mine), None)
        if was
        else None,
        next((one for one in now["visitors"].values() if one["class_name"] in mine), None)
        if now
        else None,
    )
    if clients:
        found["moved_clients"] = clients
    return found


def _before_and_after(
    world: World, measured: Measured, name: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Give the shares before and after, both counted in one way; {} where nothing was measured."""
    phases: list[Phase | None] = [measured["before"], measured["after"]]
    together = [phase and at_one_time(world, phase, name) for phase in phases]
    if any(phase and not found for phase, found in zip(phases, together, strict=True)):
        together = [phase and counts(world, phase, name) for phase in phases]
    before, after = (_shares(found) if found else {} for found in together)
    return before, after


def _shares(found: Counts) -> dict[str, float]:
    everything = {**found.servers, **found.elsewhere}
    total = sum(everything.values())
    if not total:
        return {}
    return {name: round(number / total, 5) for name, number in everything.items()}


def by_weight(effect_of_pool: PoolEffect) -> PoolEffect:
    """Give the effect with the intended share of each server in place of the counted one.

    Where a person would read another figure, the row says that nobody counted it.
    """
    servers = {name: _by_weight(row) for name, row in effect_of_pool["servers"].items()}
    return {**effect_of_pool, "servers": servers}


def _by_weight(row: ShareRow) -> ShareRow:
    if row["after"] is None:
        return row
    differs = _percent(row["after"]) != _percent(row["intended"])
    return {**row, "after": row["intended"], "by_weight": differs}


def against_fair(pool: PoolFacts, effect_of_pool: PoolEffect) -> list[FairRow]:
    """Compare each server that takes traffic with its fair share: most above it, then most below.

    A server that is meant to have nothing (draining, inactive, backup) is compared only when it
    gets something, and for an algorithm that intends no share every server is.
    """
    rows: list[FairRow] = []
    for server, row in effect_of_pool["servers"].items():
        fair = pool["fair"].get(server)
        if fair is None or row["after"] is None:
            continue
        meant = pool["weights"].get(server, 0.0) > 0
        if not meant and not row["after"]:
            continue
        rows.append({**row, "server": server, "fair": fair, "ratio": round(row["after"] / fair, 3)})
    return sorted(rows, key=lambda row: (row["ratio"] <= 1, -abs(row["ratio"] - 1), row["server"]))


def move(row: ShareRow) -> str:
    """Give "33.3 % → 98.0 %"."""
    whose = " by its weight" if row.get("by_weight") else ""
    return f"{_percent(row['before'])} → {_percent(row['after'])}{whose}"


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{share * 100:.1f} %"


def lines(effects: Effect) -> list[str]:
    """Give a line for each pool: its servers' shares before → after, the largest move first."""
    found = []
    for pool, one in sorted(effects.items()):
        rows = sorted(
            one["servers"].items(),
            key=lambda item: (-abs((item[1]["after"] or 0) - (item[1]["before"] or 0)), item[0]),
        )
        shown = [f"{server} {move(row)}" for server, row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            shown.append(f"and {len(rows) - _SHOWN} more servers")
        if clients := one.get("moved_clients"):
            shown.append(in_words(clients))
        found.append(f"pool {pool}: {', '.join(shown)}")
    return found


def in_words(clients: MovedClients) -> str:
    """Give "31 of 120 clients (25.8 %) are answered by another server"."""
    return (
        f"{clients['moved']} of {clients['clients']} clients ({clients['percent']:.1f} %)"
        " are answered by another server"
    )
