"""Runs HAProxy's own check of a release, and tries what that leaves out: to listen."""

from __future__ import annotations

import os
import re
from typing import List, Tuple

from evenkeel.host.system import process
from evenkeel.host.system.driver import EVERY_ADDRESS, Check, try_to_listen

from .declared import binds, configuration_of, text_of
from .guard import forbidden
from .messages import LARGEST_OUTPUT, own_words
from .server_state import STATE_FILE, write_states

CHECK_SECONDS = 120.0
_NOISE = (
    r"^\[NOTICE\]|^Configuration file is valid|^Warnings were found"
    r"|Can't open global server state file"
)


def check(release_dir: str, live: str) -> Check:
    """Run `haproxy -c` on a release without forbidden lines; `live` is the file that is read now.

    The output has no secrets, and nothing from other files.
    """
    path = os.path.join(release_dir, "haproxy.cfg")
    text = text_of(path)
    refusals = forbidden(text)
    if refusals:
        return Check(False, "; ".join(refusals)[:LARGEST_OUTPUT])
    if not os.path.exists(STATE_FILE):
        # HAProxy warns of a missing file; zero-warning makes that an error.
        write_states([])
    code, said = process.run(["haproxy", "-c", "-f", path], CHECK_SECONDS, release_dir)
    lines = [line for line in said.splitlines() if not re.search(_NOISE, line)]
    said = own_words("\n".join(lines).replace(path, "haproxy.cfg"), text)
    if code == 0:
        refusals = _unbindable(path, live)
        if refusals:
            return Check(False, "; ".join(refusals)[:LARGEST_OUTPUT])
    return Check(code == 0, said[:LARGEST_OUTPUT])


def native_check(folder: str) -> Tuple[int, str]:
    """Run `haproxy -c` alone; give its exit code and its output."""
    path = os.path.join(folder, "haproxy.cfg")
    return process.run(["haproxy", "-c", "-f", path], CHECK_SECONDS, folder)


def _unbindable(path: str, live: str) -> List[str]:
    """Give the new listeners of `path` that the host cannot open.

    `haproxy -c` opens none. When a reload cannot open one, the old worker stops listening for about
    two seconds of retries. The ports of `live` are in use already.
    """
    try:
        held = {port for _, port in binds(configuration_of(live))}
    except OSError:
        held = set()
    refusals = []
    for address, port in binds(configuration_of(path)):
        if port in held and address in EVERY_ADDRESS:
            continue
        try:
            try_to_listen(address, 0 if port in held else port)
        except OSError as error:
            refusals.append(f"cannot listen on {address or '*'}:{port}: {error.strerror}")
    return refusals
