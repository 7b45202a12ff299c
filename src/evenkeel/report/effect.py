"""The forecast and the measured effect of a change, side by side, by group of equal hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.report.reading import Reading
from evenkeel.report.shares import effect_rows

Object = Mapping[str, Any]


def effects(reading: Reading) -> list[dict[str, Any]]:
    """Give one entry for each group of hosts that the change means the same for."""
    bundles = list((reading.staging.body.get("bundles") if reading.staging else None) or [])
    groups = list(reading.forecast.get("groups") or [])
    if not groups:
        groups = [{"hosts": bundle.get("hosts") or [], "forecast": {}} for bundle in bundles]
    return [_group(group, _measured(group, bundles)) for group in groups]


def traffic(reading: Reading) -> str:
    """Say which traffic the rehearsal sent; nothing where none is on record."""
    bundles = list((reading.staging.body.get("bundles") if reading.staging else None) or [])
    told = (bundles[0].get("traffic") if bundles else None) or {}
    if not told:
        return ""
    if not told.get("sha256"):
        return "the default traffic, as no profile is in the inventory"
    return f"the traffic profile {str(told['sha256'])[:16]}, clients: {told['clients']}"


def _measured(group: Object, bundles: list[Any]) -> Object:
    """The effect that was measured for a group: that of the first bundle with a host of it."""
    hosts = set(group.get("hosts") or [])
    for bundle in bundles:
        if hosts & set(bundle.get("hosts") or []):
            return bundle.get("effect") or {}
    return {}


def _group(group: Object, measured: Object) -> dict[str, Any]:
    forecast = group.get("forecast") or {}
    pools = forecast.get("pools") or {}
    names = sorted({*pools, *measured})
    shown = [_pool(name, pools.get(name) or {}, measured.get(name) or {}) for name in names]
    return {
        "hosts": ", ".join(group.get("hosts") or []),
        "summary": [str(line) for line in forecast.get("summary") or []],
        "moved": [pool for pool in shown if pool["moves"]],
        "still": [pool for pool in shown if not pool["moves"]],
    }


def _pool(name: str, forecast: Object, measured: Object) -> dict[str, Any]:
    rows, more = effect_rows(forecast.get("servers") or {}, measured.get("servers") or {})
    clients = measured.get("moved_clients") or {}
    moves = (
        forecast.get("change") not in ("same", None)
        or bool(clients.get("moved"))
        or any(
            abs(row[side]["points"]) >= 0.05
            for row in rows
            for side in ("forecast", "measured")
            if row[side]
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
        "clients": _clients(clients),
        "was_measured": any(row["measured"] for row in rows),
    }


def _clients(found: Object) -> str:
    """Say how many clients land on another server; nothing where they have none of their own."""
    if not found:
        return ""
    return (
        f"{found['moved']} of {found['clients']} clients ({found['percent']:.1f} %)"
        " are answered by another server"
    )
