"""Requests a second of the load client and of `wrk`, in one container, through the same balancer.

Both send to the same listener, with the same stub servers behind it, in changing order: on kept
connections and on new ones. Run inside a container in which `prepare` has started what is live.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time

from evenkeel.rehearsal.load.load_client import Client, Kept
from evenkeel.rehearsal.protocol.headers import OURS
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.run import container

ON_KEPT, ON_NEW = "kept", "new"
_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)$", re.MULTILINE)
_BAD = re.compile(r"^\s*(Socket errors|Non-2xx or 3xx responses):.*$", re.MULTILINE)


def measure(world: World, runs: int, seconds: int) -> dict[str, list[float]]:
    """Give requests a second of each run by `load_kept`, `load_new`, `wrk_kept`, `wrk_new`.

    Raises Trouble when a request failed: then it is no measure of anything.
    """
    kind = next(kind for kind in world["classes"] if not kind["tls"])
    found: dict[str, list[float]] = {}
    for run in range(runs):
        for mode in (ON_KEPT, ON_NEW):
            ways = [("load", _load), ("wrk", _wrk)]
            for name, way in ways if run % 2 else reversed(ways):
                rate = way(kind, mode, world["concurrency"], seconds)
                found.setdefault(f"{name}_{mode}", []).append(round(rate, 1))
    return found


def _load(kind: RequestClass, mode: str, clients: int, seconds: int) -> float:
    client = Client(1)

    async def one(until: float) -> None:
        kept = Kept() if mode == ON_KEPT else None
        source = client.maker.request(kind).source if kept else ""
        while time.monotonic() < until:
            await client.one(kind, client.maker.request(kind, source=source), kept)
        if kept:
            kept.close()

    async def all_of_them() -> float:
        began = time.monotonic()
        await asyncio.gather(*(one(began + seconds) for _ in range(clients)))
        return time.monotonic() - began

    took = asyncio.run(all_of_them())
    tally = client.take()[kind["name"]]
    if tally["answered"] != tally["sent"]:
        raise container.Trouble(f"{tally['failed']} requests of the load client failed")
    return float(tally["answered"] / took)


def _wrk(kind: RequestClass, mode: str, clients: int, seconds: int) -> float:
    words = [
        *("wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s"),
        *("--header", f"Host: {kind['hosts'][0]}", "--header", f"{OURS}: 1"),
        *(("--header", "Connection: close") if mode == ON_NEW else ()),
        f"http://{kind['address']}:{kind['port']}/",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    rate, bad = _RATE.search(done.stdout), _BAD.search(done.stdout)
    if done.returncode or not rate or bad:
        said = bad[0].strip() if bad else done.stderr.strip()[-200:]
        raise container.Trouble(f"wrk: {said}")
    return float(rate[1])
