"""Whether a container is sealed, from the words of its own kernel: pure functions.

Each gives "" for a sealed container, and otherwise what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

# Capabilities that reach out: raw sockets, modules, devices, tracing, time.
_REACHING_OUT = (13, 16, 17, 19, 21, 22, 25, 27, 39)
# File systems of real disks.
_DISKS = ("ext", "xfs", "btrfs", "zfs", "virtiofs", "9p", "nfs")
# Mounts of the container engine.
_ENGINE_MOUNTS = {
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/dev/null"),
    "/run/secrets",
}


def network(links: Iterable[str]) -> str:
    """Check the names of the network's links: loopback must be the only one."""
    names = sorted(links)
    return "" if names == ["lo"] else ", ".join(names) or "no link at all"


def rights(status: str) -> str:
    """Check /proc/1/status: no capability reaches out, and no process can gain one."""
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    bounds = int(fields["CapBnd"], 16)
    held = [str(number) for number in _REACHING_OUT if bounds & 1 << number]
    if fields["NoNewPrivs"].strip() != "1":
        held.append("new privileges")
    return ", ".join(held)


def mounts(mountinfo: str) -> str:
    """Check /proc/self/mountinfo: no disk of the controller is mounted."""
    lines = [line for line in mountinfo.splitlines() if " - " in line]
    disks = {line.split()[4] for line in lines if line.split(" - ")[1].startswith(_DISKS)}
    return ", ".join(sorted(disks - _ENGINE_MOUNTS))
