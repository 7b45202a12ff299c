"""Which bundles of a change are distinct, and the container that each of them gets.

Hosts with equal content share one container. Standard library only, since the scenario's
inventory (molecule/staging/inventory.py) runs outside the virtual environment.
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
# Where the scenario is told what to do; each has a default, so that it also runs by hand.
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

    `base` is what was live on most of its hosts when the change was rendered (None when nothing
    was), `host` the one to read both from.
    """

    name: str
    release: str
    base: str | None
    host: str
    hosts: tuple[str, ...]
    # Hosts of this bundle on which something else was live: they are not what was compared with.
    other_bases: tuple[str, ...]


def distinct(manifest: Mapping[str, Any], hosts: Iterable[str] | None = None) -> list[Bundle]:
    """Give the distinct bundles of a change's manifest, for all hosts or for `hosts`.

    Raises Refused for a host that the change has no bundle for, and when none is left.
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
    return [_bundle(release, members, entries) for release, members in sorted(groups.items())]


def _bundle(release: str, hosts: list[str], entries: Mapping[str, Any]) -> Bundle:
    bases = Counter(entries[host].get("base") for host in hosts)
    base = max(bases, key=lambda one: (bases[one], one is not None, one or ""))
    return Bundle(
        name=release[:12],
        release=release,
        base=base,
        host=next(host for host in hosts if entries[host].get("base") == base),
        hosts=tuple(hosts),
        other_bases=tuple(host for host in hosts if entries[host].get("base") != base),
    )


@dataclass(frozen=True)
class Settings:
    """What one run of the scenario works on, read from the environment."""

    change: Path
    results: Path
    role: Path
    hosts: list[str] | None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, root: Path = names.ROOT) -> Settings:
        """Give the settings; what is not set is the example that lies beside the scenario."""
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
        """The kind of balancer, as its role is named."""
        return self.role.name.removeprefix("balancer_")

    def bundles(self) -> list[Bundle]:
        """Give the distinct bundles; raises Refused when the change cannot be read."""
        return distinct(ChangeFolder(self.change).manifest(), self.hosts)


def container(bundle: Bundle) -> str:
    """Give the name of the container of a bundle: no other checkout's and no other bundle's."""
    return names.resource(names.lab_name(), f"staging-{bundle.name}")


def inventory(settings: Settings) -> dict[str, Any]:
    """Give the scenario's inventory as Ansible's script protocol wants it."""
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
                    # Nothing in it gains a right, whatever program a configuration starts.
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
