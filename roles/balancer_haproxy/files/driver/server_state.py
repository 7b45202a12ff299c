"""What run time has changed of HAProxy's servers, and the file that tells a new worker.

States and weights as `show servers state` gives them (management guide, section 9.3).
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterable, Iterator, List, Set, Tuple

from evenkeel.host.system import durable

from ..config.parser import Configuration
from .declared import ports

# A new worker reads here which servers were drained or weighted at run time.
# Filled only during a reload.
STATE_FILE = "/var/lib/evenkeel/haproxy.servers"

# srv_admin_state of `show servers state` (include/haproxy/server-t.h).
_FORCED_MAINTENANCE = 0x01
_CONFIGURED_MAINTENANCE = 0x04
_FORCED_DRAIN = 0x08

# Version 1 of `show servers state` (management guide, 9.3).
_STATE_LINE = """
    be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
    srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state
    srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl
    srv_check_port srv_check_addr srv_agent_addr srv_agent_port
"""
STATE_COLUMNS = tuple(_STATE_LINE.split())

Rows = Iterable[Dict[str, str]]
"""Servers with the columns of `show servers state`."""


def drained(rows: Rows) -> Dict[str, Dict[str, str]]:
    """Give the servers that run time has set to drain, to maint or to weight 0."""
    found: Dict[str, Dict[str, str]] = {}
    for row in rows:
        admin = int(row["srv_admin_state"])
        status = ""
        if admin & _FORCED_MAINTENANCE and not admin & _CONFIGURED_MAINTENANCE:
            status = "inactive"
        elif admin & _FORCED_DRAIN or is_weighted_out(row):
            status = "draining"
        if status:
            found.setdefault(row["be_name"], {})[row["srv_name"]] = status
    return found


def changed_at_run_time(rows: Rows) -> Dict[str, Dict[str, Dict[str, Any]]]:
    """Give the servers whose state or weight differs from the loaded configuration."""
    changed: Dict[str, Dict[str, Dict[str, Any]]] = {}
    for row in rows:
        state: Dict[str, Any] = {}
        admin = int(row["srv_admin_state"])
        configured = bool(admin & _CONFIGURED_MAINTENANCE)
        if admin & _FORCED_MAINTENANCE and not configured:
            state["state"] = "maint"
        elif admin & _FORCED_DRAIN:
            state["state"] = "drain"
        elif configured and not admin & _FORCED_MAINTENANCE:
            state["state"] = "ready"
        if row["srv_uweight"] != row["srv_iweight"]:
            state["weight"] = int(row["srv_uweight"])
        if state:
            changed.setdefault(row["be_name"], {})[row["srv_name"]] = state
    return changed


def is_weighted_out(row: Dict[str, str]) -> bool:
    """Whether run time has set the server's weight to 0."""
    return row["srv_uweight"] == "0" != row["srv_iweight"]


def orders(
    state: Dict[str, Dict[str, Dict[str, Any]]], present: Set[Tuple[str, str]]
) -> List[Tuple[str, str]]:
    """Give (pool/server, order) for all of `state` that a server of `present` can be given."""
    found: List[Tuple[str, str]] = []
    for pool, servers in sorted(state.items()):
        for server, wanted in sorted(servers.items()):
            if (pool, server) in present:
                found += [(f"{pool}/{server}", order) for order in _orders(wanted)]
    return found


def _orders(wanted: Dict[str, Any]) -> Iterator[str]:
    if wanted.get("state") in ("drain", "maint", "ready"):
        yield f"state {wanted['state']}"
    if isinstance(wanted.get("weight"), int):
        yield f"weight {wanted['weight']}"


def states_for(live: Configuration, rows: Rows) -> List[str]:
    """Give the lines of a state file for the servers of `rows` that were changed at run time.

    `live` is the configuration that the next worker reads. HAProxy takes the port from the state
    file and not from `live`, so the file has the port of `live`; a server without a port is left
    out. With `zero-warning` the file is empty, since a worker warns of each server in it.
    """
    if live.setting("zero-warning"):
        return []
    known = ports(live)
    states = []
    for row in rows:
        admin = int(row["srv_admin_state"]) & (_FORCED_MAINTENANCE | _FORCED_DRAIN)
        configured = int(row["srv_admin_state"]) & _CONFIGURED_MAINTENANCE
        weighted = row["srv_uweight"] != row["srv_iweight"]
        port = known.get((row["be_name"], row["srv_name"]))
        if port is None or configured or not (admin or weighted):
            continue
        fixed = {"srv_addr": "-", "srv_port": str(port), "srv_fqdn": "-", "srvrecord": "-"}
        states.append(" ".join({**row, **fixed}.get(name, "-") for name in STATE_COLUMNS))
    return states


def write_states(states: List[str]) -> None:
    """Write the state file; a full disk leaves it as it was."""
    text = "\n".join(["1", "# " + " ".join(STATE_COLUMNS), *states]) + "\n"
    temporary = f"{STATE_FILE}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(STATE_FILE), 0o711, exist_ok=True)
        durable.write_new(temporary, text.encode("latin-1"), 0o600)
        os.rename(temporary, STATE_FILE)
    except OSError:
        # A full disk must not stop a rollback.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
