"""The lab's SSH keys: who deploys and installs, who signs, and each host's own.

Host keys are made here and given to the hosts before they boot, so `known_hosts` is known to be
right and nothing is trusted on first use. The keys stay when the lab is stopped: approvals that
they signed can still be checked.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from evenkeel.errors import Refused

USERS = ("evenkeel", "admin")
"""Who may log in to the hosts: the deploy user and the bootstrap administrator."""
PEOPLE = ("author@lab", "approver@lab")
"""Who may sign: one renders changes, the other approves them."""
SIGNATURE_NAMESPACE = "evenkeel"


def make(state: Path, hosts: Iterable[str]) -> None:
    """Make every key that is not there yet, and `allowed_signers`, in the state folder."""
    for user in USERS:
        key_pair(state / "keys" / user, user)
    for host in hosts:
        key_pair(state / "hosts" / host, host)
    lines = []
    for person in PEOPLE:
        public = key_pair(state / "people" / person.partition("@")[0], person)
        lines.append(f'{person} namespaces="{SIGNATURE_NAMESPACE}" {public}\n')
    (state / "allowed_signers").write_text("".join(lines), encoding="utf-8")


def key_pair(path: Path, comment: str) -> str:
    """Make an ed25519 key at `path` when there is none; give its public half, one line."""
    public = path.with_name(path.name + ".pub")
    if not public.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What a killed run left behind would make ssh-keygen ask.
        path.unlink(missing_ok=True)
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        done = subprocess.run(words, capture_output=True, timeout=30, check=False)
        if done.returncode:
            raise Refused(
                "A key of the lab could not be made",
                where=str(path),
                got=done.stderr.decode(errors="replace").strip()[:300],
            )
    return public.read_text(encoding="utf-8").strip()


def write_known_hosts(state: Path, addresses: Mapping[str, str]) -> None:
    """Write the host key of each host (name to address) where ssh is told to look for it."""
    lines = []
    for host, address in addresses.items():
        kind, key = (state / "hosts" / f"{host}.pub").read_text(encoding="utf-8").split()[:2]
        lines.append(f"{address} {kind} {key}\n")
    (state / "known_hosts").write_text("".join(lines), encoding="utf-8")
