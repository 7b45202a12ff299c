"""What a worker of HAProxy has counted for each server, and the state that each is in."""

from __future__ import annotations

import re
from typing import Any, Dict, Tuple

from ..config.parser import read
from .declared import counted, number_of
from .master import Master

# A table of clients that the role's own lines make is no larger (counter_lines.py).
MOST_CLIENTS = 32768
_ENTRY = r"\bserver_id=(\d+)"


def observed(master: Master, pid: int, text: str) -> Dict[str, Any]:
    """Give {pool: {"servers": {server: facts}}} of worker `pid`; `text` is the live configuration.

    Measured on HAProxy 2.6: `lbtot` is how often the algorithm chose the server, so where
    clients stick by cookie it counts those who came without one, each once; `stot` counts
    every request (of tcp, every connection), over however few connections they came. So
    `requests` is `lbtot`, with a cookie `stot`; `clients` is `lbtot` with a cookie, and for a
    hash what the lines of counter_lines.py count. `timed` and `slow` of a pool are theirs too.
    """
    pools: Dict[str, Any] = {}
    ids: Dict[Tuple[str, str], str] = {}
    for row in master.statistics(pid):
        pool = pools.setdefault(row["pxname"], {"servers": {}})
        if row["type"] == "2":
            pool["servers"][row["svname"]] = _server(row)
            ids[row["pxname"], row["sid"]] = row["svname"]
        else:
            # Those that wait for whichever server is free first.
            pool["queue"] = number_of(row["qcur"])
    _add_counted(master, pid, pools, ids, text)
    return pools


def _add_counted(
    master: Master, pid: int, pools: Dict[str, Any], ids: Dict[Tuple[str, str], str], text: str
) -> None:
    """Add what lines of the live configuration count, as far as the worker has them."""
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
        # Answers of 5xx, connections that failed after every retry, answers that broke off.
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
