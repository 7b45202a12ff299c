"""What a lab is called, where its records lie and which addresses its machines get.

Standard library only, since `inventories/lab/hosts.py` runs outside the virtual environment.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path

from evenkeel.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
"""The checkout that this package lies in."""

LARGEST_FLEET = 80
WEB_SERVERS = 5

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LABEL = "evenkeel.lab"
# Away from the ranges that routers and container engines use.
_RANGE = ipaddress.IPv4Network("10.64.0.0/10")
_FIRST_BALANCER, _FIRST_WEB, _CLIENT = 11, 101, 201


def lab_name(root: Path = ROOT) -> str:
    """Give the lab's name: `EVENKEEL_LAB`, or the checkout's folder and a hash of its path.

    Raises UsageError when the variable holds what cannot be part of a container's name.
    """
    given = os.environ.get("EVENKEEL_LAB", "")
    if not given:
        folder = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:20].strip("-")
        return f"{folder or 'lab'}-{hashlib.sha256(str(root).encode()).hexdigest()[:6]}"
    if not _NAME.fullmatch(given):
        raise UsageError(
            "This is no name for a lab",
            where="EVENKEEL_LAB",
            wanted="up to 40 of a-z, 0-9 and -, the first no -",
            got=repr(given[:60]),
        )
    return given


def state_folder(name: str, root: Path = ROOT) -> Path:
    """Give the folder of the lab's keys and records, ignored by git."""
    return root / ".lab" / name


def label(name: str) -> str:
    """Give the label that all of the lab's containers and its network carry."""
    return f"{_LABEL}={name}"


def resource(name: str, machine: str = "") -> str:
    """Give the name of the lab's network, or of the container of one of its machines."""
    return f"evenkeel-{name}" + (f"-{machine}" if machine else "")


def subnets(name: str) -> Iterator[ipaddress.IPv4Network]:
    """Give the networks that the lab may take, best first: the first depends on the name alone."""
    count = 2 ** (24 - _RANGE.prefixlen)
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    # 4099 is prime to the count, so no network comes twice.
    for attempt in range(64):
        offset = (first + attempt * 4099) % count
        yield ipaddress.IPv4Network((int(_RANGE.network_address) + offset * 256, 24))


def addresses(subnet: ipaddress.IPv4Network, balancers: int) -> dict[str, dict[str, str]]:
    """Give every machine's address: `{"hosts": {lb1: …}, "web": {web1: …}, "client": {client: …}}`.

    Raises UsageError when there are more balancers than the plan has room for.
    """
    if not 1 <= balancers <= LARGEST_FLEET:
        raise UsageError(
            "The lab cannot have so many balancers",
            where="--hosts",
            wanted=f"1 to {LARGEST_FLEET}",
            got=str(balancers),
        )
    return {
        "hosts": {f"lb{n + 1}": str(subnet[_FIRST_BALANCER + n]) for n in range(balancers)},
        "web": {f"web{n + 1}": str(subnet[_FIRST_WEB + n]) for n in range(WEB_SERVERS)},
        "client": {"client": str(subnet[_CLIENT])},
    }
