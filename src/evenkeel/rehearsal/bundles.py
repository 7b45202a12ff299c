"""The distinct bundles of a change, and the container of each.

Hosts with equal files share one container. Standard library only: the scenario's inventory
(molecule/staging/inventory.py) runs outside the virtual environment.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.change.folder import ChangeFolder
from evenkeel.containers import names, podman
from evenkeel.errors import EvenkeelError, Refused
from evenkeel.rehearsal.protocol.paths import PROGRAM

LABEL = "evenkeel.staging"
# Variables of the scenario; each has a default for runs by hand.
CHANGE, RESULTS, ROLE, HOSTS, LAB = (
    "EVENKEEL_CHANGE",
    "EVENKEEL_RESULTS",
    "EVENKEEL_ROLE",
    "EVENKEEL_HOSTS",
    "EVENKEEL_LAB",
)


@dataclass(frozen=True)
class Bundle:
    """One distinct bundle; `release` is its content address.

    `base` is what was live on most of its hosts when the change was rendered (None for
    nothing), `host` the one whose files are used.
    """

    name: str
    release: str
    base: str | None
    host: str
    hosts: tuple[str, ...]
    # Hosts with another base: they were not compared.
    other_bases: tuple[str, ...]


def distinct(
    manifest: Mapping[str, Any],  # of any release's schema
    hosts: Iterable[str] | None = None,
) -> list[Bundle]:
    """Give the distinct bundles of a change's manifest, for all hosts or for `hosts`.

    Raises Refused for a host without a bundle, and when none is left.
    """
    entries: Mapping[str, Any] = manifest["hosts"]
    wanted = sorted(entries) if hosts is None else sorted(set(hosts))
    unknown = [host for host in wanted if host not in entries]
    if unknown or not wanted:
        raise Refused(
            "There is no bundle to rehearse",
            where=f"change {manifest.get('change_id')}",
            wanted=f"one of {', '.join(sorted(entries)) or 'no host at all'}",
            got=", ".join(unknown) or "no host",
            next_step="render the change for these hosts, or limit the run to others",
        )
    groups: dict[str, list[str]] = {}
    for host in wanted:
        groups.setdefault(str(entries[host]["release"]), []).append(host)
    bundles = []
    for release, members in sorted(groups.items()):
        base_of: dict[str, str | None] = {host: entries[host].get("base") for host in members}
        counts = Counter(base_of.values())
        base = max(counts, key=lambda one: (counts[one], one is not None, one or ""))
        bundles.append(
            Bundle(
                name=release[:12],
                release=release,
                base=base,
                host=next(host for host in members if base_of[host] == base),
                hosts=tuple(members),
                other_bases=tuple(host for host in members if base_of[host] != base),
            )
        )
    return bundles


@dataclass(frozen=True)
class Settings:
    """The settings of one run of the scenario, from the environment."""

    change: Path
    results: Path
    role: Path
    hosts: list[str] | None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, root: Path = names.ROOT) -> Settings:
        """Give the settings; the defaults are the example beside the scenario."""
        scenario = root / "molecule" / "staging"
        hosts = [host for host in environment.get(HOSTS, "").split(",") if host]
        return cls(
            change=Path(environment.get(CHANGE) or scenario / "example"),
            results=Path(environment.get(RESULTS) or scenario / "results"),
            role=Path(environment.get(ROLE) or root / "roles" / "balancer_haproxy"),
            hosts=hosts or None,
        )

    @property
    def balancer(self) -> str:
        """The kind of balancer, by the name of its role."""
        return self.role.name.removeprefix("balancer_")

    def bundles(self) -> list[Bundle]:
        """Give the distinct bundles; raises Refused when the change cannot be read."""
        return distinct(ChangeFolder(self.change).manifest(), self.hosts)


def container(bundle: Bundle) -> str:
    """Give the name of a bundle's container: no other checkout or bundle has it."""
    return names.resource(names.lab_name(), f"staging-{bundle.name}")


def inventory(settings: Settings) -> dict[str, Any]:  # Ansible defines its form
    """Give the scenario's inventory, as Ansible's script protocol defines it."""
    ephemeral = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", str(settings.results))
    words = podman.command()
    variables = {
        bundle.name: {
            "container": container(bundle),
            "bundle_hosts": list(bundle.hosts),
            "ansible_ssh_common_args": " ".join(
                [
                    f"-o ProxyCommand='{' '.join(words)} exec -i {container(bundle)}"
                    " /usr/sbin/sshd -i -o LogLevel=QUIET'",
                    f"-o UserKnownHostsFile={ephemeral}/known_hosts",
                    "-o StrictHostKeyChecking=yes",
                ]
            ),
        }
        for bundle in settings.bundles()
    }
    return {
        "staging": {
            "hosts": sorted(variables),
            "vars": {
                "ansible_user": "root",
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_ssh_private_key_file": f"{ephemeral}/id_ed25519",
                "podman": words,
                "podman_run": [
                    "--network=none",
                    # No program in it can gain a right.
                    "--security-opt=no-new-privileges",
                    "--pids-limit=4096",
                    f"--label={LABEL}={names.lab_name()}",
                    *podman.systemd(),
                ],
                "payload": f"{ephemeral}/payload",
                "results": str(settings.results),
                "rehearsal_program": PROGRAM,
            },
        },
        "_meta": {"hostvars": variables},
    }


def main() -> int:
    """Print the inventory; gives an exit code."""
    try:
        sys.stdout.write(json.dumps(inventory(Settings.read()), indent=1) + "\n")
    except EvenkeelError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0
