"""A lock for one deploy of a change at a time: two at once would revert each other's hosts.

A deploy writes its process into the change's folder. The lock of a process that ended is void,
however it ended, so it never has to be removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import TypedDict

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused

NAME = "deploying"
_LARGEST_BYTES = 4096


class _Holder(TypedDict):
    machine: str
    pid: int
    started: str


def take_deploy_lock(folder: ChangeFolder, pid: int, proc: Path = Path("/proc")) -> None:
    """Lock `folder` for the process `pid`, which deploys its change until it ends.

    Raises Refused when another process of this machine has the lock. Where several machines share
    a folder, the hosts' own locks protect the change.
    """
    own: _Holder = {"machine": socket.gethostname(), "pid": pid, "started": _started(proc, pid)}
    # O_NOFOLLOW: never write through a planted symlink.
    handle = os.open(folder.path / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        other = _read(stream.read(_LARGEST_BYTES))
        if other and other != own and other["machine"] == own["machine"]:
            started = _started(proc, other["pid"])
            if started and started == other["started"]:
                raise Refused(
                    f"The change {folder.change_id} is being deployed by another run",
                    where=str(folder.path),
                    wanted="one deploy of a change at a time",
                    got=f"process {other['pid']} of this machine",
                    next_step="wait for it to end, or watch it with scripts/watch",
                )
        stream.seek(0)
        stream.truncate()
        stream.write(json.dumps(own).encode() + b"\n")


def _read(data: bytes) -> _Holder | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("pid"), int):
        return None
    machine, started = str(value.get("machine")), str(value.get("started"))
    return {"machine": machine, "pid": value["pid"], "started": started}


def _started(proc: Path, pid: int) -> str:
    """Give when a process started, in ticks since boot (proc(5), stat 22); "" when it is gone.

    A process with a reused number started at another time. The id of the boot is in front, because
    ticks begin at 0 at each boot.
    """
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    # The name may contain spaces and brackets itself.
    return f"{boot} {stat.rpartition(')')[2].split()[19]}"
