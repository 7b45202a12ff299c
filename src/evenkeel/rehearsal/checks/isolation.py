"""Whether a container is sealed, from what its own kernel says: pure functions.

Each gives "" when all is well, and otherwise what is not.
"""

from __future__ import annotations

from collections.abc import Iterable

# Raw sockets, kernel modules, raw devices, tracing, administration, reboot, time, device files.
_REACHING_OUT = (13, 16, 17, 19, 21, 22, 25, 27, 39)
# File systems of a machine's own disks.
_DISKS = ("ext", "xfs", "btrfs", "zfs", "virtiofs", "9p", "nfs")
# What the container engine itself puts there.
_ENGINE_S_OWN = {
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/dev/null"),
    "/run/secrets",
}


def network(links: Iterable[str]) -> str:
    """Look at the names of the network's links: there is no network but the container's own."""
    found = sorted(links)
    return "" if found == ["lo"] else ", ".join(found) or "no link at all"


def rights(status: str) -> str:
    """Look at /proc/1/status: no capability reaches out, and nothing can gain one."""
    words = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    bounds = int(words["CapBnd"], 16)
    held = [str(number) for number in _REACHING_OUT if bounds & 1 << number]
    if words["NoNewPrivs"].strip() != "1":
        held.append("new privileges")
    return ", ".join(held)


def mounts(mountinfo: str) -> str:
    """Look at /proc/self/mountinfo: nothing of the controller's disks is there."""
    lines = [line for line in mountinfo.splitlines() if " - " in line]
    disks = {line.split()[4] for line in lines if line.split(" - ")[1].startswith(_DISKS)}
    return ", ".join(sorted(disks - _ENGINE_S_OWN))
