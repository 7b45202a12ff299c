"""What is known of a host while its stage bakes: one small file, written anew after each slice.

`canary/<stage>/live/<host>.json` is for whoever watches. Nothing is decided by it: a host counts by
its result file, which is there only once its watch is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenkeel.records import canonical_json, write_atomically

FOLDER = "live"
_OF_POOL = ("verdict", "requests", "tolerance", "unit")
_OF_SERVER = ("share", "low", "high", "intended", "requests", "status")


def write_progress(
    results: Path,
    host: str,
    role: str,
    result: Mapping[str, Any],
    *,
    renewed: str,
    at: str,
    seconds: float,
    lease_seconds: float,
) -> None:
    """Write what an observe `result` says of `host` so far into the stage's folder `results`.

    `renewed` and `at` are times in UTC: the begin of the slice, when the host got a lease of
    `lease_seconds` (0 for a host without one), and its end. `seconds` counts from the begin of the
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


def _pool(pool: Mapping[str, Any]) -> dict[str, Any]:
    facts = {**pool, **(pool.get("share") or {}), "verdict": pool.get("verdict")}
    servers = {
        name: {key: server[key] for key in _OF_SERVER if key in server}
        for name, server in (pool.get("servers") or {}).items()
    }
    return {key: facts[key] for key in _OF_POOL if key in facts} | {"servers": servers}
