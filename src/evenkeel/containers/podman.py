"""Call podman, with what it needs to run systemd in a container on a machine of few rights."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterable, Sequence

from evenkeel.errors import Refused

# Debian's podman lowers its own process limit to this first.
_PODMAN_PROCESSES = 32768
_NOISE = b"failed to connect to syslog"
_LARGEST_ERROR = 2000


def command() -> list[str]:
    """Give the words that every call of podman starts with; networks of systemd hosts need root."""
    return [*as_root(), "podman", "--runtime", "runc"]


def as_root() -> list[str]:
    """Give the words that make a command run as root: none for root itself."""
    return [] if os.geteuid() == 0 else ["sudo"]


def limits() -> list[str]:
    """Give the `--ulimit` options that a container can be started with here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = (
        _PODMAN_PROCESSES if most == resource.RLIM_INFINITY else min(most, _PODMAN_PROCESSES)
    )
    return [f"--ulimit=nofile={soft}:{hard}", f"--ulimit=nproc={processes}:{processes}"]


def systemd() -> list[str]:
    """Give the options of `podman run` or `create` for a container that boots systemd."""
    return ["--systemd=always", "--cap-add=NET_ADMIN", *limits()]


def without_noise(stderr: bytes) -> str:
    """Give what podman said without the line that conmon prints where no syslog runs."""
    lines = (line for line in stderr.splitlines() if _NOISE not in line)
    return b"\n".join(lines).decode(errors="replace").strip()


def call(
    arguments: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, wrong: str = ""
) -> bytes:
    """Run `podman ARGUMENTS` and give its output.

    Raises Refused, with `wrong` as its sentence, when it fails or takes more than `timeout`
    seconds.
    """
    what = wrong or f"podman {arguments[0]} failed"
    try:
        done = subprocess.run(
            [*command(), *arguments], input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise Refused(what, got="podman is not installed", next_step="scripts/setup") from None
    except subprocess.TimeoutExpired:
        raise Refused(what, got=f"no end within {timeout:.0f} s") from None
    if done.returncode:
        said = without_noise(done.stderr) or done.stdout.decode(errors="replace").strip()
        raise Refused(what, got=said[-_LARGEST_ERROR:] or f"exit code {done.returncode}")
    return done.stdout


def succeeds(arguments: Sequence[str], *, timeout: float = 60) -> bool:
    """Tell whether `podman ARGUMENTS` ends with 0."""
    try:
        call(arguments, timeout=timeout)
    except Refused:
        return False
    return True


def remove(containers: Iterable[str]) -> None:
    """Remove containers at once, running or not; it is no error when one is not there."""
    names = list(containers)
    if names:
        call(["rm", "--force", "--ignore", "--time=0", "--volumes", *names], timeout=120)
