"""The lab is what it says it is: real hosts, sealed off, safe to start again and fully removed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.helpers import wait_until
from evenkeel_proof import lab
from evenkeel_proof.lab import client_unit, enter
from evenkeel_proof.lab.running import served_by

from evenkeel.containers import names, podman
from evenkeel.errors import Refused


def ssh(fleet, host, *command, user="evenkeel"):
    words = fleet.ssh(host, user)
    # What comes first counts, so a host that is cut off is not waited for as long as usual.
    words[1:1] = ["-o", "ConnectTimeout=2"]
    return subprocess.run([*words, *command], capture_output=True, timeout=30)


def stray(fleet, owner, *, machine):
    """A container such as a killed start leaves behind, in the name of lab `owner`."""
    name = names.resource(owner, machine)
    labels = [f"--label={names.label(owner)}", f"--label=evenkeel.machine={machine}"]
    podman.call(["create", f"--name={name}", *labels, "--network=none", fleet.image])
    return name


def exists(container):
    return podman.succeeds(["container", "exists", container])


def test_balancers_send_round_robin_to_the_three_servers_of_the_hand_made_configuration(fleet):
    for address in fleet.hosts.values():
        assert {served_by(address) for _ in range(12)} == {"web1", "web2", "web3"}


def test_every_web_server_answers_at_its_own_address_with_who_it_is(fleet):
    assert {name: served_by(address) for name, address in fleet.web.items()} == {
        name: name for name in fleet.web
    }


def test_the_balancer_runs_under_its_packaged_unit(fleet):
    shown = fleet.exec("lb1", ["systemctl", "show", "-P", "FragmentPath", "haproxy"])
    assert shown.stdout.decode().strip() == "/lib/systemd/system/haproxy.service"


def test_the_deploy_user_gets_in_by_key_and_has_no_sudo_rule_yet(fleet):
    assert ssh(fleet, "lb1", "id", "-un").stdout == b"evenkeel\n"
    assert ssh(fleet, "lb1", "sudo", "-n", "true").returncode != 0


def test_the_administrator_may_do_everything(fleet):
    assert ssh(fleet, "lb1", "sudo", "-n", "id", "-un", user="admin").stdout == b"root\n"


def test_ssh_refuses_a_host_that_shows_another_key(fleet, tmp_path):
    other = (fleet.state / "hosts" / "lb2.pub").read_text().split()[:2]
    wrong = tmp_path / "known_hosts"
    wrong.write_text(" ".join([fleet.hosts["lb1"], *other]) + "\n")
    words = [word.replace(str(fleet.known_hosts), str(wrong)) for word in fleet.ssh("lb1")]
    done = subprocess.run([*words, "true"], capture_output=True, timeout=30)
    assert done.returncode == 255
    assert b"HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_a_command_in_a_machine_has_the_surroundings_that_podman_would_give_it(fleet):
    asked = [
        "sh", "-c",
        "id; umask; hostname; pwd; echo $PATH $HOME $container; grep Cap /proc/self/status;"
        " readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/uts",
    ]  # fmt: skip
    wanted = podman.call(["exec", fleet.container("lb1"), *asked])
    assert fleet.exec("lb1", asked).stdout == wanted


def test_a_command_ends_with_the_patience_of_who_called_for_it(fleet):
    with pytest.raises(subprocess.TimeoutExpired):
        fleet.exec("lb1", ["sleep", "1234"], timeout=1)
    wait_until(lambda: fleet.exec("lb1", ["pgrep", "-f", "sleep 1234"]).returncode == 1, "its end")


def test_what_is_sent_to_all_of_a_group_in_a_machine_reaches_nobody_outside(fleet):
    assert fleet.exec("lb1", ["sh", "-c", "kill -TERM 0"]).returncode == 128 + 15


def test_a_command_for_a_machine_that_does_not_run_goes_nowhere(fleet):
    left = stray(fleet, f"{fleet.name}-2", machine="lb1")
    try:
        done = enter.run(left, ["touch", "/here"])
        assert done.returncode != 0 and b"only" in done.stderr and b"running" in done.stderr
    finally:
        podman.remove([left])


def test_no_machine_finds_a_way_out_of_the_lab(fleet):
    for machine in ("lb1", "web", "client"):
        # 192.0.2.0/24 is nobody's: it stands for everything outside.
        assert fleet.exec(machine, ["ip", "route", "get", "192.0.2.1"]).returncode != 0


def test_ansible_reaches_every_host_of_the_inventory(fleet):
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible"), "-i", fleet.inventory, "all", "-m", "ping"],
        # Ansible refuses a stdin that does not block, and what a runner hands on may be one.
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        cwd=fleet.root,
        env=os.environ | fleet.environment,
    )
    assert done.stdout.count(b"SUCCESS") == len(fleet.hosts)


def test_the_inventory_of_a_lab_that_is_not_running_says_how_to_start_it(fleet):
    done = subprocess.run(
        [fleet.inventory / "hosts.py"],
        capture_output=True,
        timeout=30,
        env=os.environ | {"EVENKEEL_LAB": "never-started"},
    )
    assert done.returncode == 10
    assert b"scripts/lab start" in done.stderr
    assert b"Traceback" not in done.stderr


def test_reloading_under_traffic_fails_no_request(fleet, traffic):
    for _ in range(3):
        for host in fleet.hosts:
            assert fleet.exec(host, ["systemctl", "reload", "haproxy"]).returncode == 0
        client_unit.wait_for(fleet, requests=traffic()["requests"] + 200)
    totals = traffic()
    assert (totals["failed"], totals["reasons"]) == (0, {})
    assert all(len(b["servers"]) == 3 for b in totals["balancers"].values())


def test_traffic_leaves_its_totals_and_a_line_for_every_second(fleet):
    client_unit.start(fleet, rate=40, seconds=2)
    with pytest.raises(Refused, match="ended before"):
        client_unit.wait_for(fleet, requests=10_000)
    totals = client_unit.stop(fleet)
    lines = client_unit.progress_file(fleet).read_text().splitlines()
    assert [json.loads(line)["requests"] for line in lines] == sorted(
        json.loads(line)["requests"] for line in lines
    )
    # 40 a second for 3 balancers and 2 seconds, less what the ends cut off.
    assert 200 <= totals["requests"] <= 264


def test_a_host_that_is_cut_off_answers_nobody_until_it_is_healed(fleet):
    fleet.cut("lb2")
    try:
        assert ssh(fleet, "lb2", "true").returncode == 255
        assert served_by(fleet.hosts["lb1"])
    finally:
        fleet.heal("lb2")
    assert ssh(fleet, "lb2", "true").returncode == 0


@pytest.mark.parametrize("hard", [False, True])
def test_a_machine_that_boots_again_keeps_its_files_and_address(fleet, hard):
    fleet.exec("lb3", ["touch", "/etc/haproxy/mark"])
    again = fleet.restart("lb3", hard=hard)
    assert again.boots["lb3"] != fleet.boots["lb3"]
    assert ssh(fleet, "lb3", "test", "-e", "/etc/haproxy/mark").returncode == 0
    assert fleet.exec("lb3", ["test", "-e", "/etc/haproxy/mark"]).returncode == 0
    assert served_by(fleet.hosts["lb3"])


def test_starting_again_keeps_every_machine(fleet):
    before = lab.load()
    assert lab.start() == before


def test_starting_again_replaces_a_dead_machine_and_removes_what_a_killed_start_left(fleet):
    before = lab.load()
    podman.call(["kill", fleet.container("lb3")])
    left = stray(fleet, fleet.name, machine="lb9")
    other = stray(fleet, f"{fleet.name}-2", machine="lb1")
    try:
        after = lab.start()
        assert not exists(left)
        assert exists(other)
        assert {m for m in after.boots if after.boots[m] != before.boots[m]} == {"lb3"}
    finally:
        podman.remove([other])


def test_stopping_one_lab_removes_all_of_it_and_nothing_of_another(fleet, monkeypatch):
    before = lab.load()
    with monkeypatch.context() as patch:
        patch.setenv("EVENKEEL_LAB", f"{fleet.name}-2")
        other = lab.start(1)
        assert other.subnet != fleet.subnet
        lab.stop()
        with pytest.raises(Refused, match="not running"):
            lab.load()
        listed = podman.call(["ps", "-aq", f"--filter=label={names.label(other.name)}"])
        assert listed == b""
        assert not podman.succeeds(["network", "exists", names.resource(other.name)])
    assert lab.start() == before
