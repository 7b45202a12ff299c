"""A change that waits under its lease is judged on by its host, with no controller to ask."""

import pytest
from unit.host.fakes import FIRST, SECOND, Host
from unit.host.verbs.test_observe import JUDGE, let_traffic_flow, observe

from evenkeel.host.verbs.watchdog import LOOK_SECONDS

EVEN = {"a": 10, "b": 10, "c": 10}
ALL_ON_ONE = {"a": 900, "b": 0, "c": 0}


@pytest.fixture
def held(host: Host) -> Host:
    """A host whose stage ended without a clear verdict, and that is held for a person."""
    host.deploy("c1", SECOND, confirm=False)
    let_traffic_flow(host, EVEN)
    assert observe(host, *JUDGE, seconds="2")[1]["verdict"] == "inconclusive"
    host.must("renew", "--change", "c1", "--lease-seconds", "900")
    return host


def test_a_held_change_that_goes_wrong_goes_back_before_its_lease_ends(held: Host) -> None:
    held.driver.count(ALL_ON_ONE)
    answer = held.must("expire")
    assert answer["outcome"] == "reverted"
    assert "pool web" in answer["reason"]
    assert held.live() == held.driver.running() == FIRST


def test_a_held_change_that_is_well_stays_and_is_looked_at_again(held: Host) -> None:
    for _ in range(3):
        held.driver.count({"a": 200, "b": 200, "c": 200})
        held.units.armed.clear()
        assert held.must("expire")["outcome"] == "renewed"
        assert list(held.units.armed.values()) == [LOOK_SECONDS]
    assert held.live() == SECOND
    # One judgement runs through all of it.
    assert observe(held, *JUDGE, seconds="1")[1]["requests"] > 1800


def test_the_end_of_the_lease_is_never_missed_for_a_look(held: Host) -> None:
    held.must("renew", "--change", "c1", "--lease-seconds", "20")
    held.units.armed.clear()
    assert held.must("expire")["outcome"] == "renewed"
    assert 0 < next(iter(held.units.armed.values())) <= 20


def test_a_balancer_that_died_under_a_held_change_takes_it_back(held: Host) -> None:
    held.driver.die()
    assert held.must("expire")["outcome"] == "reverted"
    assert held.live() == FIRST


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"watch": {}, "previous": {}}'])
def test_a_damaged_watch_judges_nothing_and_the_lease_still_ends(held: Host, left: bytes) -> None:
    (path,) = (held.root / "observations").glob("*.json")
    path.write_bytes(left)
    held.driver.count(ALL_ON_ONE)
    assert held.must("expire")["outcome"] == "renewed"
    held.clock.moved += 901
    assert held.must("expire")["outcome"] == "reverted"


def test_a_watch_of_another_worker_judges_nothing(held: Host) -> None:
    held.must("rollback")
    held.deploy("c1", SECOND, confirm=False)
    held.driver.count(ALL_ON_ONE)
    assert held.must("expire")["outcome"] == "renewed"
