"""The container was what it claims to be: these bytes, this unit, this program, no network."""

import hashlib

from evenkeel.rehearsal.checks import isolation


def test_the_bytes_on_disk_are_those_of_the_manifest(rehearsed):
    if not rehearsed.activated:
        return  # A refused candidate has no bytes on disk; another check reports it.
    live = f"/var/lib/evenkeel/{rehearsed.world['balancer']}/live"
    for name, facts in rehearsed.world["files"].items():
        content = rehearsed.host.file(f"{live}/{name}").content
        assert hashlib.sha256(content).hexdigest() == facts["sha256"], name


def test_the_balancer_runs_under_its_unit(rehearsed):
    service = rehearsed.host.service(rehearsed.world["balancer"])
    assert service.is_running
    assert service.is_enabled


def test_no_network_but_the_container_s_own(rehearsed):
    assert not isolation.network(rehearsed.host.check_output("ls /sys/class/net").split())


def test_no_right_that_reaches_out_of_the_container(rehearsed):
    assert not isolation.rights(rehearsed.host.check_output("cat /proc/1/status"))


def test_nothing_of_the_controller_is_mounted(rehearsed):
    assert not isolation.mounts(rehearsed.host.check_output("cat /proc/self/mountinfo"))
