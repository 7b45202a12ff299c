"""Lets HAProxy start with fewer descriptors than a release needs, for a rehearsal."""

from __future__ import annotations

import os
from typing import List

from evenkeel.host.system import process

from .declared import configuration_of, number_of
from .master import SOCKET

# Descriptors for listeners, health checks, timers and pipes.
OTHER_DESCRIPTORS = 2000
LEAST_CONNECTIONS = 500
REHEARSAL_OPTIONS = "/run/systemd/system/haproxy.service.d/rehearsal.conf"
SYSTEMCTL_SECONDS = 120.0


def fit(folders: List[str], descriptors: int) -> bool:
    """Bound the connections on the command line, which overrides maxconn (haproxy -n)."""
    wanted = max((_most_connections(f"{one}/haproxy.cfg") for one in folders), default=0)
    fits = 2 * wanted + OTHER_DESCRIPTORS <= descriptors
    if fits and not os.path.exists(REHEARSAL_OPTIONS):
        return False
    most = max(LEAST_CONNECTIONS, (descriptors - OTHER_DESCRIPTORS) // 2)
    options = f"-S {SOCKET}" + ("" if fits else f" -n {most}")
    os.makedirs(os.path.dirname(REHEARSAL_OPTIONS), exist_ok=True)
    with open(REHEARSAL_OPTIONS, "w", encoding="utf-8") as file:
        file.write(f'[Service]\nEnvironment="EXTRAOPTS={options}"\n')
    process.run(["systemctl", "daemon-reload"], SYSTEMCTL_SECONDS)
    return not fits


def _most_connections(path: str) -> int:
    """Give the last `maxconn` of the section global; 0 without one or without a file."""
    try:
        line = configuration_of(path).setting("maxconn")
    except OSError:
        return 0
    return number_of(line.value(1)) if line else 0
