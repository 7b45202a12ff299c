"""Judges a release by HAProxy's own check, and by what that leaves out: whether it can listen."""

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

    Its words come back without secrets, and without anything from other files.
    """
    path = os.path.join(release_dir, "haproxy.cfg")
    text = text_of(path)
    faults = forbidden(text)
    if faults:
        return Check(False, "; ".join(faults)[:LARGEST_OUTPUT])
    if not os.path.exists(STATE_FILE):
        # HAProxy warns of a state file that is not there, and some demand no warnings.
        write_states([])
    code, said = process.run(["haproxy", "-c", "-f", path], CHECK_SECONDS, release_dir)
    lines = [line for line in said.splitlines() if not re.search(_NOISE, line)]
    said = own_words("\n".join(lines).replace(path, "haproxy.cfg"), text)
    if code == 0:
        faults = _unbindable(path, live)
        if faults:
            return Check(False, "; ".join(faults)[:LARGEST_OUTPUT])
    return Check(code == 0, said[:LARGEST_OUTPUT])


def native_check(folder: str) -> Tuple[int, str]:
    """Run `haproxy -c` alone; give its exit code and its words."""
    path = os.path.join(folder, "haproxy.cfg")
    return process.run(["haproxy", "-c", "-f", path], CHECK_SECONDS, folder)


def _unbindable(path: str, live: str) -> List[str]:
    """Say which of the listeners that are new in `path` the host could not open.

    `haproxy -c` opens none. A reload that cannot open one makes the old worker stop listening for
    about two seconds of retries, so it must not come to that. What `live` binds is held already.
    """
    try:
        held = {port for _, port in binds(configuration_of(live))}
    except OSError:
        held = set()
    faults = []
    for address, port in binds(configuration_of(path)):
        if port in held and address in EVERY_ADDRESS:
            continue
        try:
            try_to_listen(address, 0 if port in held else port)
        except OSError as error:
            faults.append(f"cannot listen on {address or '*'}:{port}: {error.strerror}")
    return faults
