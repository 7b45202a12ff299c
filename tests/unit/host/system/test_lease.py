from io import BytesIO

import pytest
from unit.host.fakes import FIRST, SECOND, THIRD, FakeClock, Host, digest

from evenkeel.host.main import answer_of
from evenkeel.host.state.machine import Machine
from evenkeel.host.system import lock
from evenkeel.host.system.lease import Clock, grant, is_over, remaining
from evenkeel.host.system.steps import Steps
from evenkeel.host.verbs.rollback import RETRY_SECONDS


def test_a_lease_ends_when_its_seconds_are_over() -> None:
    clock = FakeClock()
    lease = grant(clock, 10)
    assert 9 < remaining(clock, lease) <= 10
    clock.moved += 10
    assert is_over(clock, lease)


def test_a_lease_of_another_boot_is_over() -> None:
    clock = FakeClock()
    lease = grant(clock, 1000)
    clock.boot = "boot-2"
    assert is_over(clock, lease)


def test_the_real_clock_has_a_boot() -> None:
    assert len(Clock().boot_id()) == 36


def test_expire_reverts_what_nobody_confirmed(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 61
    assert host.must("expire")["outcome"] == "reverted"
    assert host.live() == host.driver.running() == FIRST


def test_expire_arms_the_timer_again_for_what_was_renewed(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 50
    host.must("renew", "--change", "c1", "--lease-seconds", "60")
    host.clock.moved += 15
    host.units.armed.clear()
    assert host.must("expire")["outcome"] == "renewed"
    assert 40 < next(iter(host.units.armed.values())) < 46
    assert host.live() == SECOND


def test_a_lease_that_is_made_shorter_has_a_timer_that_is(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.must("renew", "--change", "c1", "--lease-seconds", "3")
    assert list(host.units.armed.values()) == [3.0]
    host.clock.moved += 4
    assert host.must("expire")["outcome"] == "reverted"


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_jump_of_the_wall_clock_neither_ends_nor_stretches_a_lease(
    host: Host, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    true_wall = host.clock.wall
    monkeypatch.setattr(host.clock, "wall", lambda: true_wall() + jump)
    assert host.must("expire")["outcome"] == "renewed"
    assert host.live() == SECOND
    host.clock.moved += 61
    assert host.must("expire")["outcome"] == "reverted"
    assert host.live() == host.driver.running() == FIRST


def test_a_revert_says_how_late_it_was(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 63
    assert 2 < host.must("expire")["late_seconds"] < 60
    assert host.status()["last"]["late_seconds"] > 2
    text = host.must("metrics")["text"]
    assert 'evenkeel_last_outcome_info{balancer="fake",change="c1",outcome="reverted"} 1' in text
    assert "evenkeel_last_revert_late_seconds{" in text


def test_expire_leaves_a_confirmed_change(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.clock.moved += 61
    assert not host.must("expire")["changed"]
    assert host.live() == SECOND


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("metrics",),
        ("prune",),
        ("snapshot", "--name", "mine"),
        ("rollback",),
        ("recover",),
        ("renew", "--change", "c1", "--lease-seconds", "60"),
        ("confirm", "--change", "c1"),
        ("observe", "--change", "c1", "--seconds", "1"),
    ],
)
def test_every_verb_that_finds_a_lease_over_reverts_first(
    host: Host, words: tuple[str, ...]
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 61
    code, _ = host.program(*words)
    assert code == (11 if "c1" in words and words[0] != "observe" else 0)
    assert host.live() == host.driver.running() == FIRST
    assert host.status()["generations"][-1]["release"] == digest(FIRST)


def test_the_next_change_takes_the_place_of_one_whose_lease_is_over(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 61
    host.prepare("c2", THIRD)
    code, answer = host.activate("c2", THIRD)
    assert code == 0 and answer["from"] == digest(FIRST)


def test_a_revert_that_fails_is_tried_again(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 61
    reload = host.driver.reload

    def broken(timeout: float) -> None:
        raise BalancerError("not now")

    from evenkeel.host.errors import BalancerError

    host.driver.reload = broken
    host.units.armed.clear()
    code, answer = host.program("expire")
    assert (code, answer["outcome"]) == (12, "failed")
    assert list(host.units.armed.values()) == [RETRY_SECONDS]
    host.driver.reload = reload
    assert host.must("expire")["outcome"] == "reverted"
    assert host.driver.running() == FIRST


def test_expire_tries_again_when_the_lock_stays_taken(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 61
    host.units.armed.clear()

    def impatient(balancer: str, steps: Steps) -> Machine:
        machine = host.machine(balancer, steps)
        machine.expire_lock_seconds = 0.05
        return machine

    with lock.held(str(host.root / "lock"), "prepare", 1.0):
        code, answer = answer_of(["--balancer", "fake", "expire"], BytesIO(), impatient, Steps())
    assert code == 10 and "Another run" in answer["error"]["what"]
    assert list(host.units.armed.values()) == [RETRY_SECONDS]
    assert host.must("expire")["outcome"] == "reverted"


@pytest.mark.parametrize("fault", [ValueError("odd"), OSError(28, "full"), KeyboardInterrupt()])
def test_expire_tries_again_whatever_goes_wrong(host: Host, fault: BaseException) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 61
    host.units.armed.clear()

    def broken() -> None:
        raise fault

    host.driver.loaded = broken
    code, answer = host.program("expire")
    assert code == 12 and not answer["ok"]
    assert list(host.units.armed.values()) == [RETRY_SECONDS]
    del host.driver.loaded
    assert host.must("expire")["outcome"] == "reverted"


def test_expire_tries_again_when_the_journal_cannot_be_read(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.units.armed.clear()
    (host.root / "journal").write_bytes(b"{}")
    assert host.program("expire")[0] == 12
    assert list(host.units.armed.values()) == [RETRY_SECONDS]
