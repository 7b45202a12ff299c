"""What a host promises about a switch, proven on the real balancer under its packaged unit."""

from __future__ import annotations

import time

import pytest
from contract.hosts import STORE, Host, Release, content, intent

TAKEN = 22022


def test_takes_over_switches_and_rolls_back_without_a_restart_or_a_failed_request(
    host: Host, first: Release, second: Release
) -> None:
    main = host.main_pid()
    with host.traffic() as traffic:
        taken = host.deploy("c1", second)
        host.must("confirm", "--change", "c1")
        assert host.live_files() == second.files
        back = host.must("rollback")
        assert host.live_files() == first.files
    assert taken["from"] == first.digest and back["to"] == first.digest
    assert host.main_pid() == main
    assert traffic.result["failed"] == 0 and traffic.result["sent"] > 100
    assert traffic.result["servers"].get("9004", 0) > 0


def test_the_worker_that_serves_is_proven_to_be_new_and_to_have_the_release(
    host: Host, second: Release
) -> None:
    before = host.must("status")["running"]["worker_pid"]
    proof = host.deploy("c1", second)["proof"]
    assert proof["reloaded"] and proof["worker_pid"] != before and proof["servers"] == 4
    status = host.must("status", "--files")
    assert status["running"]["agrees"] and status["running"]["worker_pid"] == proof["worker_pid"]
    assert content(status) == second.files
    assert status["pending"]["change"] == "c1" and not status["live"]["confirmed"]


def test_repeating_prepare_activate_and_confirm_changes_nothing(
    host: Host, second: Release
) -> None:
    worker = host.deploy("c1", second)["proof"]["worker_pid"]
    assert not host.prepare("c1", second)["changed"]
    code, again = host.activate("c1", second)
    assert (code, again["changed"], again["proof"]["worker_pid"]) == (0, False, worker)
    assert host.must("confirm", "--change", "c1")["changed"]
    assert not host.must("confirm", "--change", "c1")["changed"]
    assert not host.activate("c1", second)[1]["changed"]


def test_reverts_by_itself_when_nobody_confirms(
    host: Host, first: Release, second: Release
) -> None:
    with host.traffic() as traffic:
        host.deploy("silent", second, lease=2)
        assert host.live_files() == second.files
        host.wait_for(lambda: host.live_files() == first.files, 15, "the revert")
        host.wait_for(lambda: host.must("status")["pending"] is None, 15, "the end of the revert")
    assert traffic.result["failed"] == 0
    code, answer = host.program("confirm", "--change", "silent")
    assert (code, answer["outcome"]) == (11, "reverted")
    assert host.must("status")["running"]["agrees"]


def test_a_renewed_lease_keeps_the_change(host: Host, second: Release) -> None:
    host.deploy("kept", second, lease=2)
    host.must("renew", "--change", "kept", "--lease-seconds", "60")
    time.sleep(3)  # what is waited for is that the first timer did nothing
    status = host.must("status")
    assert status["live"]["release"] == second.digest
    assert 50 < status["pending"]["remaining_seconds"] <= 60


def test_a_reboot_while_unconfirmed_reverts_before_the_balancer_starts(
    host: Host, first: Release, second: Release
) -> None:
    host.deploy("rebooted", second, lease=3600)
    host.reboot()
    status = host.must("status")
    assert status["live"]["release"] == first.digest and status["pending"] is None
    assert status["running"]["agrees"]
    assert status["last"]["change"] == "rebooted" and status["last"]["outcome"] == "reverted"
    show = ("systemctl", "show", "--value", "-p")
    recovered = host.run(*show, "ExecMainExitTimestampMonotonic", f"evenkeel-recover@{host.kind}")
    started = host.run(*show, "ExecMainStartTimestampMonotonic", host.facts["unit"])
    assert 0 < int(recovered) <= int(started)


def test_a_reboot_after_confirmation_changes_nothing(host: Host, second: Release) -> None:
    host.deploy("kept", second)
    host.must("confirm", "--change", "kept")
    host.reboot()
    status = host.must("status")
    assert status["live"] == {
        "release": second.digest,
        "change": "kept",
        "confirmed": True,
        "adopted": True,
    }
    assert status["running"]["agrees"]


def test_an_address_that_the_host_lacks_is_refused_before_anything_is_touched(
    host: Host, first: Release
) -> None:
    bad = host.render(intent(address="192.0.2.1"))
    with host.traffic() as traffic:
        words = ("prepare", "--change", "bad", "--release", bad.digest)
        code, answer = host.program(*words, stdin=bad.archive("bad"))
    assert (code, answer["outcome"]) == (10, "untouched")
    assert "192.0.2.1" in answer["error"]["got"]
    assert host.live_files() == first.files and traffic.result["failed"] == 0


def test_a_port_that_is_taken_after_the_check_makes_the_host_go_back_by_itself(
    host: Host, first: Release
) -> None:
    taken = host.render(intent(port=TAKEN))
    host.prepare("taken", taken)
    code = f"import socket,time;s=socket.create_server(('127.0.0.1',{TAKEN}));time.sleep(600)"
    host.run("systemd-run", "--quiet", "--unit=taker", "/usr/bin/python3", "-c", code)
    try:
        host.wait_for(lambda: f":{TAKEN:04X} " in host.run("cat", "/proc/net/tcp"), 10, "the bind")
        status, answer = host.activate("taken", taken)
    finally:
        host.run("systemctl", "stop", "taker")
    assert (status, answer["outcome"]) == (11, "reverted")
    assert "not loaded" in answer["error"]["got"]
    assert host.live_files() == first.files
    assert host.drive(9)["failed"] == 0
    after = host.must("status")
    assert after["pending"] is None and after["running"]["agrees"]


def test_killed_during_the_takeover_the_host_serves_and_recovers(
    host: Host, first: Release, second: Release
) -> None:
    host.prepare("killed", second)
    for step in ("journal taken over: rename", "live: rename"):
        done = host.execute("python3", "-c", _KILLER, host.kind, step, "after", second.digest)
        assert done.returncode == 137
        assert host.live_files() == first.files and host.drive(9)["failed"] == 0
    assert host.must("recover")["changed"]
    status = host.must("status")
    assert status["live"]["adopted"] and status["running"]["agrees"] and not status["drift"]


@pytest.mark.parametrize(
    "step",
    [
        "journal started: rename",
        "timer: arm",
        "live: rename",
        "balancer: reload",
        "journal activated: rename",
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_in_the_middle_the_host_has_one_release_and_recovers(
    host: Host, first: Release, second: Release, step: str, moment: str
) -> None:
    host.deploy("taken-over", first)
    host.must("confirm", "--change", "taken-over")
    host.prepare("killed", second)
    done = host.execute("python3", "-c", _KILLER, host.kind, step, moment, second.digest)
    assert done.returncode == 137
    assert host.live_files() in (first.files, second.files)
    assert host.drive(9)["failed"] == 0
    host.must("recover")
    if (step, moment) == ("journal activated: rename", "after"):
        assert host.live_files() == second.files
        host.must("rollback")
    status = host.must("status")
    assert status["pending"] is None and status["running"]["agrees"]
    assert host.live_files() == first.files
    assert not host.must("recover")["changed"]


_KILLER = """
import os, signal, sys
sys.path.insert(0, "/usr/local/sbin/evenkeel-host")
from evenkeel.host.main import main
from evenkeel.host.system.steps import Steps

kind, wanted, moment, digest = sys.argv[1:]

class Killer(Steps):
    def run(self, name, action):
        if name == wanted and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = action()
        if name == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

words = ["--balancer", kind, "activate", "--change", "killed", "--release", digest]
main([*words, "--lease-seconds", "600"], stdin=sys.stdin.buffer, steps=Killer())
"""


def test_an_edit_by_hand_is_seen_and_not_overwritten_against_the_review(
    host: Host, first: Release, second: Release
) -> None:
    host.deploy("c1", second)
    host.must("confirm", "--change", "c1")
    path = next(iter(host.facts["native_paths"].values()))
    host.run("sh", "-c", f"printf '# by hand\\n' >> {path}")
    status = host.must("status")
    assert status["drift"] and not status["running"]["agrees"]
    third = host.render(intent(servers=2))
    host.prepare("c2", third)
    code, answer = host.program(
        "activate", "--change", "c2", "--release", third.digest, "--lease-seconds", "60",
        "--base", second.digest,
    )  # fmt: skip
    assert (code, answer["outcome"]) == (10, "untouched")


def test_a_damaged_release_is_mended_from_its_snapshot_on_the_way_back(
    host: Host, first: Release, second: Release
) -> None:
    host.deploy("c1", second)
    host.must("confirm", "--change", "c1")
    name = next(iter(first.files))
    damaged = f"{STORE}/{host.kind}/releases/{first.digest}/{name}"
    host.run("sh", "-c", f"echo damaged > {damaged}")
    assert host.must("rollback")["to"] == first.digest
    assert host.live_files() == first.files
    assert host.drive(9)["failed"] == 0


def test_a_host_with_nothing_to_go_back_to_says_so(host: Host) -> None:
    code, answer = host.program("rollback")
    assert (code, answer["outcome"]) == (10, "untouched")
    assert "nothing to go back to" in answer["error"]["what"]


def test_a_balancer_that_died_is_started_with_what_was_confirmed(
    host: Host, first: Release, second: Release
) -> None:
    host.deploy("c1", second)
    host.run("systemctl", "stop", host.facts["unit"])
    assert host.must("rollback")["outcome"] == "reverted"
    assert host.live_files() == first.files and host.drive(9)["failed"] == 0


def test_files_that_were_never_loaded_are_not_taken_over(host: Host, second: Release) -> None:
    path = next(iter(host.facts["native_paths"].values()))
    host.run("sh", "-c", f"printf '# later\\n' >> {path}")
    host.prepare("c1", second)
    code, answer = host.activate("c1", second)
    assert (code, answer["outcome"]) == (10, "untouched")
    assert "changed after" in answer["error"]["got"]
