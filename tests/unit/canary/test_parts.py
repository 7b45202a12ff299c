"""A host is renewed for as long as it has a lease, and confirmed exactly when its turn is."""

import pytest

from evenkeel.canary.parts import chosen, settled_hosts
from evenkeel.canary.plan import plan
from evenkeel.change.rollout import Place, Rollout
from evenkeel.errors import Refused

HOSTS = ("lb1", "lb2", "lb3")
PLAN = plan(HOSTS, [{"hosts": 1}, {"hosts": 1}, {"hosts": 1}])
BY_CHANGE = Rollout(tuple(map(Place, HOSTS)))
BY_STAGE = Rollout(tuple(map(Place, HOSTS)), canary_confirm="stage")


def leases(part):
    return [row["leased"] for row in part["stages"]]


def test_confirmed_as_a_whole_every_host_keeps_its_lease_to_the_end():
    part = chosen(PLAN, BY_CHANGE, ())
    assert leases(part) == [["lb1"], ["lb1", "lb2"], ["lb1", "lb2", "lb3"]]
    assert part["leased"] == ["lb1", "lb2", "lb3"]
    assert not any(row["confirm"] for row in part["stages"])
    assert part["prepare"] and part["confirm"]


def test_confirmed_by_stages_only_the_stage_under_way_has_a_lease():
    part = chosen(PLAN, BY_STAGE, ())
    assert leases(part) == [["lb1"], ["lb2"], ["lb3"]]
    assert part["leased"] == []
    assert all(row["confirm"] for row in part["stages"])


@pytest.mark.parametrize("rollout", [BY_CHANGE, BY_STAGE])
def test_a_host_that_confirmed_before_a_crash_is_never_asked_to_renew(rollout):
    part = chosen(PLAN, rollout, ["lb1"])
    assert all("lb1" not in leased for leased in [*leases(part), part["leased"]])


def test_one_part_alone_renews_whoever_did_not_get_to_confirm():
    assert leases(chosen(PLAN, BY_STAGE, [], only="2")) == [["lb1", "lb2"]]
    assert leases(chosen(PLAN, BY_STAGE, ["lb1"], only="2")) == [["lb2"]]
    assert chosen(PLAN, BY_STAGE, ["lb1"], only="confirm")["leased"] == ["lb2", "lb3"]
    part = chosen(PLAN, BY_CHANGE, (), only="2")
    assert [row["number"] for row in part["stages"]] == [2]
    assert part["prepare"] and not part["confirm"]


def test_after_a_hold_only_what_is_left_is_done_and_nothing_is_prepared_again():
    part = chosen(PLAN, BY_CHANGE, (), held=2)
    assert [row["number"] for row in part["stages"]] == [3]
    assert leases(part) == [["lb1", "lb2", "lb3"]]
    assert not part["prepare"] and part["confirm"]
    assert part["confirm_first"] == []


def test_by_stages_the_hosts_of_a_held_stage_confirm_before_the_next_begins():
    part = chosen(PLAN, BY_STAGE, ["lb1"], held=2)
    assert part["confirm_first"] == ["lb2"]
    assert leases(part) == [["lb3"]]
    last = chosen(PLAN, BY_STAGE, ["lb1", "lb2"], held=3)
    assert (last["confirm_first"], last["stages"], last["leased"]) == (["lb3"], [], [])


def test_a_stage_is_held_for_as_long_as_the_rollout_says_and_else_never():
    held = Rollout(BY_CHANGE.places, canary_on_inconclusive="hold", canary_hold_seconds=77)
    assert chosen(PLAN, held, ())["stages"][0]["hold_seconds"] == 77
    assert chosen(PLAN, BY_CHANGE, ())["stages"][0]["hold_seconds"] == 0


@pytest.mark.parametrize("only", ["0", "4", "last", "-1"])
def test_a_part_that_does_not_exist_is_refused(only):
    with pytest.raises(Refused, match="no such"):
        chosen(PLAN, BY_CHANGE, (), only=only)


def test_settled_are_the_hosts_that_confirmed_this_change_and_no_other():
    answers = {
        "lb1": {"live": {"change": "c1", "confirmed": True}},
        "lb2": {"live": {"change": "c1", "confirmed": False}},
        "lb3": {"live": {"change": "c0", "confirmed": True}},
        "lb4": {},
    }
    assert settled_hosts(answers, "c1") == ["lb1"]
