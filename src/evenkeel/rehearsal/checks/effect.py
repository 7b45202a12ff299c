"""The measured effect of a change: each server's share of its pool before and after.

Shares are counted at the clients: which server answered the requests that are meant for a pool. So
the base is measured in the same way, whatever its pools are called.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evenkeel.intent.guardrails import among_those_that_stay as among_those_that_stay
from evenkeel.rehearsal.checks.affinity import moved
from evenkeel.rehearsal.plan import concurrent_shares
from evenkeel.rehearsal.plan.request_classes import class_names
from evenkeel.rehearsal.protocol.effect_types import (
    Effect,
    FairRow,
    MovedClients,
    PoolEffect,
    ShareRow,
)
from evenkeel.rehearsal.protocol.measured_types import Measured, Met, MetTwice, Phase
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

    def shares(self) -> dict[str, float]:
        """Give each server's share of all answers; {} without an answer."""
        answers = {**self.servers, **self.elsewhere}
        total = sum(answers.values())
        return {name: round(n / total, 5) for name, n in answers.items()} if total else {}


def counts(world: World, phase: Phase, pool: str) -> Counts:
    """Count which servers answered the requests for `pool` in one phase.

    Servers that share an endpoint count as the first of them.
    """
    tallies = phase["classes"]
    names = [name for name in class_names(world, pool) if name in tallies]
    return _counts(world["pools"][pool], [tallies[name]["servers"] for name in names])


def at_one_time(world: World, phase: Phase, pool: str) -> Counts | None:
    """Count which servers answered concurrent requests for `pool`; None for too few answers."""
    concurrent = concurrent_shares.counted_in(phase, pool)
    state = concurrent_shares.state(world["pools"][pool], concurrent)
    if concurrent is None or state != concurrent_shares.COUNTED:
        return None
    return _counts(world["pools"][pool], [concurrent["servers"]])


def _counts(pool: PoolFacts, answered: Iterable[Mapping[str, int]]) -> Counts:
    names: dict[str, str] = {}
    for server, endpoint in sorted(pool["endpoints"].items()):
        names.setdefault(endpoint, server)
    total = Counts(dict.fromkeys(pool["endpoints"], 0))
    for servers in answered:
        for endpoint, number in servers.items():
            if endpoint in names:
                total.servers[names[endpoint]] += number
            else:
                total.elsewhere[endpoint] += number
    return total


def intended(pool: PoolFacts) -> dict[str, float]:
    """Give each server's intended share; empty when the algorithm intends none."""
    total = math.fsum(pool["weights"].values())
    if pool["rule"] == "none" or not total:
        return {}
    return {server: weight / total for server, weight in pool["weights"].items()}


def effect(world: World, measured: Measured) -> Effect:
    """Give the effect on each pool.

    A server that only the base has is named by its endpoint; its share after is None.
    """
    return {name: _effect_on(world, measured, name) for name in sorted(world["pools"])}


def _effect_on(world: World, measured: Measured, name: str) -> PoolEffect:
    pool = world["pools"][name]
    wanted = intended(pool)
    phases: list[Phase | None] = [measured["before"], measured["after"]]
    counted = [phase and at_one_time(world, phase, name) for phase in phases]
    if any(phase and not total for phase, total in zip(phases, counted, strict=True)):
        # Both must be counted in the same way.
        counted = [phase and counts(world, phase, name) for phase in phases]
    before, after = (total.shares() if total else {} for total in counted)
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
    on_pool: PoolEffect = {
        "servers": servers,
        "largest_shift_points": round(max(points), 2) if points else None,
    }
    was, now = measured["before"], measured["after"]
    names = class_names(world, name)
    met_before: list[MetTwice] = []
    met_after: list[Met] = []
    if was and now:
        met_before += [met for met in was["visitors"].values() if met["class_name"] in names]
        met_after += [met for met in now["visitors"].values() if met["class_name"] in names]
    if met_before and met_after and (clients := moved(pool, met_before[0], met_after[0])):
        on_pool["moved_clients"] = clients
    return on_pool


def by_weight(on_pool: PoolEffect) -> PoolEffect:
    """Give the effect with intended shares in place of measured ones.

    A row whose printed share differs for that says so.
    """
    servers: dict[str, ShareRow] = {}
    for name, row in on_pool["servers"].items():
        servers[name] = row
        if row["after"] is not None:
            differs = _percent(row["after"]) != _percent(row["intended"])
            servers[name] = {**row, "after": row["intended"], "by_weight": differs}
    return {**on_pool, "servers": servers}


def against_fair(pool: PoolFacts, on_pool: PoolEffect) -> list[FairRow]:
    """Compare each server that takes traffic with its fair share: most above it, then most below.

    A draining, inactive or backup server is compared only when it gets requests. So is every
    server of an algorithm that intends no shares.
    """
    rows: list[FairRow] = []
    for server, row in on_pool["servers"].items():
        fair = pool["fair"].get(server)
        if fair is None or row["after"] is None:
            continue
        takes_traffic = pool["weights"].get(server, 0.0) > 0
        if not takes_traffic and not row["after"]:
            continue
        rows.append({**row, "server": server, "fair": fair, "ratio": round(row["after"] / fair, 3)})
    return sorted(rows, key=lambda row: (row["ratio"] <= 1, -abs(row["ratio"] - 1), row["server"]))


def move(row: ShareRow) -> str:
    """Give "33.3 % → 98.0 %"."""
    basis = " by its weight" if row.get("by_weight") else ""
    return f"{_percent(row['before'])} → {_percent(row['after'])}{basis}"


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{share * 100:.1f} %"


def lines(effects: Effect) -> list[str]:
    """Give a line for each pool: its servers' shares before → after, the largest move first."""
    printed = []
    for pool, on_pool in sorted(effects.items()):
        rows = sorted(
            on_pool["servers"].items(),
            key=lambda item: (-abs((item[1]["after"] or 0) - (item[1]["before"] or 0)), item[0]),
        )
        shown = [f"{server} {move(row)}" for server, row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            shown.append(f"and {len(rows) - _SHOWN} more servers")
        if clients := on_pool.get("moved_clients"):
            shown.append(in_words(clients))
        printed.append(f"pool {pool}: {', '.join(shown)}")
    return printed


def in_words(clients: MovedClients) -> str:
    """Give "31 of 120 clients (25.8 %) are answered by another server"."""
    return (
        f"{clients['moved']} of {clients['clients']} clients ({clients['percent']:.1f} %)"
        " are answered by another server"
    )
