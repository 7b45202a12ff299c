"""One writer at a time on a host: a lock the kernel drops when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from typing import Any, Dict, Iterator

from evenkeel.host.errors import Refused

# The content of a free lock after an orderly end.
_FREE = b"{}"


@contextlib.contextmanager
def held(path: str, verb: str, wait_seconds: float) -> Iterator[bool]:
    """Hold the lock at `path`, waiting for it at most `wait_seconds`.

    Gives whether the holder before ended in order: one that was killed leaves its words behind.
    Raises Refused, naming the holder, when it stays taken.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        until = time.monotonic() + wait_seconds
        while not _taken(handle):
            if time.monotonic() >= until:
                raise Refused(
                    "Another run of this program is at work on the host",
                    where=path,
                    wanted=f"the lock within {wait_seconds:g} s",
                    got=_owner(handle),
                    next_step="wait for it to end, then run the same command again",
                )
            time.sleep(0.02)
        in_order = os.pread(handle, len(_FREE), 0) == _FREE
        _sign(handle, {"pid": os.getpid(), "verb": verb, "since": int(time.time())})
        yield in_order
        _sign(handle, {})
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _sign(handle: int, holder: Dict[str, Any]) -> None:
    # A full disk must not stop a revert.
    with contextlib.suppress(OSError):
        os.pwrite(handle, json.dumps(holder).ljust(120).encode() + b"\n", 0)


def _owner(handle: int) -> str:
    return os.pread(handle, 200, 0).decode("ascii", "replace").strip() or "an unnamed holder"
