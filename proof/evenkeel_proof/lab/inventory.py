"""The running lab as Ansible's script inventory wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evenkeel.containers.names import ROOT
from evenkeel_proof.lab.running import load


def listing(root: Path = ROOT) -> dict[str, Any]:
    """Give the inventory: the group `balancers`, each host's address, and `lab` for group_vars.

    `lab` is `{"name", "state" (folder), "web": {name: address}, "client": address}`. Raises Refused
    when no lab runs.
    """
    fleet = load(root)
    hostvars = {
        host: {
            "ansible_host": address,
            # A new word after each boot: a connection that was kept open to the machine that had
            # this address before is never used again.
            "ansible_control_path": f"%(directory)s/{fleet.boots[host]}-%%r",
        }
        for host, address in fleet.hosts.items()
    }
    lab = {
        "name": fleet.name,
        "state": str(fleet.state),
        "web": dict(fleet.web),
        "client": fleet.client,
    }
    return {
        "_meta": {"hostvars": hostvars},
        "all": {"children": ["balancers"], "vars": {"lab": lab}},
        "balancers": {"hosts": list(fleet.hosts)},
    }
