"""One deploy of a change at a time: two at once would take each other's hosts back.

A deploy signs the change's folder with its process. The signature of one that ended counts for
nothing, however it ended, so nobody ever waits for it or has to remove it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Any

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused

NAME = "deploying"
_LARGEST_BYTES = 4096


def take_deploy_lock(folder: ChangeFolder, pid: int, proc: Path = Path("/proc")) -> None:
    """Sign `folder` with the process `pid`, which deploys its change until it ends.

    Raises Refused when another process of this machine does so already. A folder that several
    machines share is guarded by the hosts alone.
    """
    machine = socket.gethostname()
    own = {"machine": machine, "pid": pid, "started": _started(proc, pid)}
    # O_NOFOLLOW: a symlink planted in the folder is refused, never written through.
    handle = os.open(folder.path / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        other = _read(stream.read(_LARGEST_BYTES))
        if other and other != own and _is_alive(other, machine, proc):
            raise Refused(
                f"The change {folder.change_id} is being deployed by another run",
                where=str(folder.path),
                wanted="one deploy of a change at a time",
                got=f"process {other['pid']} of this machine",
                next_step="wait for it to end, or look on with scripts/watch",
            )
        stream.seek(0)
        stream.truncate()
        stream.write(json.dumps(own).encode() + b"\n")


def _read(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("pid"), int) else None


def _is_alive(other: dict[str, Any], machine: str, proc: Path) -> bool:
    started = _started(proc, other["pid"])
    return other.get("machine") == machine and bool(started) and other.get("started") == started


def _started(proc: Path, pid: int) -> str:
    """Give when a process started, in ticks since boot (proc(5), stat 22); "" when it is gone.

    A number that the kernel gave out again is another process: it started at another time. The
    boot's id goes before it, since ticks begin anew at each boot.
    """
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    # The name, in brackets, may hold spaces and brackets itself.
    return f"{boot} {stat.rpartition(')')[2].split()[19]}"
