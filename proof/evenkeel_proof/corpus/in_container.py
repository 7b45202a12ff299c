"""What runs in a corpus container beside the rehearsal's own program.

`reset` makes the container as it was when it started, for the next case. `facts` says what it is.
`native` is the balancer's own check alone. `canary` runs the candidate under the traffic that
production has, with the host's own judge watching, as the first host of a rollout would. `rates`
measures the load client beside another.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenkeel.host.errors import HostError
from evenkeel.host.system import driver as drivers
from evenkeel.rehearsal.load import request_maker
from evenkeel.rehearsal.plan import request_mix
from evenkeel.rehearsal.protocol.paths import FOLDER
from evenkeel.rehearsal.protocol.seeded import Draws
from evenkeel.rehearsal.protocol.world_types import RequestClass, World
from evenkeel.rehearsal.run import container
from evenkeel.rehearsal.run.main import Rehearsal
from evenkeel_proof.corpus import client_rates

# Where what the cases change is kept as it was.
_KEPT = Path("/var/lib/evenkeel-corpus")
_LEFT = (FOLDER, "/var/lib/evenkeel")
_WATCH_SECONDS = 30
_LEASE_SECONDS = 90
_PAUSE_SECONDS = 0.02
_OWN_ADDRESSES = ("address", "flush", "dev", "lo", "scope", "global")


class ProductionMaker(request_maker.Maker):
    """Makes requests of as few clients, or with as few distinct keys, as production has."""

    def __init__(self, seed: int, production: dict[str, Any]) -> None:
        super().__init__(seed)
        self.clients = production.get("clients")
        self.keys = production.get("keys")

    def client(self, kind: RequestClass, name: str, number: int) -> str | int:
        """Give one of the clients that there are."""
        if not self.clients:
            return super().client(kind, name, number)
        return str(Draws(self.seed, "client", name, number).below(self.clients))

    def draws(self, kind: RequestClass, number: int) -> Draws:
        """Give what one of the requests that there are is made of."""
        if not self.keys:
            return super().draws(kind, number)
        return Draws(self.seed, "key", Draws(self.seed, kind["name"], number).below(self.keys))


def _changed(driver: drivers.Driver) -> list[Path]:
    """Give what a case may change: the folders of the balancer's files, and the names of hosts."""
    return [*sorted({Path(one).parent for one in driver.NATIVE_PATHS.values()}), Path("/etc/hosts")]


def keep(driver: drivers.Driver) -> None:
    """Keep what the cases will change, once, before the first of them."""
    if _KEPT.exists():
        return
    _KEPT.mkdir(parents=True)
    for path in _changed(driver):
        _copy(path, _KEPT / path.name)


def reset(balancer: str) -> dict[str, Any]:
    """Make the container as it was; raises Trouble when something does not end."""
    container.wait_for_boot()
    driver = drivers.load(balancer)
    keep(driver)
    for unit in ("evenkeel-stub.service", "evenkeel-expire-*", driver.UNIT):
        _try(["systemctl", "stop", unit])
    _try(["systemctl", "reset-failed"])
    for name in _LEFT:
        shutil.rmtree(name, ignore_errors=True)
    for target in _changed(driver):
        if target.is_dir():
            shutil.rmtree(target)
        _copy(_KEPT / target.name, target)
    for family in ("-4", "-6"):
        # The kernel's own routes and addresses have another origin, or are of the host's scope.
        for words in (("route", "flush", "table", "all", "proto", "boot"), _OWN_ADDRESSES):
            _try(["ip", family, *words])
    container.run(["systemctl", "start", driver.UNIT])
    return {}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        # /etc/hosts is mounted: its content can be replaced, the file cannot.
        target.write_bytes(source.read_bytes())


def _try(words: list[str]) -> None:
    """Run what may fail because there is nothing to do."""
    subprocess.run(words, capture_output=True, timeout=60, check=False)


def facts(world: World) -> dict[str, Any]:
    """Give the sums of the live files, whether the unit runs, and what the container has."""
    live = Path("/var/lib/evenkeel", world["balancer"], "live")
    sums = {
        name: hashlib.sha256((live / name).read_bytes()).hexdigest()
        for name in world["files"]
        if (live / name).exists()
    }
    driver = drivers.load(world["balancer"])
    words = ["systemctl", "is-active", driver.UNIT]
    state = subprocess.run(words, capture_output=True, timeout=20, check=False)
    return {
        "sums": sums,
        "unit": state.stdout.decode().strip(),
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "status": Path("/proc/1/status").read_text(),
        "mounts": Path("/proc/self/mountinfo").read_text(),
    }


def native(world: World) -> dict[str, Any]:
    """Run the balancer's own check alone, on the candidate as it is."""
    driver = drivers.load(world["balancer"])
    code, said = driver.native_check(str(Path(FOLDER, "candidate")))
    return {"ok": code == 0, "said": said[:600]}


async def in_production(world: World, order: dict[str, Any]) -> dict[str, Any]:
    """Activate the candidate under production's traffic and let the host judge it."""
    rehearsal = Rehearsal(world)
    production = order["production"]
    back = await rehearsal.rollback()
    if not back["ok"]:
        raise container.Trouble(f"the host did not go back to what is live: {back.get('error')}")
    _become(world, production, rehearsal)
    rehearsal.client.maker = ProductionMaker(world["seed"], production)
    # What is live, under the same conditions, is the control host of a rollout.
    control = rehearsal.driver.observe()
    stop = asyncio.Event()
    load = asyncio.create_task(
        rehearsal.client.run(
            # Users go on as before: they know nothing of a change.
            request_maker.until([request_mix.calm(kind) for kind in order["classes"]], stop),
            concurrency=production.get("concurrency", world["concurrency"]),
            seconds=2 * _WATCH_SECONDS,
            pause=_PAUSE_SECONDS,
        )
    )
    try:
        activated = await rehearsal.host.activate()
        answer: Mapping[str, Any] = activated
        if activated["ok"]:
            answer = await rehearsal.host.call(
                "observe",
                *("--change", world["change_id"], "--seconds", str(_WATCH_SECONDS)),
                *("--lease-seconds", str(_LEASE_SECONDS)),
                *("--judge", "--revert-on-fail", "--fresh", "--until-decided"),
                stdin=json.dumps(order["policy"]).encode(),
            )
        canary = rehearsal.driver.observe()
    finally:
        stop.set()
        await load
    return {
        "verdict": answer.get("verdict") if activated["ok"] else "fail",
        "reverted": bool(answer.get("reverted")),
        "reasons": list(answer.get("reasons") or []),
        "requests": answer.get("requests", 0),
        "seconds": answer.get("seconds", 0),
        "error": answer.get("error"),
        "states": {"canary": {"pools": canary["pools"]}, "control": {"pools": control["pools"]}},
        "classes": rehearsal.client.take(),
    }


def _become(world: World, production: dict[str, Any], rehearsal: Rehearsal) -> None:
    """Make servers and ports of the container as they are in production."""
    for absent in production.get("absent", []):
        if absent.startswith(":"):
            rehearsal.stubs.release([int(absent[1:])])
        elif absent.startswith("/"):
            Path(absent).unlink(missing_ok=True)
        elif absent in world["names"]:
            hosts = Path("/etc/hosts")
            lines = hosts.read_text().splitlines(keepends=True)
            hosts.write_text("".join(line for line in lines if absent not in line.split()))
        else:
            _take_away(absent)
    if "health" in production:
        well = production["health"]
        health = {
            here: {path: well.get(path, 404) for path in said}
            for here, said in world["live_health"].items()
        }
        rehearsal.stubs.serve([], health=health)


def _take_away(address: str) -> None:
    """Make an address one that nobody has, neither this machine nor a server."""
    for words in (
        ["address", "del", f"{address}/32", "dev", "lo"],
        ["route", "del", "local", address, "dev", "lo"],
        ["route", "add", "unreachable", address],
    ):
        _try(["ip", *words])


def main() -> int:
    """Run one verb; exit code 1 means that the container itself is at fault."""
    verb = sys.argv[1]
    try:
        if verb == "reset":
            found = reset(sys.argv[2])
        else:
            world: World = json.loads(Path(FOLDER, "world.json").read_text())
            if verb == "facts":
                found = facts(world)
            elif verb == "native":
                found = native(world)
            elif verb == "rates":
                found = client_rates.measure(world, int(sys.argv[2]), int(sys.argv[3]))
            else:
                found = asyncio.run(in_production(world, json.load(sys.stdin)))
    except (container.Trouble, OSError, HostError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{verb}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
