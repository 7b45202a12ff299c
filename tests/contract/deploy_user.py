"""The deploy user of a host in the contract suite: what it can run through real sudo."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from contract.hosts import PROGRAM, STORE, Host

from evenkeel.containers import podman

USER = "evenkeel"
TRAPS = "/tmp/traps"
SPRUNG = "/tmp/sprung"
POLICY = "/etc/evenkeel"
EXPORTER = "/var/lib/node_exporter"
# What may be there of ours, and nobody but root may write.
PLACES = [STORE, POLICY, "/var/cache/evenkeel", "/usr/local/lib/evenkeel", PROGRAM]

EVERYTHING = r"""
kept='( -path /var/log -o -path /var/lib/systemd -o -name lock -path */evenkeel/* ) -prune -o'
find / -maxdepth 1 -printf '%p %y %m %U:%G %l\n' | sort
find /boot /etc /home /opt /root /srv /usr/local /usr/bin /usr/sbin /var $kept \
    -printf '%p %y %m %U:%G %l\n' | sort
find /etc /home /opt /root /srv /usr/local /var $kept -type f -print0 | xargs -0 sha256sum | sort
systemctl list-units --plain --no-legend --all 'evenkeel*' | sort
find /run -name '*evenkeel*' ! -path '/run/sudo/*' | sort
ls -d /tmp/sprung 2>/dev/null
systemctl show -p MainPID "$1"
"""


def listing(host: Host) -> str:
    listed = host.run("sh", "-fc", EVERYTHING, "sh", host.facts["unit"])
    assert STORE in listed and "MainPID=" in listed
    return listed


def line(host: Host, *words: str) -> list[str]:
    return ["--balancer", host.kind, *words]


def user(host: Host, *words: str, stdin: bytes = b"", folder: str = "/") -> tuple[int, bytes]:
    """Run a command as the deploy user; give its exit code and all that it said."""
    done = subprocess.run(
        [*podman.command(), "exec", "-i", "--user", USER, "--workdir", folder, host.name, *words],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def program(host: Host, *words: str, stdin: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Run the program as the deploy user does; give its exit code and its answer."""
    code, said = user(host, "sudo", "-n", PROGRAM, *line(host, *words), stdin=stdin)
    return code, json.loads(said)


def is_ours(said: bytes) -> bool:
    """Tell whether the program itself has answered."""
    try:
        return "ok" in json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return False
