"""Drains on record, proven on the real balancer: no request gets through, none is forgotten."""

from __future__ import annotations

from typing import Any

from contract.hosts import Host, Release, intent

OUT = ("--pool", "web", "--server", "web2")
WHY = ("--reason", "disk full", "--owner", "ann")


def drains(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.must("status")["drains"]
    return found


def asked(host: Host) -> set[str]:
    """The servers that some requests in a row come to."""
    return set(host.drive(20)["servers"])


def test_a_drain_on_record_keeps_requests_away_through_every_switch(
    host: Host, first: Release, second: Release
) -> None:
    assert host.must("drain", *OUT, *WHY)["changed"]
    assert not host.must("drain", *OUT, *WHY)["changed"]
    for step in (
        lambda: host.deploy("c1", second),
        lambda: host.must("confirm", "--change", "c1"),
        lambda: host.must("rollback"),
        lambda: host.deploy("c2", second),
        lambda: host.must("rollback"),
    ):
        step()
        assert "9002" not in asked(host)
        (shown,) = drains(host)
        assert shown["in_force"] and (shown["reason"], shown["owner"]) == ("disk full", "ann")
    assert host.live_files() == first.files
    assert host.must("undrain", *OUT)["changed"]
    assert drains(host) == [] and "9002" in asked(host)


def test_a_drain_ends_by_itself(host: Host) -> None:
    host.must("drain", *OUT, *WHY, "--for-seconds", "2")
    assert "9002" not in asked(host)
    host.wait_for(lambda: drains(host) == [], 20, "the end of the drain")
    assert "9002" in asked(host)


def test_a_restart_of_the_balancer_does_not_end_a_drain_for_good(host: Host) -> None:
    host.must("drain", *OUT, *WHY)
    host.run("systemctl", "restart", host.facts["unit"])
    assert [one["in_force"] for one in drains(host)] == [False]
    assert host.must("recover")["changed"]
    assert [one["in_force"] for one in drains(host)] == [True] and "9002" not in asked(host)
    assert not host.must("recover")["changed"]


def test_after_a_boot_a_drain_is_put_in_force_again_by_itself(host: Host) -> None:
    host.must("drain", *OUT, *WHY, "--for-seconds", "3600")
    host.reboot()
    host.wait_for(lambda: drains(host)[0]["in_force"], 30, "the drain after the boot")
    assert "9002" not in asked(host)


def test_a_drain_survives_the_revert_of_a_change_without_its_server(host: Host) -> None:
    host.must("drain", "--pool", "web", "--server", "web3", *WHY)
    host.deploy("fewer", host.render(intent(servers=2)))
    assert [one["in_force"] for one in drains(host)] == [False]
    host.must("rollback")
    assert [one["in_force"] for one in drains(host)] == [True] and "9003" not in asked(host)


def test_the_record_of_a_server_that_was_confirmed_away_is_dropped(host: Host) -> None:
    host.must("drain", "--pool", "web", "--server", "web3", *WHY)
    host.deploy("fewer", host.render(intent(servers=2)))
    assert "web/web3" in host.must("confirm", "--change", "fewer")["notes"][0]
    assert drains(host) == []


def test_a_server_that_is_drained_by_hand_is_listed_and_can_be_brought_back(host: Host) -> None:
    host.python("result = driver.drain('web', 'web1')")
    assert host.python("result = driver.drained()") == {"web": {"web1": "draining"}}
    assert [(one["server"], one["owner"]) for one in drains(host)] == [("web1", "")]
    host.must("undrain", "--pool", "web", "--server", "web1")
    assert drains(host) == [] and "9001" in asked(host)


def test_a_server_that_the_balancer_does_not_have_is_refused(host: Host) -> None:
    code, answer = host.program("drain", "--pool", "web", "--server", "web9", *WHY)
    assert (code, answer["outcome"]) == (10, "untouched")
    assert answer["error"]["wanted"] == "one of web1, web2, web3"
