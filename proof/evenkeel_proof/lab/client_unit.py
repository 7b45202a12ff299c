"""Start, stop and read the client traffic of a running lab."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

from evenkeel.errors import Refused
from evenkeel_proof.lab.client_program import CONTROL_PORT
from evenkeel_proof.lab.running import Fleet

RATE = 80.0
SECONDS = 3600.0
FOLDER = "/var/lib/evenkeel-traffic"
_BETWEEN_READS = 0.05
_UNIT = "evenkeel-traffic.service"
_PROGRAM = "/usr/local/lib/evenkeel-traffic.py"


def start(fleet: Fleet, *, rate: float = RATE, seconds: float = SECONDS) -> None:
    """Send `rate` requests a second through every balancer, for at most `seconds`.

    Counts from nothing; traffic that was on is stopped first. Raises Refused when it does not
    start.
    """
    _halt(fleet)
    program = Path(__file__).with_name("client_program.py").read_bytes()
    for left in (progress_file(fleet), _totals_file(fleet)):
        left.unlink(missing_ok=True)
    _run(fleet, ["install", "-m", "644", "/dev/stdin", _PROGRAM], stdin=program)
    balancers = [f"{name}={address}" for name, address in fleet.hosts.items()]
    _run(
        fleet,
        [
            "systemd-run", "--quiet", "--collect", f"--unit={_UNIT}", "--service-type=notify",
            f"--property=RuntimeMaxSec={seconds + 60:.0f}",
            "python3", _PROGRAM, f"--rate={rate}", f"--seconds={seconds}",
            f"--folder={FOLDER}", f"--control={fleet.client}", *balancers,
        ],
    )  # fmt: skip


def stop(fleet: Fleet) -> dict[str, Any] | None:
    """Stop the traffic and give its last totals; None when there never was any.

    Raises Refused when the traffic was on and died without its last totals: what it had counted
    must not be taken for nothing.
    """
    _halt(fleet)
    totals = _last(fleet)
    if totals is None and progress_file(fleet).exists():
        raise Refused(
            "The client traffic died before it was stopped",
            where=str(progress_file(fleet)),
            next_step="scripts/lab exec client journalctl -u evenkeel-traffic",
        )
    return totals


def read(fleet: Fleet) -> dict[str, Any]:
    """Give the totals at this moment, or the last ones when the traffic ended.

    `{"running", "seconds", "at", "requests", "failed", "retried", "skipped", "balancers": {name:
    {the same four counts, "servers": {name: requests}}}, "reasons": {text: requests}, "samples":
    [{"at", "balancer", "path", "reason"}], "slowest_seconds"}`; `at` is in seconds since 1970,
    `failed` is a part of `requests`. Raises Refused when there never was any traffic.
    """
    connection = http.client.HTTPConnection(fleet.client, CONTROL_PORT, timeout=5)
    try:
        connection.request("GET", "/")
        totals: dict[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        last = _last(fleet)
        if last is None:
            raise Refused(
                "There is no traffic in the lab",
                where=fleet.name,
                next_step="scripts/lab traffic start",
            ) from None
        return last
    finally:
        connection.close()
    return totals


def wait_for(fleet: Fleet, *, requests: int, timeout: float = 120) -> dict[str, Any]:
    """Wait until so many requests were counted in all; give the totals then.

    Raises Refused when the traffic ends before, or after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while (totals := read(fleet))["requests"] < requests:
        late = time.monotonic() > deadline
        if late or not totals["running"]:
            raise Refused(
                f"The client traffic {'was too slow' if late else 'ended before'}",
                where=fleet.name,
                wanted=f"{requests} requests",
                got=str(totals["requests"]),
            )
        time.sleep(_BETWEEN_READS)
    return totals


def progress_file(fleet: Fleet) -> Path:
    """Give the file that grows by one JSON line of totals each second."""
    return fleet.state / "traffic" / "progress.jsonl"


def _totals_file(fleet: Fleet) -> Path:
    return fleet.state / "traffic" / "totals.json"


def _halt(fleet: Fleet) -> None:
    # It is no fault when the unit is not there. What it is waiting for may take its time.
    fleet.exec("client", ["systemctl", "stop", _UNIT], timeout=90)


def _last(fleet: Fleet) -> dict[str, Any] | None:
    try:
        totals: dict[str, Any] = json.loads(_totals_file(fleet).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return totals


def _run(fleet: Fleet, arguments: list[str], stdin: bytes = b"") -> None:
    done = fleet.exec("client", arguments, stdin=stdin)
    if done.returncode:
        raise Refused(
            "The client traffic did not start",
            where=fleet.container("client"),
            got=done.stderr.decode(errors="replace").strip()[-500:],
            next_step="scripts/lab exec client journalctl -u evenkeel-traffic",
        )
