"""What the rehearsal does to the container: addresses, files, services, the host's program.

It runs as root inside the staging container, standard library only.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from evenkeel.host.state.archive import pack
from evenkeel.host.system import driver as drivers
from evenkeel.host.system.driver import Observation
from evenkeel.rehearsal.protocol.http import is_ip
from evenkeel.rehearsal.protocol.measured_types import StepAnswer
from evenkeel.rehearsal.protocol.paths import FOLDER, HOST_PROGRAM, PROGRAM, STUB_SOCKET
from evenkeel.rehearsal.protocol.world_types import World
from evenkeel.rehearsal.stubs.control import StubControl

LEASE_SECONDS = 120
_STUB_UNIT = "evenkeel-stub.service"
_COMMAND_SECONDS = 60
_LONGEST_TEXT = 600


class Trouble(Exception):
    """The container is broken: no verdict about the change can be given."""


def run(words: Iterable[str], stdin: bytes = b"") -> bytes:
    """Run a command and give its output; raises Trouble when it fails or does not end."""
    words = list(words)
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"{words[0]}: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Trouble(f"{' '.join(words[:3])}: {said[-_LONGEST_TEXT:]}")
    return done.stdout


def wait_for_boot() -> None:
    """Wait until systemd has started everything; failed units do not matter.

    It polls, since `--wait` can miss the end of a boot and wait for ever.
    """
    deadline = time.monotonic() + _COMMAND_SECONDS
    state = ""
    while state not in ("running", "degraded"):
        if time.monotonic() > deadline:
            raise Trouble(f"the container did not start within {_COMMAND_SECONDS} s: {state}")
        time.sleep(0.05)
        with suppress(subprocess.TimeoutExpired):
            words = ["systemctl", "is-system-running"]
            done = subprocess.run(words, capture_output=True, timeout=5, check=False)
            state = (done.stdout or done.stderr).decode(errors="replace").strip()


def make_local(world: World, source_prefix_6: str) -> None:
    """Make every address of the bundle local, so that no byte of it has to differ."""
    lines = []
    if any(":" in request_class["address"] for request_class in world["classes"]):
        lines.append(f"route replace local {source_prefix_6}/64 dev lo")
    # IPv6 needs an address, not only a route, to bind.
    lines += [
        f"address replace {address} dev lo"
        for address in world["addresses"]
        if not address.startswith("127.")
    ]
    _ip(lines)
    route_here([*world["routes"], *(address for address, _ in world["nameservers"])])
    if world["names"]:
        with Path("/etc/hosts").open("a", encoding="utf-8") as hosts:
            hosts.writelines(f"{address} {name}\n" for name, address in world["names"].items())


def route_here(addresses: Iterable[str]) -> None:
    """Make each of `addresses` local by a route: cheap enough for thousands of servers."""
    _ip([f"route replace local {address} dev lo" for address in sorted(set(addresses))])


def _ip(lines: list[str]) -> None:
    for family in ("4", "6"):
        of_family = [line for line in lines if (":" in line) == (family == "6")]
        if of_family:
            run(["ip", f"-{family}", "-batch", "-"], "\n".join([*of_family, ""]).encode())


def add_missing_stubs(stubs: StubControl, observed: Observation) -> bool:  # each driver's own
    """Start stub servers at endpoints of the process that have none; gives whether any had none."""
    places = set()
    for pool in observed["pools"].values():
        for server in pool["servers"].values():
            address = str(server.get("address") or "").strip("[]")
            # Skip unix sockets and unresolved names.
            if is_ip(address) and server.get("port"):
                places.add((address, int(server["port"])))
    route_here(address for address, _ in places)
    return bool(stubs.serve(sorted(places))["added"])


def start_stubs(world: World) -> StubControl:
    """Start the stub servers' process, outside this one so that it outlives it."""
    run(
        [
            "systemd-run", "--quiet", f"--unit={_STUB_UNIT}", "--property=LimitNOFILE=infinity",
            "/usr/bin/python3", PROGRAM, "stub",
        ]
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while True:
        try:
            stubs = StubControl(STUB_SOCKET)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise Trouble(f"the stub servers did not start: {error}") from None
            time.sleep(0.05)
    missing = stubs.serve(
        world["stubs"],
        health=world["live_health"] if world["base"]["release"] else world["health"],
        nameservers=world["nameservers"],
        names=world["names"],
        speaks=world["speaks"],
        over_tls=world["over_tls"],
    )["missing"]
    if missing:
        raise Trouble(
            f"{len(missing)} of {len(world['stubs'])} stub servers could not listen,"
            f" the first at {missing[0]}"
        )
    return stubs


def fit(driver: drivers.Driver) -> bool:
    """Let the balancer start both releases where file descriptors are few.

    Gives whether that bounds its connections: production's machines have more.
    """
    folders = [str(Path(FOLDER, request_class)) for request_class in ("base", "candidate")]
    bounded = driver.fit(folders, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    if bounded:
        run(["systemctl", "restart", driver.UNIT])
    return bounded


def put_base(world: World, driver: drivers.Driver) -> str:
    """Install the base as a hand-made configuration and start the balancer with it.

    Gives "" when it runs, and otherwise the balancer's own words: then the package's
    configuration is restored, and there is nothing to compare with.
    """
    kept: dict[Path, bytes | None] = {}
    for name in world["base"]["files"]:
        native = Path(driver.NATIVE_PATHS[name])
        kept[native] = native.read_bytes() if native.exists() else None
        native.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(FOLDER, "base", name), native)
    try:
        run(["systemctl", "restart", driver.UNIT])
    except Trouble:
        words = ["journalctl", "--no-pager", "-o", "cat", "-n", "30", "-u", driver.UNIT]
        journal = run(words).decode(errors="replace")
        errors = [line for line in journal.splitlines() if "[ALERT]" in line or "rror" in line]
        for native, content in kept.items():
            if content is None:
                native.unlink(missing_ok=True)
            else:
                native.write_bytes(content)
        run(["systemctl", "reset-failed", driver.UNIT])
        run(["systemctl", "restart", driver.UNIT])
        return "; ".join(errors)[:_LONGEST_TEXT] or "the balancer does not start here"
    return ""


def host_program(balancer: str, verb: str, *options: str) -> list[str]:
    """Give the command line of the host's program, as the controller would use it."""
    return [HOST_PROGRAM, "--balancer", balancer, verb, *options]


def archive(world: World) -> bytes:
    """Give the candidate's release as the host's program reads it on standard input."""
    manifest = {
        "change_id": world["change_id"],
        "digest": world["digest"],
        "release": world["release"],
        "files": world["files"],
    }
    files = {name: Path(FOLDER, "candidate", name).read_bytes() for name in world["files"]}
    return pack(json.dumps(manifest, sort_keys=True).encode(), files)


def answer_of(exit_code: int, out: bytes, err: bytes) -> StepAnswer:
    """Read the one JSON object of the host's program; raises Trouble when there is none."""
    try:
        answer: StepAnswer = json.loads(out)
        if not isinstance(answer, dict) or "ok" not in answer:
            raise ValueError
    except ValueError:
        said = err.decode(errors="replace").strip()[-_LONGEST_TEXT:]
        raise Trouble(
            f"the host's program gave no JSON answer, exit code {exit_code}: {said}"
        ) from None
    return {**answer, "exit": exit_code}
