"""Lets the kernel refuse connections to some endpoints, and accept them again.

A stub server can stop to listen where nothing else uses its port. A balancer that listens at the
same port on every address would get those connections itself, in a loop; there a routing rule
refuses them at once (ip-rule(8): `prohibit`, by address and port, Linux 4.17).

Standard library only: it runs as root inside the staging container.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evenkeel.rehearsal.protocol.http import split_endpoint
from evenkeel.rehearsal.run import container

_LISTENS = "0A"
_TCP = 6
# Our rules precede the local rule, moved to _LOCAL.
_OURS, _LOCAL = 5, 10


def wildcard_ports() -> set[int]:
    """Give the ports that something in this container listens at, on every address."""
    ports = set()
    for name in ("tcp", "tcp6"):
        path = Path("/proc/net", name)
        rows = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
        for row in rows:
            words = row.split()
            address, _, port = words[1].partition(":")
            if words[3] == _LISTENS and not address.strip("0"):
                ports.add(int(port, 16))
    return ports


def refuse(endpoints: Iterable[str]) -> None:
    """Refuse new connections to endpoints; raises Trouble where the kernel cannot."""
    _rules("add", endpoints)


def take_again(endpoints: Iterable[str]) -> None:
    """Accept connections to endpoints that were refused before."""
    _rules("del", endpoints)


def _rules(verb: str, endpoints: Iterable[str]) -> None:
    lines: dict[str, list[str]] = {"-4": [], "-6": []}
    for endpoint in sorted(set(endpoints)):
        address, port = split_endpoint(endpoint)
        lines["-6" if ":" in address else "-4"].append(
            f"rule {verb} pref {_OURS} to {address} ipproto {_TCP} dport {port} prohibit"
        )
    for family, batch in lines.items():
        if not batch:
            continue
        if f"{_LOCAL}:" not in container.run(["ip", family, "rule", "show"]).decode():
            batch = [f"rule add pref {_LOCAL} lookup local", "rule del pref 0", *batch]
        container.run(["ip", family, "-batch", "-"], "\n".join([*batch, ""]).encode())
