"""Start another program: argument list, fixed environment, bounded time, bounded output."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, nullcontext
from typing import Iterator, List, Optional, Tuple

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "LANG": "C",
    "HOME": "/root",
}
LARGEST_OUTPUT_BYTES = 64 * 1024
TIMED_OUT = 124


def run(
    arguments: List[str],
    timeout_seconds: float,
    folder: str = "/",
    stdin: Optional[bytes] = None,
    inherited: Tuple[int, ...] = (),
) -> Tuple[int, str]:
    """Run a program and give its exit code and the beginning of what it said, both streams.

    It reads `stdin`, or nothing, and has the open files `inherited` beside its own.
    A program that is not there gives 127, one that takes too long is killed with its children and
    gives 124.
    """
    import select
    import subprocess

    try:
        with nullcontext(subprocess.DEVNULL) if stdin is None else in_memory(stdin) as source:
            process = subprocess.Popen(
                arguments,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
                cwd=folder,
                start_new_session=True,
                pass_fds=inherited,
            )
    except FileNotFoundError:
        return 127, f"{arguments[0]} is not installed"
    assert process.stdout is not None  # noqa: S101 - for the type checker; PIPE was asked for
    handle = process.stdout.fileno()
    kept = b""
    until = time.monotonic() + timeout_seconds
    try:
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return TIMED_OUT, f"no end after {timeout_seconds:g} s"
            data = os.read(handle, 65536)
            if not data:
                break
            kept += data[: LARGEST_OUTPUT_BYTES - len(kept)]
        return _wait(process, until), kept.decode("utf-8", "replace")
    finally:
        process.stdout.close()


def _wait(process: "object", until: float) -> int:
    import subprocess

    assert isinstance(process, subprocess.Popen)  # noqa: S101 - for the type checker
    try:
        return int(process.wait(max(0.1, until - time.monotonic())))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return TIMED_OUT


@contextmanager
def in_memory(data: bytes) -> Iterator[int]:
    """Give an open file that holds `data`, read from its beginning, on no disk."""
    handle = os.memfd_create("evenkeel")
    try:
        with os.fdopen(os.dup(handle), "wb") as file:
            file.write(data)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)
