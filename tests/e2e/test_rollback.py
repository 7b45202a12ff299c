"""One command takes the fleet back, from the hosts alone; repeating it goes no further."""

import json

import pytest
from e2e.helpers import timeout


@pytest.fixture(scope="module")
def old(road):
    """A fleet whose last confirmed change but one is `first`."""
    road.forget()
    road.confirmed("first")
    return road


@pytest.fixture
def fleet_of_two_changes(old):
    """The same with `second` live and confirmed after it, whatever the test before did."""
    if set(old.live().values()) == {"first"}:
        old.confirmed("second", timeout(45))
    return old


def outcome_of_rollback(road):
    newest = max(road.changes.glob("rollback-*/outcome.json"))
    return json.loads(newest.read_text())["body"]


def test_without_arguments_every_host_goes_from_the_last_confirmed_change_to_the_one_before(
    fleet_of_two_changes,
):
    road = fleet_of_two_changes
    said = road.rollback()
    assert said.code == 0, said.text
    assert road.live() == dict.fromkeys(road.hosts, "first")
    assert outcome_of_rollback(road)["hosts"] == dict.fromkeys(road.hosts, "reverted")


def test_repeated_after_a_host_was_unreachable_it_finishes_and_goes_no_further(
    fleet_of_two_changes,
):
    road = fleet_of_two_changes
    road.fleet.cut("lb2")
    try:
        said = road.rollback()
    finally:
        road.fleet.heal("lb2")
    assert said.code == 12
    assert "scripts/rollback -e undo=second --limit lb2" in said
    assert outcome_of_rollback(road)["hosts"] == {
        "lb1": "reverted",
        "lb2": "failed",
        "lb3": "reverted",
    }
    assert road.live() == {"lb1": "first", "lb2": "second", "lb3": "first"}

    said = road.rollback()
    assert said.code == 0, said.text
    assert road.live() == dict.fromkeys(road.hosts, "first")
    assert outcome_of_rollback(road)["hosts"] == {
        "lb1": "untouched",
        "lb2": "reverted",
        "lb3": "untouched",
    }


def test_limited_to_the_host_that_it_missed_it_finishes_the_same_rollback(fleet_of_two_changes):
    road = fleet_of_two_changes
    assert road.rollback("--limit", "lb1,lb3").code == 0
    assert road.rollback("--limit", "lb2").code == 0
    assert road.live() == dict.fromkeys(road.hosts, "first")


def test_a_named_change_is_undone_where_it_is_live_and_nowhere_else(fleet_of_two_changes):
    road = fleet_of_two_changes
    before = road.traces()
    said = road.rollback("-e", "undo=first")
    assert said.code == 0, said.text
    assert road.traces() == before


def test_a_change_that_waits_for_its_confirmation_goes_before_a_confirmed_one(
    fleet_of_two_changes,
):
    road = fleet_of_two_changes
    road.ready("third", timeout(50))
    road.activate("third", "lb3")
    said = road.rollback()
    assert said.code == 0, said.text
    assert road.live() == dict.fromkeys(road.hosts, "second")
    assert road.pending("lb3") is None


def test_a_fleet_that_was_never_changed_has_nothing_to_go_back_to(old):
    road = old
    if set(road.live().values()) == {"second"}:
        assert road.rollback().code == 0
    assert road.rollback().code == 0
    before = road.traces()
    said = road.rollback()
    assert said.code == 10
    assert "There is no change to undo on any host" in said
    assert "Traceback" not in said
    assert road.traces() == before
