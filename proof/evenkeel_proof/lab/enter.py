"""Run a command as root in a running container, at a small part of what `podman exec` costs.

`podman exec` starts podman, a monitor and the runtime, twice, before the command: ten times what
most looks into a machine take themselves. `nsenter` enters the namespaces of the container's first
process. The command has the environment, the capabilities, the mask and the groups that podman
would give it, and ends with the `nsenter` that its caller waits for. It is not in the container's
control group and has no seccomp filter: what has to be held by those is run by podman.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evenkeel.containers import podman

_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "container=podman",
)
_MASK = 0o022
# The 22nd field of /proc/PID/stat (proc(5)), counted from behind the name, which may hold blanks.
_START = 19
_SIGNALLED = 128
# What podman ends with when it could not run a command.
_NOT_RUN = 125


@dataclass(frozen=True)
class _First:
    """The first process of a container: its number here, when it began, what it may do."""

    pid: int
    started: str
    capabilities: str


_known: dict[str, _First] = {}


def command(container: str) -> list[str]:
    """Give the words that run what follows them as root in a container.

    For a container that does not run these are podman's, which say what is wrong.
    """
    first = _known.get(container)
    # A number may have gone to another process since; with its start it is this one or none.
    if first is None or _started(first.pid) != first.started:
        first = _find(container)
    if first is None:
        return [*podman.command(), "exec", "-i", container]
    _known[container] = first
    return [
        *podman.as_root(), "nsenter", f"--target={first.pid}", "--all", "--",
        # A session of its own: what is sent to all of a group reaches nobody outside.
        "setsid", "setpriv", "--pdeathsig=KILL", "--clear-groups",
        f"--bounding-set={first.capabilities}", "env", "-i", *_ENVIRONMENT,
    ]  # fmt: skip


def run(
    container: str, arguments: Sequence[str], *, stdin: bytes = b"", timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as root in a container; its exit code is not judged.

    A command that a signal ended has the code that a shell would give it, 128 and the signal; one
    that could not be run has 125. Whoever still holds its output is waited for. Raises
    subprocess.TimeoutExpired, and then the command has ended too (as root; sudo cannot be killed).
    """
    words = [*command(container), *arguments]
    done = subprocess.run(
        words, input=stdin, capture_output=True, timeout=timeout, check=False, umask=_MASK
    )
    if done.returncode < 0:
        done.returncode = _SIGNALLED - done.returncode
    elif done.returncode and done.stderr.startswith(b"nsenter: "):
        done.returncode = _NOT_RUN
    return done


def start(container: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command as root in a container and give it; its output comes through a pipe."""
    words = [*command(container), *arguments]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, umask=_MASK)


def _find(container: str) -> _First | None:
    asked = subprocess.run(
        [
            *podman.command(), "inspect", "--type=container",
            "--format={{.State.Pid}} {{.Id}}", container,
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    if asked.returncode:
        return None
    number, identity = asked.stdout.decode().split()
    pid = int(number)
    try:
        started, capabilities = _started(pid), _bounding_set(pid)
        group = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    # Podman goes on naming the number of a process whose end nobody told it; another may have it.
    return _First(pid, started, capabilities) if started and identity in group else None


def _started(pid: int) -> str:
    """Give when a process began, in ticks since the boot; "" when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[_START]


def _bounding_set(pid: int) -> str:
    """Give what a process and its children may at most be allowed, as setpriv takes it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    mask = int(next(line.split()[1] for line in lines if line.startswith("CapBnd:")), 16)
    return ",".join(["-all", *(f"+cap_{bit}" for bit in range(64) if mask >> bit & 1)])
