"""Bring the lab up and take it down again; both are safe to repeat.

Starting compares what should be there with what is there: machines that run as they should are
kept, everything else that carries this lab's label (a killed run's leavings too) is removed, and
what is missing is made.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evenkeel.containers import podman
from evenkeel.containers.images import image
from evenkeel.containers.names import (
    ROOT,
    addresses,
    lab_name,
    label,
    resource,
    state_folder,
    subnets,
)
from evenkeel.errors import Refused
from evenkeel_proof.lab import client_unit, guests, keys
from evenkeel_proof.lab.running import Fleet, containers, save, wait_until_ready

BALANCERS = 3
_AT_ONCE = 6


@dataclass(frozen=True)
class _Machine:
    name: str
    address: str
    files: bytes
    ports: tuple[tuple[str, int], ...]
    options: tuple[str, ...] = ()

    def fingerprint(self, reference: str) -> str:
        """A word that changes when a machine made now would differ from one made before."""
        made_of = json.dumps([reference, self.address, self.options])
        return hashlib.sha256(made_of.encode() + self.files).hexdigest()[:16]


def start(balancers: int = BALANCERS, *, fresh: bool = False, root: Path = ROOT) -> Fleet:
    """Start the lab with so many balancers, or bring the one that runs to that; give it.

    `fresh` removes the one that runs before. Raises UsageError for a number the plan has no room
    for, Refused when a machine does not come up.
    """
    name = lab_name(root)
    state = state_folder(name, root)
    reference = image("host", root)
    with _alone(state):
        if fresh:
            _remove(name, state)
        subnet = _network(name)
        plan = addresses(subnet, balancers)
        keys.make(state, plan["hosts"])
        keys.write_known_hosts(state, plan["hosts"])
        (state / "traffic").mkdir(exist_ok=True)
        _bring_up(name, reference, _machines(state, plan))
        return save(
            Fleet(
                name=name,
                root=root,
                image=reference,
                subnet=str(subnet),
                hosts=plan["hosts"],
                web=plan["web"],
                client=plan["client"]["client"],
                boots={},
            )
        )


def stop(root: Path = ROOT) -> None:
    """Remove all of the lab: containers, network, records. Its keys stay, and so does the image."""
    name = lab_name(root)
    state = state_folder(name, root)
    with _alone(state):
        _remove(name, state)


def _remove(name: str, state: Path) -> None:
    (state / "fleet.json").unlink(missing_ok=True)
    (state / "known_hosts").unlink(missing_ok=True)
    listed = podman.call(["ps", "--all", "--quiet", f"--filter=label={label(name)}"])
    podman.remove(listed.decode().split())
    if podman.succeeds(["network", "exists", resource(name)]):
        podman.call(["network", "rm", "--force", resource(name)])
    shutil.rmtree(state / "traffic", ignore_errors=True)


def _network(name: str) -> ipaddress.IPv4Network:
    """Give the lab's network, made when it is not there.

    Podman refuses a range that another network or an interface of the machine has, and then the
    next one is tried.
    """
    network = resource(name)
    if podman.succeeds(["network", "exists", network]):
        known = json.loads(podman.call(["network", "inspect", network]))
        return ipaddress.IPv4Network(known[0]["subnets"][0]["subnet"])
    refusal = None
    for subnet in subnets(name):
        try:
            podman.call(
                [
                    "network", "create", "--disable-dns",
                    f"--subnet={subnet}", f"--label={label(name)}", network,
                ]
            )  # fmt: skip
        except Refused as error:
            refusal = error
        else:
            return subnet
    raise Refused(
        "No network is free for the lab", where=network, got=refusal.got if refusal else ""
    )


def _machines(state: Path, plan: Mapping[str, Mapping[str, str]]) -> list[_Machine]:
    web, address = plan["web"], plan["client"]["client"]
    mount = f"--volume={state / 'traffic'}:{client_unit.FOLDER}"
    web_ports = tuple((address, 80) for address in web.values())
    return [
        _Machine("web", web["web1"], guests.web_machine(web), web_ports),
        _Machine("client", address, guests.client(), ((address, 22),), (mount,)),
        *(
            _Machine(host, address, guests.balancer(state, host, web), ((address, 22),))
            for host, address in plan["hosts"].items()
        ),
    ]


def _bring_up(name: str, reference: str, machines: Iterable[_Machine]) -> None:
    wanted = {machine.name: machine for machine in machines}
    good, bad = set(), []
    for container in containers(name):
        machine = wanted.get(container["Labels"]["evenkeel.machine"])
        made_of = container["Labels"].get("evenkeel.made-of")
        runs = container["State"] == "running"
        if machine and runs and made_of == machine.fingerprint(reference):
            good.add(machine.name)
        else:
            bad.append(container["Id"])
    podman.remove(bad)
    missing = [machine for machine in wanted.values() if machine.name not in good]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # Balancers check the web servers as soon as they run, so these come first.
        created = {m.name: pool.submit(_create, name, reference, m) for m in missing}
        for machine in (m for m in missing if m.name == "web"):
            created["web"].result()
            _boot(name, machine)
        for future in created.values():
            future.result()
        list(pool.map(lambda m: _boot(name, m), (m for m in missing if m.name != "web")))
        kept = (wanted[known] for known in sorted(good))
        list(pool.map(lambda m: wait_until_ready(name, m.name, m.ports), kept))


def _create(name: str, reference: str, machine: _Machine) -> None:
    container = resource(name, machine.name)
    podman.call(
        [
            "create", f"--name={container}", f"--hostname={machine.name}",
            f"--label={label(name)}", f"--label=evenkeel.machine={machine.name}",
            f"--label=evenkeel.made-of={machine.fingerprint(reference)}",
            f"--network={resource(name)}", f"--ip={machine.address}",
            *podman.systemd(), *machine.options, reference,
        ],
        wrong=f"{machine.name} could not be made",
    )  # fmt: skip
    podman.call(["cp", "--archive=false", "-", f"{container}:/"], stdin=machine.files)


def _boot(name: str, machine: _Machine) -> None:
    podman.call(["start", resource(name, machine.name)], wrong=f"{machine.name} could not start")
    wait_until_ready(name, machine.name, machine.ports)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Let one process at a time start or stop this lab."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
