"""What every balancer's driver owes to the switch, proven on the real balancer."""

from __future__ import annotations

import json

from contract.hosts import Host, Release, intent, release_of

from evenkeel.containers.names import ROOT
from evenkeel.host.system.driver import CAPABILITY_NAMES
from evenkeel.program import build_of


def broken(release: Release) -> Release:
    return release_of({name: data + b"}} gugus\n" for name, data in release.files.items()})


def test_the_host_says_which_program_and_which_driver_it_has(host: Host) -> None:
    assert host.must("status")["build"] == build_of(ROOT / "roles" / f"balancer_{host.kind}")


def test_states_every_capability(host: Host) -> None:
    capabilities = host.facts["capabilities"]
    assert set(capabilities) == set(CAPABILITY_NAMES)
    assert all(isinstance(value, bool) for value in capabilities.values())


def test_check_refuses_what_the_balancer_cannot_read_and_nothing_is_kept(
    host: Host, first: Release
) -> None:
    bad = broken(first)
    words = ("prepare", "--change", "bad", "--release", bad.digest)
    code, answer = host.program(*words, stdin=bad.archive("bad"))
    assert (code, answer["outcome"]) == (10, "untouched")
    assert "own check" in answer["error"]["what"] and answer["error"]["got"]
    assert host.run("ls", "-A", f"/var/lib/evenkeel/{host.kind}/releases") == ""


def test_declares_the_pools_and_servers_that_it_loads(host: Host, first: Release) -> None:
    folder = "/run/declared"
    for name, data in first.files.items():
        host.write(f"{folder}/{name}", data, "0644")
    result = host.python(f"result = [driver.declared({folder!r}), driver.loaded()['pools']]")
    assert result[0] == result[1] == {"web": ["web1", "web2", "web3"]}


def test_a_reload_gives_a_new_worker_of_the_same_main_process(host: Host) -> None:
    main = host.main_pid()
    before, proof, after = host.python(
        "result = [driver.loaded(), driver.reload(30.0), driver.loaded()]"
    )
    assert before["worker_pid"] != proof["worker_pid"] == after["worker_pid"]
    assert before["worker_started"] < proof["worker_started"] == after["worker_started"]
    assert host.main_pid() == main


def test_a_reload_that_loads_nothing_is_noticed(host: Host, first: Release) -> None:
    for name, path in host.facts["native_paths"].items():
        host.write(path, broken(first).files[name], "0644")
    said = host.python(
        "from evenkeel.host.errors import BalancerError\n"
        "before = driver.loaded()\n"
        "try:\n    driver.reload(30.0)\n    fault = ''\n"
        "except BalancerError as error:\n    fault = str(error)\n"
        "result = [fault, before == driver.loaded()]"
    )
    assert said[0] and said[1]


def test_counts_each_request_at_the_server_that_got_it(host: Host) -> None:
    sent = host.drive(30)
    assert sent == {"sent": 30, "failed": 0, "servers": {"9001": 10, "9002": 10, "9003": 10}}
    servers = host.python("result = driver.observe()")["pools"]["web"]["servers"]
    assert {name: facts["requests"] for name, facts in servers.items()} == {
        "web1": 10,
        "web2": 10,
        "web3": 10,
    }
    for name, facts in servers.items():
        assert (facts["address"], facts["port"]) == ("127.0.0.1", 9000 + int(name[-1]))
        assert facts["status"] == "active" and facts["weight"] == 100.0
        assert facts["errors"] == 0 and facts["backup"] is False


def test_counts_an_error_at_the_server_that_failed(host: Host) -> None:
    host.run("systemctl", "stop", "web.service")
    try:
        assert host.drive(6)["failed"] == 6
    finally:
        host.run("systemctl", "start", "web.service")
    servers = host.python("result = driver.observe()")["pools"]["web"]["servers"]
    assert sum(facts["errors"] for facts in servers.values()) == 6


def test_a_drained_server_gets_nothing_until_it_is_back(host: Host) -> None:
    host.python("result = driver.drain('web', 'web2')")
    assert "9002" not in host.drive(20)["servers"]
    servers = host.python("result = driver.observe()")["pools"]["web"]["servers"]
    assert servers["web2"]["status"] == "draining"
    host.python("result = driver.undrain('web', 'web2')")
    assert host.drive(30)["servers"]["9002"] == 10


def test_what_was_changed_at_run_time_survives_activation_and_rollback(
    host: Host, second: Release
) -> None:
    host.python("result = driver.drain('web', 'web2')")
    state = host.python("result = driver.runtime_state()")
    host.deploy("drained", second)
    assert host.python("result = driver.runtime_state()") == state
    assert "9002" not in host.drive(30)["servers"]
    host.must("rollback")
    assert host.python("result = driver.runtime_state()") == state
    assert "9002" not in host.drive(30)["servers"]


def test_weights_are_those_of_the_configuration(host: Host) -> None:
    host.deploy("weights", host.render(intent(weight=50)))
    servers = host.python("result = driver.observe()")["pools"]["web"]["servers"]
    assert servers["web1"]["weight"] * 2 == servers["web2"]["weight"]
    assert host.drive(50)["servers"] == {"9001": 10, "9002": 20, "9003": 20}


def test_what_runs_code_or_shows_other_files_is_refused_before_the_balancer_reads_it(
    host: Host, first: Release
) -> None:
    attacks = {
        "haproxy": [
            b"global\n    lua-load /run/contract.lua\n",
            b"backend y\n    acl x src -f /etc/shadow\n",
            b"backend y\n    errorfile 503 /etc/shadow\n",
            b"global\n    user root\n",
        ]
    }
    host.write("/run/contract.lua", b'io.open("/run/contract-lua-ran", "w"):close()\n', "0644")
    assert host.kind in attacks, "say how a release of this balancer could run code"
    for attack in attacks[host.kind]:
        bad = release_of({name: data + attack for name, data in first.files.items()})
        words = ("prepare", "--change", "bad", "--release", bad.digest, "--check-only")
        code, answer = host.program(*words, stdin=bad.archive("bad"))
        assert (code, answer["outcome"]) == (10, "untouched")
        assert "line " in answer["error"]["got"] and "root:" not in json.dumps(answer)
    assert host.execute("test", "-e", "/run/contract-lua-ran").returncode == 1


def test_a_file_beside_those_that_the_balancer_reads_is_refused(host: Host, first: Release) -> None:
    bad = release_of({**first.files, "x.lua": b"os.exit()\n"})
    words = ("prepare", "--change", "bad", "--release", bad.digest, "--check-only")
    code, answer = host.program(*words, stdin=bad.archive("bad"))
    assert code == 10 and answer["error"]["got"] == "x.lua"
