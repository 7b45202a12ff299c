"""Forecast the effect of a change by comparing two intents; nothing is started.

The forecast lists the pools, routes and listeners that a change touches and how each server's share
moves. A share that depends on the traffic is `unknown`, with the reason: rehearsal and canaries
measure it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from evenkeel.intent.differences import (
    ExtraChange,
    Move,
    extra_in_words,
    extra_lines,
    moved_servers,
    moves_in_words,
)
from evenkeel.intent.guardrails import Finding, intent_findings, shift_findings
from evenkeel.intent.share_forecast import Shares, Spread, shares

UNKNOWN = "unknown"
NOTHING = "Nothing changes."
Data = Mapping[str, Any]
# A number, or "unknown".
Known = float | str


class ServerForecast(TypedDict):
    """A server's shares as fractions of 1, and the shift in percentage points."""

    before: Known
    after: Known
    shift_points: Known


class PoolForecast(TypedDict):
    """One pool; `algorithm` and `server_count` are pairs: before and after."""

    change: str
    algorithm: list[str | None]
    server_count: list[int]
    basis: str
    why: str
    servers: dict[str, ServerForecast]
    moved: list[Move]
    largest_shift_points: Known


class Forecast(TypedDict):
    """The JSON data of a forecast.

    `base` is "known" or "unknown". `routes` and `listeners` map added, removed and changed to
    names; routes also have the listeners where they are reordered. `settings` are changed parts
    that affect every pool.
    """

    schema_version: int
    base: str
    pools: dict[str, PoolForecast]
    routes: dict[str, list[str]]
    listeners: dict[str, list[str]]
    settings: list[str]
    extra: list[ExtraChange]
    touched_pools: list[str]
    largest_shift_points: Known
    guardrails: list[Finding]
    summary: list[str]


def forecast(before: Data | None, after: Data, spread: Spread | None = None) -> Forecast:
    """Compare two normalised intents; `before` is None when the live release has no intent.

    `spread` is the role's knowledge of hashes (see `intent.share_forecast`).
    """
    old = {pool["name"]: pool for pool in before["pools"]} if before else {}
    new = {pool["name"]: pool for pool in after["pools"]}
    pools = {
        name: _pool(old.get(name), new.get(name), spread, known=before is not None)
        for name in sorted({*old, *new})
    }
    routes = _compare(_routes(before), _routes(after))
    routes["reordered"] = _reordered(_routes(before), _routes(after))
    listeners = _compare(_listeners(before), _listeners(after))
    parts = ("timeouts", "limits", "extra")
    settings = [name for name in parts if before and before[name] != after[name]]
    result: Forecast = {
        "schema_version": 1,
        "base": "known" if before else UNKNOWN,
        "pools": pools,
        "routes": routes,
        "listeners": listeners,
        "settings": settings,
        "extra": extra_lines(before, after),
        "touched_pools": _touched(before, after, pools, settings),
        "largest_shift_points": _largest(pool["largest_shift_points"] for pool in pools.values()),
        "guardrails": _guardrails(after, old, new, spread),
        "summary": [],
    }
    result["summary"] = _summary(result)
    return result


def _pool(
    old: Data | None, new: Data | None, spread: Spread | None, *, known: bool
) -> PoolForecast:
    """Give one pool's change and each server's share before and after."""
    was, will = (shares(pool, spread) if pool else None for pool in (old, new))
    names = sorted({server["name"] for pool in (old, new) if pool for server in pool["servers"]})
    servers = {
        name: _server(_share(was, name, known=known), _share(will, name, known=True))
        for name in names
    }
    current = will or was
    return {
        "change": _change(old, new, known=known),
        "algorithm": [pool["algorithm"]["kind"] if pool else None for pool in (old, new)],
        "server_count": [len(pool["servers"]) if pool else 0 for pool in (old, new)],
        "basis": current.basis if current else UNKNOWN,
        "why": current.why if current else "",
        "servers": servers,
        "moved": moved_servers(old, new),
        "largest_shift_points": _largest(one["shift_points"] for one in servers.values()),
    }


def _change(old: Data | None, new: Data | None, *, known: bool) -> str:
    if not known:
        return UNKNOWN
    if old is None:
        return "added"
    if new is None:
        return "removed"
    return "same" if old == new else "changed"


def _share(known_shares: Shares | None, name: str, *, known: bool) -> Known:
    if not known:
        return UNKNOWN
    if known_shares is None:
        return 0.0
    if known_shares.shares:
        return round(known_shares.shares.get(name, 0.0), 6)
    return UNKNOWN


def _server(before: Known, after: Known) -> ServerForecast:
    points: Known = UNKNOWN
    if isinstance(before, float) and isinstance(after, float):
        points = round((after - before) * 100, 2)
    return {"before": before, "after": after, "shift_points": points}


def _largest(points: Iterable[Known]) -> Known:
    """Give the largest known shift; "unknown" when none is known."""
    values = list(points)
    numbers = [abs(one) for one in values if isinstance(one, (int, float))]
    if numbers:
        return max(numbers)
    return UNKNOWN if values else 0.0


def _listeners(intent: Data | None) -> dict[str, Any]:
    return {
        one["name"]: {key: one[key] for key in one if key != "routes"}
        for one in (intent["listeners"] if intent else [])
    }


def _routes(intent: Data | None) -> dict[str, Any]:
    return {
        f"{listener['name']}/{route['name']}": route
        for listener in (intent["listeners"] if intent else [])
        for route in listener["routes"]
    }


def _compare(old: Data, new: Data) -> dict[str, list[str]]:
    return {
        "added": sorted(set(new) - set(old)),
        "removed": sorted(set(old) - set(new)),
        "changed": sorted(name for name in new if name in old and old[name] != new[name]),
    }


def _reordered(old: Data, new: Data) -> list[str]:
    """Give the listeners whose common routes have another order: the first match wins."""
    listeners = {path.split("/")[0] for path in new}
    common = [[path for path in one if path in old and path in new] for one in (old, new)]
    return sorted(
        name
        for name in listeners
        if len({tuple(p for p in paths if p.split("/")[0] == name) for paths in common}) > 1
    )


def _reached(listener: Data) -> set[str]:
    pools = {route["pool"] for route in listener["routes"]}
    return pools | ({listener["default_pool"]} if listener["default_pool"] else set())


def _touched(
    before: Data | None, after: Data, pools: Mapping[str, PoolForecast], settings: list[str]
) -> list[str]:
    """Give the pools whose traffic can change and that a listener still reaches."""
    reached = set().union(*(_reached(listener) for listener in after["listeners"]))
    if before is None or settings:
        return sorted(reached)
    touched = {name for name, pool in pools.items() if pool["change"] != "same"}
    old = {listener["name"]: listener for listener in before["listeners"]}
    for listener in after["listeners"]:
        # One route's change can move requests of all others.
        was = old.get(listener["name"])
        if was != listener:
            touched |= _reached(listener) | (_reached(was) if was else set())
    for name in set(old) - {listener["name"] for listener in after["listeners"]}:
        touched |= _reached(old[name])
    return sorted(touched & reached)


def _guardrails(
    after: Data, old: Mapping[str, Data], new: Mapping[str, Data], spread: Spread | None
) -> list[Finding]:
    found = intent_findings(after, spread)
    for name in sorted(set(old) & set(new)):
        was, will = shares(old[name], spread), shares(new[name], spread)
        if was.shares and will.shares:
            found += shift_findings(after, name, was.shares, will.shares)
    return found


def _summary(result: Forecast) -> list[str]:
    lines = []
    if result["base"] == UNKNOWN:
        lines.append("The live release has no intent: shares before this change are unknown.")
    for name, pool in result["pools"].items():
        if pool["change"] != "same":
            lines.append(f"Pool {name}: {_pool_words(pool)}")
        lines += moves_in_words(name, pool["moved"])
    for kind, changes in (("listeners", result["listeners"]), ("routes", result["routes"])):
        for change, names in changes.items():
            if names and result["base"] != UNKNOWN:
                lines.append(f"{kind.capitalize()} {change}: {', '.join(names)}")
    if result["settings"]:
        lines.append(f"Settings that affect every pool: {', '.join(result['settings'])}")
    lines += [extra_in_words(row) for row in result["extra"]]
    lines += [f"Guardrail: {finding['message']}" for finding in result["guardrails"]]
    return lines or [NOTHING]


def _pool_words(pool: PoolForecast) -> str:
    change, (old, new) = pool["change"], pool["server_count"]
    if change == "removed":
        return f"removed, with {old} servers"
    algorithm = " → ".join(dict.fromkeys(one for one in pool["algorithm"] if one))
    count = f"{old} → {new} servers" if change == "changed" and old != new else f"{new} servers"
    words = ", ".join(one for one in (change, algorithm, count) if one != UNKNOWN)
    if pool["basis"] == UNKNOWN:
        return f"{words}; its shares cannot be forecast: {pool['why']}"
    if pool["largest_shift_points"] == UNKNOWN:
        return f"{words}; {pool['why']}"
    moved: list[tuple[float, str, float, float]] = [
        (abs(float(one["shift_points"])), name, float(one["before"]), float(one["after"]))
        for name, one in pool["servers"].items()
        if one["shift_points"] != UNKNOWN
    ]
    points, name, share, later = max(moved, key=lambda row: row[0])
    return f"{words}; largest shift {points:.1f} points ({name} {share:.1%} → {later:.1%})"
