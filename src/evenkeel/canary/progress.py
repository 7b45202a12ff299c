"""What a stage shows while it bakes: the state of each host now, and the history of its shares.

`canary/<stage>/live/<host>.json` is written anew after each slice, for people who watch. It decides
nothing: a host counts by its result file, which is written when its watch is over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evenkeel.answers import Observed, ObservedPool, SharePoint
from evenkeel.records import canonical_json, write_atomically

FOLDER = "live"
# A watch of a day would fill megabytes.
LARGEST_HISTORY = 240
_OF_POOL = ("verdict", "requests", "tolerance", "unit")
_OF_SERVER = ("share", "low", "high", "intended", "requests", "status")


def write_progress(
    results: Path,
    host: str,
    role: str,
    result: Observed,
    *,
    renewed: str,
    at: str,
    seconds: float,
    lease_seconds: float,
) -> None:
    """Write what `result` says of `host` so far into the stage's folder `results`.

    `renewed` and `at` are times in UTC. The slice began at `renewed`, when the host got a lease of
    `lease_seconds` (0 without a lease), and ended at `at`. `seconds` counts from the begin of the
    watch.
    """
    value = {
        "host": host,
        "role": role,
        "renewed": renewed,
        "at": at,
        "seconds": round(seconds, 1),
        "lease_seconds": lease_seconds,
        "verdict": result.get("verdict"),
        "reasons": list(result.get("reasons") or [])[:3],
        "reverted": bool(result.get("reverted")),
        "requests": int(result.get("requests") or 0),
        "errors": int(result.get("errors") or 0),
        "probes": int((result.get("probe") or {}).get("sent") or 0),
        "pools": {name: _pool(pool) for name, pool in (result.get("pools") or {}).items()},
    }
    write_atomically(results / FOLDER / f"{host}.json", canonical_json(value))


def _pool(pool: ObservedPool) -> dict[str, Any]:
    facts = {**pool, **(pool.get("share") or {}), "verdict": pool.get("verdict")}
    servers = {
        name: {key: value for key, value in server.items() if key in _OF_SERVER}
        for name, server in (pool.get("servers") or {}).items()
    }
    return {key: facts[key] for key in _OF_POOL if key in facts} | {"servers": servers}


def extend(history: list[SharePoint], seconds: float, result: Observed) -> list[SharePoint]:
    """Give `history` with one more point: the shares in `result`, `seconds` into the watch.

    A history that is too long is thinned to every other point.
    """
    pools = {}
    for name, pool in (result.get("pools") or {}).items():
        shares = {
            server: round(float(share), 5)
            for server, counts in (pool.get("servers") or {}).items()
            if (share := counts.get("share")) is not None
        }
        if shares and pool.get("requests"):
            pools[name] = {"requests": int(pool["requests"]), "servers": shares}
    kept = history if len(history) < LARGEST_HISTORY else history[1::2]
    return [*kept, {"seconds": round(seconds, 1), "pools": pools}]
