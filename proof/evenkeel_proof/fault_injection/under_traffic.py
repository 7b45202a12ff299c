"""Much traffic through one host while it activates, confirms, reverts and rolls back in a loop.

One server is drained and one has half its weight, both at run time: neither may lose that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenkeel.errors import Refused
from evenkeel.remote import PROGRAM
from evenkeel_proof.fault_injection import checks, role
from evenkeel_proof.fault_injection.fault_host import FaultHost, Release
from evenkeel_proof.fault_injection.reloads import CERTIFICATE, certificate
from evenkeel_proof.fault_injection.tally import Tally, demand
from evenkeel_proof.lab.client_unit import FOLDER

RELOADS, REQUESTS = 100, 1_000_000
FAST_RELOADS, FAST_REQUESTS = 8, 10_000
# A cycle: a change is activated and confirmed, one more is activated and reverted, and the first is
# rolled back.
RELOADS_IN_A_CYCLE = 4
SLOW_PORT = 8081
DRAINED, REWEIGHED = "web5", "web4"
_PROGRAM = "/root/evenkeel-load.py"
# Waits for the client and the slow server, whose units end with the lab.
_START = 'cat > "$1"; shift; systemd-run --quiet --unit=evenkeel-load python3 "$@"'
_SET = """
import json, sys
sys.path.insert(0, %(program)r)
from evenkeel.host.system import driver as base
driver = base.load(%(kind)r)
driver.drain("web", %(drained)r)
refused = driver.restore_runtime_state({"web": {%(reweighed)r: %(state)r}})
print(json.dumps(refused))
"""


def run(host: FaultHost, tally: Tally, fast: bool = False) -> None:
    """Send the traffic, switch under it, and count."""
    reloads, requests = (FAST_RELOADS, FAST_REQUESTS) if fast else (RELOADS, REQUESTS)
    with tally.fault("traffic", f"{reloads} reloads under traffic") as note:
        try:
            totals = tally.traffic = under_traffic(host, reloads, requests)
            checks.goes_on(host)
        except Exception:
            host.forget()
            raise
        note.outcome = "served"
        note.detail = f"{totals['requests']} requests, {totals['lost']} lost"
        demand(totals["requests"] >= requests, f"only {totals['requests']} requests were sent")
        demand(totals["drained"] == 0, f"the drained server got {totals['drained']} requests")


def under_traffic(host: FaultHost, reloads: int, requests: int) -> dict[str, Any]:
    """Give the client's totals of so many reloads and at least so many requests."""
    host.write(CERTIFICATE, certificate())
    first = _release(host, 0)
    host.deploy(first)
    _set_by_hand(host)
    client = Client(host)
    client.start(requests)
    try:
        for number in range(1, reloads // RELOADS_IN_A_CYCLE + 1):
            _cycle(host, number, first)
            client.demand_running()
        totals = client.stop()
    except Exception:
        client.halt()
        raise
    totals["reloads"] = reloads
    totals["drained"] = totals["servers"].get(DRAINED, 0)
    share = totals["servers"].get(REWEIGHED, 0) / max(1, totals["servers"].get("web1", 0))
    totals["reweighed_share"] = round(share, 3)
    return totals


def _cycle(host: FaultHost, number: int, first: Release) -> None:
    one, other = _release(host, 2 * number), _release(host, 2 * number + 1)
    change = host.activate(one)
    _demand_state(host)
    host.must("confirm", "--change", change)
    host.activate(other)
    _demand_state(host)
    host.must("rollback")
    host.must("rollback", "--undo", change)
    _demand_state(host)
    host.base = first


def _release(host: FaultHost, number: int) -> Release:
    """Give a release of five servers; its number makes its bytes its own."""
    servers = [
        {"name": name, "address": address, "port": 80, "weight": 100}
        for name, address in host.fleet.web.items()
    ]
    slow = {"name": "slow", "address": host.fleet.web["web1"], "port": SLOW_PORT}
    tls = {"port": 443, "tls": {"certificate": CERTIFICATE}}
    intent = {
        "limits": {"max_connections": 2000 + number},
        "listeners": [
            {
                "name": "www",
                "binds": [{"port": 80}, tls],
                "routes": [{"name": "slow", "pool": "slow", "paths": ["/slow"]}],
                "default_pool": "web",
            }
        ],
        "pools": [
            {"name": "web", "check": {"kind": "http", "path": "/health"}, "servers": servers},
            {"name": "slow", "check": {"kind": "none"}, "servers": [slow]},
        ],
    }
    return host.render(intent)


def _set_by_hand(host: FaultHost) -> None:
    """Drain one server and give another half its weight, as an operator may at run time."""
    script = _SET % {
        "program": PROGRAM,
        "kind": host.kind,
        "drained": DRAINED,
        "reweighed": REWEIGHED,
        "state": role.load(host.role).reweighed,
    }
    done = host.fleet.exec(host.name, ["python3", "-c", script])
    demand(done.stdout.strip() == b"[]", f"the state was refused: {done.stderr.decode()[-300:]}")
    _demand_state(host)


def _demand_state(host: FaultHost) -> None:
    servers = host.must("status")["servers"]["web"]
    drained, reweighed = servers[DRAINED], servers[REWEIGHED]
    demand(drained["status"] == "draining", f"{DRAINED} is {drained['status']}")
    demand(reweighed["weight"] == 50, f"{REWEIGHED} has weight {reweighed['weight']}")


class Client:
    """The client on the lab's client machine, and the slow server on its web machine."""

    def __init__(self, host: FaultHost) -> None:
        self._host, self._fleet = host, host.fleet
        self._folder = self._fleet.state / "traffic"

    def start(self, requests: int) -> None:
        """Start both, and wait for the first totals."""
        for name in ("stop", "load.json"):
            (self._folder / name).unlink(missing_ok=True)
        slow = ["serve", self._fleet.web["web1"], str(SLOW_PORT)]
        self._start("web", slow)
        self._start("client", ["drive", FOLDER, self._host.address, str(requests)])
        self._host.wait_for(lambda: self.read().get("requests"), "the first requests")

    def stop(self) -> dict[str, Any]:
        """Let the client come to its number of requests and end; give its totals."""
        (self._folder / "stop").touch()
        self._host.wait_for(lambda: not self.read()["running"], "the client's end", 1800)
        totals = dict(self.read())
        self.halt()
        return totals

    def halt(self) -> None:
        """End both."""
        for machine in ("client", "web"):
            self._fleet.exec(machine, ["systemctl", "stop", "evenkeel-load.service"])

    def read(self) -> Mapping[str, Any]:
        """Give the totals at this moment."""
        try:
            text = (self._folder / "load.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        totals: Mapping[str, Any] = json.loads(text)
        return totals

    def demand_running(self) -> None:
        """Raise Stranded when the client died: what it did not count is not nothing."""
        path = self._folder / "load.json"
        demand(time.time() - path.stat().st_mtime < 10, "the client writes no totals any more")

    def _start(self, machine: str, words: list[str]) -> None:
        program = Path(__file__).with_name("load_program.py").read_bytes()
        command = ["sh", "-c", _START, "sh", _PROGRAM, _PROGRAM, *words]
        done = self._fleet.exec(machine, command, stdin=program)
        if done.returncode:
            raise Refused("The traffic did not start", where=machine, got=done.stderr.decode())
