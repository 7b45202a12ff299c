"""The host's state as Prometheus text, written atomically for a node exporter to pick up."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional

from evenkeel.host.errors import Refused
from evenkeel.host.state.machine import Machine
from evenkeel.host.system import durable
from evenkeel.host.verbs.status import status as status_of

# The caller is not root but the program is.
FOLDERS = (
    "/var/lib/evenkeel/metrics",
    "/var/lib/prometheus/node-exporter",
    "/var/lib/node_exporter/textfile_collector",
)
_FILE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}\.prom")
_COUNTERS = ("requests", "connections", "errors", "retries")

Answer = Dict[str, Any]


def metrics(machine: Machine, output: Optional[str]) -> Answer:
    """Give the metrics as text, or write them to `output`, a `.prom` file in one of `FOLDERS`."""
    text = render(status_of(machine, with_files=False))
    if output is None:
        return {"changed": False, "text": text}
    folder, name = os.path.split(output)
    if folder not in FOLDERS or not _FILE.fullmatch(name):
        raise Refused(
            "Metrics cannot be written there",
            where=output[:200],
            wanted=f"a file *.prom in {' or '.join(FOLDERS)}",
            got=output[:200],
            next_step="choose one of these folders",
        )
    if folder == FOLDERS[0]:
        durable.make_folder(machine.steps, "metrics", folder, 0o755)
        # The exporter is not root and must get in.
        for path, mode in ((os.path.dirname(folder), 0o711), (folder, 0o755)):
            durable.set_mode(machine.steps, "metrics", path, mode)
    # The folder may turn into a link: keep the opened one.
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise Refused(
            "The folder for metrics is not there",
            where=folder,
            wanted="a folder",
            got="nothing, or a symbolic link",
            next_step="install the exporter that reads it",
        ) from None
    try:
        path = f"/proc/self/fd/{handle}/{name}"
        durable.write_file(machine.steps, "metrics", path, text.encode(), 0o644)
    finally:
        os.close(handle)
    return {"changed": True, "output": output}


def render(status: Answer) -> str:
    """Turn a status into Prometheus text."""
    pending, live = status["pending"] or {}, status["live"]
    balancer = status["balancer"]
    latest = status["generations"][-1] if status["generations"] else {}
    plain = {"balancer": balancer}
    lines: List[str] = []
    _metric(
        lines,
        "evenkeel_change_info",
        "What is live; always 1.",
        "gauge",
        [
            (
                {
                    **plain,
                    "change": live["change"] or "",
                    "release": live["release"] or "",
                    "state": "confirmed" if live["confirmed"] else "unconfirmed",
                },
                1,
            )
        ],
    )
    _metric(
        lines,
        "evenkeel_pending",
        "1 while a change waits to be confirmed.",
        "gauge",
        [({**plain, "change": pending.get("change") or ""}, 1 if pending else 0)],
    )
    _metric(
        lines,
        "evenkeel_lease_remaining_seconds",
        "Seconds until the host reverts.",
        "gauge",
        [(plain, pending.get("remaining_seconds", 0))],
    )
    _metric(
        lines,
        "evenkeel_generation",
        "Number of the last confirmed generation.",
        "gauge",
        [(plain, latest.get("number", -1))],
    )
    _last(lines, plain, status["last"] or {})
    _metric(
        lines,
        "evenkeel_drift",
        "1 when live files were edited by hand.",
        "gauge",
        [(plain, int(status["drift"]))],
    )
    _metric(
        lines,
        "evenkeel_running_agrees",
        "1 when the worker has what is live.",
        "gauge",
        [(plain, int(status["running"]["agrees"]))],
    )
    _metric(
        lines,
        "evenkeel_drain_in_force",
        "1 when a server is kept from new requests, 0 when that is only on record.",
        "gauge",
        [
            (
                {**plain, **{key: one[key] for key in ("pool", "server", "owner")}},
                int(one["in_force"]),
            )
            for one in status["drains"]
        ],
    )
    _metric(
        lines,
        "evenkeel_leaving_workers",
        "Workers that a reload replaced and that still have connections.",
        "gauge",
        [(plain, status["running"].get("leaving", 0))],
    )
    _servers(lines, plain, status["servers"])
    return "\n".join(lines) + "\n"


def _last(lines: List[str], plain: Dict[str, str], last: Dict[str, Any]) -> None:
    """How the latest change or rollback ended; after a revert by itself, how late that was."""
    told = {**plain, "change": last.get("change") or "", "outcome": last.get("outcome") or ""}
    _metric(
        lines,
        "evenkeel_last_outcome_info",
        "How the latest change or rollback ended; always 1.",
        "gauge",
        [(told, 1)] if last else [],
    )
    late = last.get("late_seconds")
    _metric(
        lines,
        "evenkeel_last_revert_late_seconds",
        "Seconds from the end of the lease to the revert, when the host went back by itself.",
        "gauge",
        [] if late is None else [(plain, late)],
    )


def _servers(lines: List[str], plain: Dict[str, str], pools: Dict[str, Any]) -> None:
    rows = [
        ({**plain, "pool": pool, "server": server}, facts)
        for pool, servers in sorted(pools.items())
        for server, facts in sorted(servers.items())
    ]
    for name in _COUNTERS:
        _metric(
            lines,
            f"evenkeel_server_{name}_total",
            f"Counted {name} of the worker.",
            "counter",
            [(labels, facts[name]) for labels, facts in rows],
        )
    _metric(
        lines,
        "evenkeel_server_clients",
        "Clients that a hash or stickiness assigned to a server, each once.",
        "gauge",
        [(labels, facts["clients"]) for labels, facts in rows if "clients" in facts],
    )
    _metric(
        lines,
        "evenkeel_server_weight",
        "Weight that the worker gives a server.",
        "gauge",
        [(labels, facts["weight"]) for labels, facts in rows],
    )
    _metric(
        lines,
        "evenkeel_server_active",
        "1 when a server gets new requests.",
        "gauge",
        [(labels, int(facts["status"] == "active")) for labels, facts in rows],
    )


def _metric(lines: List[str], name: str, help_text: str, kind: str, rows: List[Any]) -> None:
    lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    for labels, value in rows:
        text = ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())
        lines.append(f"{name}{{{text}}} {value}")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
