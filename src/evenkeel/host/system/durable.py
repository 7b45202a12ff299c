"""Files that survive a crash intact: temporary name, fsync, rename, fsync of the folder.

Every function that changes what others can see takes the `Steps` it passes through.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Dict, Optional

from evenkeel.host.errors import Refused
from evenkeel.host.system.steps import Steps

# Left by a killed program; `recover` and `prune` remove it.
TEMPORARY = ".evenkeel-tmp-"


def temporary_name(path: str) -> str:
    """Give a name in the folder of `path` that no other process uses."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{TEMPORARY}{name}-{os.getpid()}-{os.urandom(4).hex()}")


def sync_folder(path: str) -> None:
    """Make the names in the folder `path` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_new(path: str, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet and bring its bytes to the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(steps: Steps, name: str, path: str, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path` so that a reader sees all of the old bytes or all of the new ones."""
    temporary = temporary_name(path)
    try:
        steps.run(f"{name}: write", lambda: write_new(temporary, data, mode))
        steps.run(f"{name}: rename", lambda: os.rename(temporary, path))
    except Exception:
        _tidy_up(steps, name, temporary)
        raise
    sync_folder(os.path.dirname(path))


def point(steps: Steps, name: str, link: str, target: str, durably: bool = True) -> None:
    """Make `link` a symbolic link to `target`, replacing what is there in one rename."""
    temporary = temporary_name(link)
    try:
        steps.run(f"{name}: link", lambda: os.symlink(target, temporary))
        steps.run(f"{name}: rename", lambda: os.rename(temporary, link))
    except Exception:
        _tidy_up(steps, name, temporary)
        raise
    if durably:
        sync_folder(os.path.dirname(link))


def _tidy_up(steps: Steps, name: str, temporary: str) -> None:
    """Take away what a step that failed has left; what stays, `recover` sweeps."""
    if os.path.lexists(temporary):
        with contextlib.suppress(OSError):
            unlink(steps, name, temporary)


def unlink(steps: Steps, name: str, path: str) -> None:
    """Remove a file. The removal is not made durable: a file that comes back is removed again."""
    steps.run(f"{name}: unlink", lambda: os.unlink(path))


def make_folder(steps: Steps, name: str, path: str, mode: int) -> None:
    """Make the folder `path`, and those above it that are missing; every new name is durable."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        _make_one(steps, name, folder, mode)


def _make_one(steps: Steps, name: str, folder: str, mode: int) -> None:
    # Another run may be at the same.
    with contextlib.suppress(FileExistsError):
        steps.run(f"{name}: make a folder", lambda: os.mkdir(folder, mode))
    sync_folder(os.path.dirname(folder))


def set_mode(steps: Steps, name: str, path: str, mode: int) -> None:
    """Give `path` the mode `mode` when it has another."""
    if stat.S_IMODE(os.stat(path).st_mode) != mode:
        steps.run(f"{name}: mode", lambda: os.chmod(path, mode))


def write_tree(folder: str, files: Dict[str, bytes], modes: Dict[str, int]) -> None:
    """Write `files` (relative names) below the new folder `folder` and bring all to the disk."""
    os.mkdir(folder, 0o700)
    folders = {folder}
    for name, data in files.items():
        path = os.path.join(folder, name)
        parent = os.path.dirname(path)
        while parent not in folders:
            os.makedirs(parent, 0o700, exist_ok=True)
            folders.add(parent)
            parent = os.path.dirname(parent)
        write_new(path, data, modes.get(name, 0o600))
    for path in sorted(folders, reverse=True):
        sync_folder(path)


def read_file(path: str, limit: int) -> bytes:
    """Read the regular file `path`. Raises Refused when it is larger than `limit` bytes."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused("A file is too large", where=path, wanted=f"at most {limit} bytes")
    return data


def read_if_there(path: str, limit: int) -> Optional[bytes]:
    """Read the regular file `path`, or give None when nothing has that name."""
    try:
        return read_file(path, limit)
    except FileNotFoundError:
        return None


def remove_tree(steps: Steps, name: str, path: str) -> None:
    """Remove a folder and all in it; what is gone already, or stays, is no error."""
    if not os.path.lexists(path):
        return
    # Imported late: it costs more than the start.
    import shutil

    steps.run(f"{name}: clear away", lambda: shutil.rmtree(path, ignore_errors=True))
