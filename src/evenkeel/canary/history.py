"""How the shares of one host moved while it was watched: one small point after each slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A watch of a day at one slice in five seconds would fill megabytes; a chart shows no more.
LARGEST_HISTORY = 240


def extend(
    history: list[dict[str, Any]], seconds: float, result: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Give `history` with the point that an observe `result` makes, `seconds` into the watch.

    A point is `{"seconds", "pools": {pool: {"requests", "servers": {server: share}}}}`. A history
    that grew too long is thinned to every other point.
    """
    pools = {}
    for name, pool in (result.get("pools") or {}).items():
        servers = pool.get("servers") or {}
        shares = {
            server: round(float(row["share"]), 5)
            for server, row in servers.items()
            if row.get("share") is not None
        }
        if shares and pool.get("requests"):
            pools[name] = {"requests": int(pool["requests"]), "servers": shares}
    kept = history if len(history) < LARGEST_HISTORY else history[1::2]
    return [*kept, {"seconds": round(seconds, 1), "pools": pools}]
