"""A reload that was proven, and what became of it: seen before anybody confirms."""

from __future__ import annotations

from typing import Any

import pytest
from unit.host.fakes import FIRST, SECOND, THIRD, Host

from evenkeel.host.errors import BalancerError

OBSERVE = ("observe", "--change", "c1", "--seconds", "5", "--judge")


def facts(host: Host, **more: Any) -> None:
    """Let the driver tell more of the process than the worker."""
    for name in ("loaded", "observe"):
        look = getattr(type(host.driver), name)
        setattr(host.driver, name, lambda look=look: {**look(host.driver), **more})


def restarted(host: Host) -> None:
    """The worker died after its reload was proven, and the service started it again."""
    facts(host, service_started=1.0)
    host.deploy("c1", SECOND, confirm=False)
    facts(host, service_started=2.0)
    host.driver.spawn()


def test_a_worker_that_died_after_its_proof_is_not_confirmed(host: Host) -> None:
    restarted(host)
    code, answer = host.program("confirm", "--change", "c1")
    assert code == 10 and "has died" in answer["error"]["got"]
    assert host.status()["pending"]["change"] == "c1"


def test_a_worker_that_died_is_seen_by_observe_and_taken_back(host: Host) -> None:
    restarted(host)
    code, answer = host.program(*OBSERVE, "--revert-on-fail")
    assert code == 11 and "has died" in answer["reasons"][0]
    assert host.live() == host.driver.running() == FIRST


def test_a_worker_that_died_is_taken_back_by_recover(host: Host) -> None:
    restarted(host)
    assert "reverted" in host.must("recover")["repaired"][-1]
    assert host.live() == host.driver.running() == FIRST


def test_a_service_that_stayed_is_confirmed(host: Host) -> None:
    facts(host, service_started=1.0)
    host.deploy("c1", SECOND)
    assert host.status()["live"]["confirmed"]


def test_one_more_reload_is_refused_when_many_old_workers_are_leaving(host: Host) -> None:
    host.deploy("c1", SECOND)
    facts(host, leaving=20)
    host.prepare("c2", THIRD)
    code, answer = host.activate("c2", THIRD)
    assert (code, answer["outcome"]) == (10, "untouched")
    assert "old workers" in answer["error"]["what"] and answer["error"]["got"] == "20"
    assert host.live() == SECOND


@pytest.mark.parametrize("verb", [("rollback",), ("rollback", "--undo", "c1")])
def test_going_back_is_never_refused_for_workers_that_are_leaving(
    host: Host, verb: tuple[str, ...]
) -> None:
    host.deploy("c1", SECOND)
    facts(host, leaving=200)
    assert host.must(*verb)["changed"]
    assert host.live() == host.driver.running() == FIRST


def test_status_and_metrics_count_the_workers_that_are_leaving(host: Host) -> None:
    host.deploy("c1", SECOND)
    facts(host, leaving=7)
    assert host.status()["running"]["leaving"] == 7
    assert 'evenkeel_leaving_workers{balancer="fake"} 7' in host.must("metrics")["text"]


def test_a_balancer_that_hangs_in_its_reload_reads_the_old_release_when_it_is_back(
    host: Host,
) -> None:
    host.prepare("c1", SECOND)
    reload, look = host.driver.reload, host.driver.loaded
    hanging = BalancerError("the master did not answer in 10 s")

    def hangs(timeout_seconds: float = 0.0) -> Any:
        host.driver.loaded = hangs
        raise hanging

    host.driver.reload = hangs
    code, answer = host.activate("c1", SECOND)
    assert (code, answer["outcome"]) == (12, "failed")
    assert host.live() == FIRST
    host.driver.reload, host.driver.loaded = reload, look
    host.clock.moved += 100
    assert host.must("expire")["outcome"] == "reverted"
    assert host.driver.running() == FIRST
