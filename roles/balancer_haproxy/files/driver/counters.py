"""The counters and the state of each server of a worker."""

from __future__ import annotations

import re
from typing import Any, Dict, Tuple

from evenkeel.host.system.driver import PoolFacts

from ..config.parser import read
from .declared import counted, number_of
from .master import Master

# The largest table that counter_lines.py makes.
MOST_CLIENTS = 32768
_ENTRY = r"\bserver_id=(\d+)"


def observed(master: Master, pid: int, text: str) -> Dict[str, PoolFacts]:
    """Give {pool: {"servers": {server: facts}}} of worker `pid`; `text` is the live configuration.

    Measured on HAProxy 2.6: `lbtot` counts how often the algorithm chose the server. With a cookie
    it counts each new client once. `stot` counts every request (in tcp, every connection). So
    `requests` is `lbtot`, or `stot` with a cookie. `clients` is `lbtot` with a cookie; for a hash,
    the lines of counter_lines.py count it, and `timed` and `slow` of a pool as well.
    """
    pools: Dict[str, Any] = {}
    ids: Dict[Tuple[str, str], str] = {}
    for row in master.statistics(pid):
        pool = pools.setdefault(row["pxname"], {"servers": {}})
        if row["type"] == "2":
            pool["servers"][row["svname"]] = _server(row)
            ids[row["pxname"], row["sid"]] = row["svname"]
        else:
            # Requests that wait for any free server.
            pool["queue"] = number_of(row["qcur"])
    _add_counted(master, pid, pools, ids, text)
    return pools


def _add_counted(
    master: Master, pid: int, pools: Dict[str, Any], ids: Dict[Tuple[str, str], str], text: str
) -> None:
    """Add what lines of the live configuration count, where the worker has them."""
    if "stick store-request" not in text and "proc.evenkeel_slow_" not in text:
        return
    tables, timers = counted(read({"haproxy.cfg": text.encode("latin-1")}))
    sizes = master.tables(pid) if tables else {}
    for pool in tables:
        if pool in pools and 0 < sizes.get(pool, 0) <= MOST_CLIENTS:
            found = dict.fromkeys(pools[pool]["servers"], 0)
            for number in re.findall(_ENTRY, master.ask(f"@!{pid} show table {pool}")):
                server = ids.get((pool, number))
                if server is not None:
                    found[server] += 1
            for server, clients in found.items():
                pools[pool]["servers"][server]["clients"] = clients
    for pool, number in timers.items():
        counts = [master.variable(pid, f"{word}_{number}") for word in ("timed", "slow")]
        if pool in pools and None not in counts:
            pools[pool].update(timed=counts[0], slow=counts[1])


def _server(row: Dict[str, str]) -> Dict[str, Any]:
    address, _, port = row.get("addr", "").rpartition(":")
    return {
        "address": address,
        "port": int(port) if port.isdigit() else 0,
        "weight": float(row.get("uweight") or row["weight"] or 0),
        "status": _status(row["status"]),
        "backup": row["bck"] == "1",
        "requests": number_of(row["stot"] if row.get("cookie") else row["lbtot"]),
        **({"clients": number_of(row["lbtot"])} if row.get("cookie") else {}),
        "connections": number_of(row["stot"]),
        "open": number_of(row["scur"]),
        # 5xx answers, failed connections, answers cut off.
        "errors": number_of(row["hrsp_5xx"]) + number_of(row["econ"]) + number_of(row["eresp"]),
        "retries": number_of(row["wretr"]) + number_of(row["wredis"]),
        "queue": number_of(row["qcur"]),
    }


def _status(text: str) -> str:
    """Turn HAProxy's words for a server's state into ours."""
    word = text.split()[0] if text.strip() else ""
    if word in ("UP", "no", "OPEN"):
        return "active"
    if word in ("DRAIN", "NOLB"):
        return "draining"
    return "inactive" if word.startswith("MAINT") else "down"
