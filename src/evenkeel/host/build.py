"""Which program and which driver a host has, as one short word that a controller can compare."""

from __future__ import annotations

from typing import Iterable

from evenkeel.host.driver import path_of
from evenkeel.host.start import PROGRAM
from evenkeel.host.sums import sha256_of

DIGITS = 16


def word_of(files: Iterable[bytes]) -> str:
    """Give the build of a program and its driver, `files` in this order: 16 hex digits."""
    return sha256_of("".join(map(sha256_of, files)).encode())[:DIGITS]


def installed(balancer: str) -> str:
    """Give the build that is installed on this host for `balancer`; "" when it cannot be read."""
    try:
        return word_of([_content(PROGRAM), _content(path_of(balancer))])
    except OSError:
        return ""


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
