"""Which program and which driver a host has, as one short word that a controller can compare."""

from __future__ import annotations

from typing import Iterable

from evenkeel.host.system.bytecode import PROGRAM
from evenkeel.host.system.driver import path_of
from evenkeel.host.system.sha256 import sha256_of

DIGITS = 16
# The zip directory holds every size and CRC-32, and costs nothing to hash.
END_BYTES = 16 * 1024


def word_of(files: Iterable[bytes]) -> str:
    """Give the build of a program and its driver, `files` in this order: 16 hex digits.

    Each is a zip file, or the last END_BYTES of one.
    """
    return sha256_of("".join(sha256_of(data[-END_BYTES:]) for data in files).encode())[:DIGITS]


def installed(balancer: str) -> str:
    """Give the build that is installed on this host for `balancer`; "" when it cannot be read."""
    try:
        return word_of([_end(PROGRAM), _end(path_of(balancer))])
    except OSError:
        return ""


def _end(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - END_BYTES))
        return file.read()
