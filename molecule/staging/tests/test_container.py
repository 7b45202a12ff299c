"""The container was what it claims to be: these bytes, this unit, this program, no network."""

import hashlib

# File systems of a machine's own disks.
DISKS = ("ext", "xfs", "btrfs", "zfs", "virtiofs", "9p", "nfs")


def test_the_bytes_on_disk_are_those_of_the_manifest(rehearsed):
    if not rehearsed.activated:
        return  # A candidate that was refused has no bytes on disk; that is a check of its own.
    live = f"/var/lib/evenkeel/{rehearsed.world['balancer']}/live"
    for name, facts in rehearsed.world["files"].items():
        content = rehearsed.host.file(f"{live}/{name}").content
        assert hashlib.sha256(content).hexdigest() == facts["sha256"], name


def test_the_balancer_runs_under_its_unit(rehearsed):
    service = rehearsed.host.service(rehearsed.world["balancer"])
    assert service.is_running
    assert service.is_enabled


def test_no_network_but_the_container_s_own(rehearsed):
    links = rehearsed.host.check_output("ls /sys/class/net").split()
    assert links == ["lo"]


def test_no_right_that_reaches_out_of_the_container(rehearsed):
    status = rehearsed.host.check_output("cat /proc/1/status").splitlines()
    words = dict(line.split(":", 1) for line in status)
    bounds = int(words["CapBnd"], 16)
    # Raw sockets, kernel modules, raw devices, tracing, administration, reboot, time, device files.
    for number in (13, 16, 17, 19, 21, 22, 25, 27, 39):
        assert not bounds & 1 << number, number
    assert words["NoNewPrivs"].strip() == "1"


def test_nothing_of_the_controller_is_mounted(rehearsed):
    lines = rehearsed.host.check_output("cat /proc/self/mountinfo").splitlines()
    # What the container engine itself puts there.
    own = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/dev/null"}
    disks = [line.split()[4] for line in lines if line.split(" - ")[1].startswith(DISKS)]
    assert set(disks) <= own | {"/run/secrets"}
