"""The guardrails: limits that no change may break, checked on an intent and on share shifts.

`among_those_that_stay` measures shifts, of forecast shares here and of measured shares in the
rehearsal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict

from evenkeel.intent.share_forecast import UNKNOWN, Spread, fair_shares, shares, taking_traffic

# Division rounds; a shift at the limit is allowed.
_ROUNDING = 1e-9


class Finding(TypedDict):
    """A broken guardrail: its key in the intent, the place, and one sentence for people."""

    guardrail: str
    pool: str
    server: str | None
    wanted: str
    got: str
    message: str


def limit(intent: Mapping[str, Any], pool: str, name: str) -> Any:
    """Give the guardrail `name` of `pool`: its own, or the one for all pools."""
    own = intent["guardrails"]["pools"].get(pool, {}).get(name)
    return intent["guardrails"][name] if own is None else own


def intent_findings(intent: Mapping[str, Any], spread: Spread | None = None) -> list[Finding]:
    """Give the guardrails that a normalised intent breaks, whatever was live before.

    `spread` is the role's knowledge of hashes (see `shares`).
    """
    found: list[Finding] = []
    for pool in intent["pools"]:
        found += _active_servers(intent, pool)
        found += _fair(intent, pool, spread)
        found += _first_without_limit(pool)
    return found


def shift_findings(
    intent: Mapping[str, Any],
    pool: str,
    before: Mapping[str, float],
    after: Mapping[str, float],
) -> list[Finding]:
    """Give the remaining servers whose share moves further than the guardrail of `pool` allows.

    `before` and `after` map servers to their shares, as fractions of 1. Servers that come or go
    (added, removed, put into or out of traffic) are left out: their shares change on purpose.
    """
    most = float(limit(intent, pool, "largest_shift_points"))
    active = {
        one["name"]
        for part in intent["pools"]
        if part["name"] == pool
        for one in taking_traffic(part)
    }
    servers = {
        name: {
            "before": before.get(name),
            "after": after.get(name, 0.0),
            "intended": 1.0 if name in active else 0.0,
        }
        for name in sorted(active | set(before))
    }
    return [
        _finding(
            "largest_shift_points",
            pool,
            row["server"],
            f"a shift of at most {most:g} points",
            f"{abs(row['points']):.1f} points ({row['before']:.1%} → {row['after']:.1%})",
        )
        for row in among_those_that_stay({"servers": servers})
        if abs(row["points"]) > most + _ROUNDING
    ]


def among_those_that_stay(effect_of_pool: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the servers that had a share before and should have one after, largest move first.

    `effect_of_pool["servers"]` maps a server to its shares `before`, `after` and `intended`
    (fractions of 1; None where unknown, 0 intended for one out of traffic). `points` is the change
    of each server's part of their common traffic, in percentage points.
    """
    stay = {
        server: row
        for server, row in effect_of_pool["servers"].items()
        if row["before"] and row["after"] is not None and row["intended"] != 0.0
    }
    before = math.fsum(row["before"] for row in stay.values())
    after = math.fsum(row["after"] for row in stay.values())
    if not before or not after:
        return []
    rows = [
        {
            "server": server,
            **row,
            "points": round((row["after"] / after - row["before"] / before) * 100, 2),
        }
        for server, row in stay.items()
    ]
    return sorted(rows, key=lambda row: (-abs(row["points"]), row["server"]))


def _finding(guardrail: str, pool: str, server: str | None, wanted: str, got: str) -> Finding:
    where = f"pool {pool}" + (f", server {server}" if server else "")
    return {
        "guardrail": guardrail,
        "pool": pool,
        "server": server,
        "wanted": wanted,
        "got": got,
        "message": f"{where}: {got}; the guardrail {guardrail} wants {wanted}",
    }


def _active_servers(intent: Mapping[str, Any], pool: Mapping[str, Any]) -> list[Finding]:
    least = limit(intent, pool["name"], "minimum_active_servers")
    active = sum(one["state"] == "active" and not one["backup"] for one in pool["servers"])
    if active >= least:
        return []
    wanted, got = f"at least {least} active servers, backups aside", f"{active} active servers"
    return [_finding("minimum_active_servers", pool["name"], None, wanted, got)]


def _fair(
    intent: Mapping[str, Any], pool: Mapping[str, Any], spread: Spread | None
) -> list[Finding]:
    """Compare forecast shares with the fair ones."""
    forecast = shares(pool, spread)
    if forecast.basis == UNKNOWN:
        return []
    most = limit(intent, pool["name"], "largest_fair_ratio")
    least = limit(intent, pool["name"], "least_fair_ratio")
    fair = fair_shares(pool)
    found = []
    for server in taking_traffic(pool):
        name = server["name"]
        share, ratio = forecast.shares[name], forecast.shares[name] / fair[name]
        got = f"a share of {share:.1%}, {ratio:.3g} times its fair {fair[name]:.1%}"
        if ratio > most + _ROUNDING:
            wanted = f"at most {most:g} times its fair share"
            found.append(_finding("largest_fair_ratio", pool["name"], name, wanted, got))
        if ratio < least - _ROUNDING:
            wanted = f"at least {least:g} times its fair share"
            found.append(_finding("least_fair_ratio", pool["name"], name, wanted, got))
    return found


def _first_without_limit(pool: Mapping[str, Any]) -> list[Finding]:
    servers = taking_traffic(pool)
    if pool["algorithm"]["kind"] != "first" or len(servers) < 2:
        return []
    open_ended = [one["name"] for one in servers[:-1] if one["max_connections"] is None]
    if not open_ended:
        return []
    wanted = "max_connections on each server but the last: `first` fills them in order"
    got = "none, so that no later server gets anything"
    return [_finding("first_needs_max_connections", pool["name"], open_ended[0], wanted, got)]
