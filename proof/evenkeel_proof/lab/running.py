"""A running lab: its machines, how to reach them, and what can be done to one of them."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.containers import podman
from evenkeel.containers.names import ROOT, lab_name, label, resource, state_folder
from evenkeel.errors import Refused, UsageError
from evenkeel_proof.lab import enter

READY_SECONDS = 60.0
_BETWEEN_TRIES = 0.02
_RECORD = "fleet.json"


@dataclass(frozen=True)
class Fleet:
    """A lab that runs: balancers `lb1`, `lb2` and so on, web servers `web1` to `web5`, a client."""

    name: str
    root: Path
    image: str
    subnet: str
    hosts: Mapping[str, str]
    """Balancers: name to address."""
    web: Mapping[str, str]
    """Web servers: name to address, all on the machine `web`."""
    client: str
    """The address that all client traffic comes from."""
    boots: Mapping[str, str]
    """A word for each machine that changes whenever it boots."""

    @property
    def state(self) -> Path:
        """The folder of the lab's keys and records."""
        return state_folder(self.name, self.root)

    @property
    def inventory(self) -> Path:
        """The inventory that Ansible reaches this lab with, given `environment`."""
        return self.root / "inventories" / "lab"

    @property
    def environment(self) -> dict[str, str]:
        """What has to be in the environment of a command that is to find this lab."""
        return {"EVENKEEL_LAB": self.name}

    @property
    def known_hosts(self) -> Path:
        """The file with every host's key."""
        return self.state / "known_hosts"

    @property
    def allowed_signers(self) -> Path:
        """The file of who may sign, as `ssh-keygen -Y verify` reads it."""
        return self.state / "allowed_signers"

    def key(self, user: str) -> Path:
        """Give the private key of a user of the hosts: `evenkeel` or `admin`."""
        return self.state / "keys" / user

    def person(self, name: str) -> Path:
        """Give the private key that a person signs with: `author` or `approver`."""
        return self.state / "people" / name

    def container(self, machine: str) -> str:
        """Give the name of a machine's container. Raises UsageError for one that is not there."""
        if machine not in (*self.hosts, "web", "client"):
            raise UsageError(
                "The lab has no such machine",
                where=self.name,
                wanted=", ".join([*self.hosts, "web", "client"]),
                got=repr(machine[:60]),
            )
        return resource(self.name, machine)

    def ssh(self, host: str, user: str = "evenkeel") -> list[str]:
        """Give the words of an ssh command to a balancer, with its key checked."""
        key = ["-i", str(self.key(user))]
        return ["ssh", *self.ssh_options(), *key, f"{user}@{self.hosts[host]}"]

    def ssh_options(self) -> list[str]:
        """Give the options that every ssh to a balancer needs, whoever the user is."""
        options = (
            f"UserKnownHostsFile={self.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "ConnectTimeout=10",
        )
        return ["-F", "none", *(word for option in options for word in ("-o", option))]

    def exec(
        self, machine: str, arguments: Sequence[str], *, stdin: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command as root in a machine; its exit code is not judged.

        Raises subprocess.TimeoutExpired.
        """
        return enter.run(self.container(machine), arguments, stdin=stdin, timeout=timeout)

    def started(self, machine: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command as root in a machine and give it; its output comes through a pipe."""
        return enter.start(self.container(machine), arguments)

    def cut(self, machine: str) -> None:
        """Cut a machine off: nothing reaches it and nothing leaves it, while it runs on."""
        self._link(machine, "down")

    def heal(self, machine: str) -> None:
        """Undo `cut`, and wait until the machine can be reached again."""
        self._link(machine, "up")
        if machine in self.hosts:
            wait_for_port(self.hosts[machine], 22, greeting=b"SSH-")

    def restart(self, machine: str, *, hard: bool = False) -> Fleet:
        """Boot a machine again, after an orderly shutdown or (`hard`) as after a power cut.

        Gives the fleet as it is then, since the machine's boot word changed.
        """
        container = self.container(machine)
        if hard:
            podman.call(["kill", "--signal=KILL", container])
            podman.call(["wait", container])
            podman.call(["start", container])
        else:
            podman.call(["restart", "--time=30", container], timeout=90)
        wait_until_ready(self.name, machine, self._ports(machine))
        return save(self)

    def _ports(self, machine: str) -> list[tuple[str, int]]:
        if machine == "web":
            return [(address, 80) for address in self.web.values()]
        return [(self.hosts.get(machine, self.client), 22)]

    def _link(self, machine: str, state: str) -> None:
        done = self.exec(machine, ["ip", "link", "set", "eth0", state])
        if done.returncode:
            raise Refused(
                f"The link of {machine} could not be set {state}",
                got=done.stderr.decode(errors="replace").strip()[-500:],
            )


def load(root: Path = ROOT) -> Fleet:
    """Give the lab of this checkout (or of `EVENKEEL_LAB`) that was started.

    Raises Refused when there is none.
    """
    name = lab_name(root)
    path = state_folder(name, root) / _RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(
            f"The lab {name} is not running", where=str(path), next_step="scripts/lab start"
        ) from None
    return Fleet(root=root, **record)


def save(fleet: Fleet) -> Fleet:
    """Write the fleet's record with each machine's present boot word; give the fleet with these."""
    boots = {
        c["Labels"]["evenkeel.machine"]: f"{c['Id'][:6]}{c['StartedAt']:x}"
        for c in containers(fleet.name)
    }
    record = {**vars(fleet), "boots": boots}
    del record["root"]
    path = fleet.state / _RECORD
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
    return Fleet(root=fleet.root, **record)


def containers(name: str) -> list[dict[str, Any]]:
    """Give what podman knows about each container of the lab's machines, running or not."""
    listed = podman.call(
        [
            "ps", "--all", f"--filter=label={label(name)}", "--filter=label=evenkeel.machine",
            "--format=json",
        ]
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(listed)
    return found


def wait_until_ready(name: str, machine: str, ports: Iterable[tuple[str, int]]) -> None:
    """Wait until a machine's ports answer and systemd says that everything it boots is running.

    Raises Refused after a minute, or when a unit failed.
    """
    for address, port in ports:
        wait_for_port(address, port, greeting=b"SSH-" if port == 22 else b"")
    container = resource(name, machine)
    # Without a default route nothing in the lab finds a way out of its network. (A network that
    # podman calls internal would also have no way in from this machine.)
    sealed = "ip route flush default && exec systemctl is-system-running --wait"
    try:
        done = enter.run(container, ["sh", "-c", sealed], timeout=READY_SECONDS)
    except subprocess.TimeoutExpired:
        raise Refused(f"{machine} did not boot within {READY_SECONDS:.0f} s") from None
    if done.returncode:
        failed = enter.run(container, ["systemctl", "--failed", "--plain", "--no-legend"])
        raise Refused(
            f"{machine} booted, but not everything on it runs",
            wanted="running",
            got=(done.stdout + failed.stdout).decode(errors="replace").strip()[:500],
            next_step=f"scripts/lab exec {machine} journalctl -b",
        )


def wait_for_port(address: str, port: int, *, greeting: bytes = b"") -> None:
    """Wait until a port accepts a connection and, if asked, says its greeting.

    Raises Refused after a minute.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with socket.create_connection((address, port), timeout=2) as connection:
                if not greeting or connection.recv(len(greeting)) == greeting:
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise Refused(f"{address} port {port} did not answer within {READY_SECONDS:.0f} s")
        time.sleep(_BETWEEN_TRIES)


def served_by(address: str, path: str = "/") -> str:
    """Ask a balancer or web server once over HTTP; give who answered, or "" when nobody did."""
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().getheader("X-Served-By", "")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
