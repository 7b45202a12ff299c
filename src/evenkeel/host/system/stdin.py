"""What a caller has a say in besides the command line, taken away or bounded.

The caller is not root, the program is. sudo clears the environment, but a process hands down more
than that: what to do with signals, limits, a folder, and a standard input that need not end.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import BinaryIO, List, Union

from evenkeel.host.errors import Refused
from evenkeel.host.system import process

# Slow lines need minutes for the largest release.
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_INPUT_SECONDS = 600.0
_CHUNK_BYTES = 1024 * 1024


def forget_environment() -> None:
    """Leave nothing of the caller's environment, and let nobody else read what is written."""
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(process.ENVIRONMENT)


def forget_process() -> None:
    """Take back what a parent may have set for its children: signals, limits, the folder."""
    import resource
    import signal

    # A lost controller must not stop a switch half way.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # With SIGCHLD ignored, every check seems to succeed.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_AS):
        # In a container root may not be allowed to.
        with contextlib.suppress(OSError, ValueError):
            if resource.getrlimit(limit)[0] != resource.RLIM_INFINITY:
                resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.chdir("/")


class Input:
    """Standard input, read for so long and no longer."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self, most: int) -> bytes:
        """Give all that comes up to `most` bytes. Raises Refused when it comes too slowly."""
        import select

        parts: List[bytes] = []
        left = most
        until = time.monotonic() + LONGEST_INPUT_SECONDS
        while left > 0:
            wait = min(LONGEST_PAUSE_SECONDS, until - time.monotonic())
            if wait <= 0 or not select.select([self._handle], [], [], wait)[0]:
                raise Refused(
                    "Standard input does not end",
                    where="standard input",
                    wanted=f"no pause of {LONGEST_PAUSE_SECONDS:g} s, and an end within "
                    f"{LONGEST_INPUT_SECONDS:g} s",
                    got=f"{most - left} bytes so far",
                    next_step="look at the connection to the host, then run the command again",
                )
            part = os.read(self._handle, min(left, _CHUNK_BYTES))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


Stream = Union[BinaryIO, Input]
"""What a verb reads its input from."""
