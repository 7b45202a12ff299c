"""The forecast and the measured effect of a change, side by side, by group of equal hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from evenkeel.report.bars import EffectRow, effect_rows
from evenkeel.report.reading import Reading

Object = Mapping[str, Any]

# Smaller moves, in percentage points, are printed as ±0.0.
LEAST_POINTS = 0.05


class PoolEffect(TypedDict):
    """What a change does to one pool."""

    name: str
    change: str
    algorithm: str
    why: str
    rows: list[EffectRow]
    more: int
    moves: bool
    clients: str


class GroupEffect(TypedDict):
    """What a change does to hosts of equal content: pools whose shares move, and the others."""

    hosts: str
    summary: list[str]
    moved: list[PoolEffect]
    still: list[PoolEffect]


def effects(reading: Reading) -> list[GroupEffect]:
    """Give an entry for each group of hosts with the same effect."""
    groups = list(reading.forecast.get("groups") or [])
    if not groups:
        groups = [
            {"hosts": bundle.get("hosts") or [], "forecast": {}} for bundle in reading.bundles
        ]
    return [_group(group, reading.bundles) for group in groups]


def traffic(reading: Reading) -> str:
    """Give the traffic that the rehearsal sent, or "" where none is on record."""
    sent = (reading.bundles[0].get("traffic") if reading.bundles else None) or {}
    if not sent:
        return ""
    if not sent.get("sha256"):
        return "the default traffic: the inventory has no profile"
    return f"the traffic profile {str(sent['sha256'])[:16]}, clients: {sent['clients']}"


def _group(group: Object, bundles: list[Any]) -> GroupEffect:
    hosts = group.get("hosts") or []
    # Hosts of one group share a bundle.
    shared = [one for one in bundles if {*hosts} & {*(one.get("hosts") or [])}]
    measured = (shared[0].get("effect") if shared else None) or {}
    forecast = group.get("forecast") or {}
    pools = forecast.get("pools") or {}
    names = sorted({*pools, *measured})
    shown = [_pool(name, pools.get(name) or {}, measured.get(name) or {}) for name in names]
    return {
        "hosts": ", ".join(hosts),
        "summary": [str(line) for line in forecast.get("summary") or []],
        "moved": [pool for pool in shown if pool["moves"]],
        "still": [pool for pool in shown if not pool["moves"]],
    }


def _pool(name: str, forecast: Object, measured: Object) -> PoolEffect:
    rows, more = effect_rows(forecast.get("servers") or {}, measured.get("servers") or {})
    clients = measured.get("moved_clients") or {}
    moves = (
        forecast.get("change") not in ("same", None)
        or bool(clients.get("moved"))
        or any(
            abs(move["points"]) >= LEAST_POINTS
            for row in rows
            for move in (row["forecast"], row["measured"])
            if move
        )
    )
    algorithms = [str(kind) for kind in forecast.get("algorithm") or [] if kind]
    return {
        "name": name,
        "change": str(forecast.get("change") or ""),
        "algorithm": " → ".join(dict.fromkeys(algorithms)).replace("_", " "),
        "why": str(forecast.get("why") or ""),
        "rows": rows,
        "more": more,
        "moves": moves,
        "clients": f"{clients['moved']} of {clients['clients']} clients"
        f" ({clients['percent']:.1f} %) are answered by another server"
        if clients
        else "",
    }
