"""What is live is the base of a configuration by hand."""

from unit.rehearsal.load.test_load_client import kind
from unit.rehearsal.measured import SHIPPED, tally
from unit.rehearsal.measured import phase as a_phase

from evenkeel.rehearsal.checks import verdicts
from evenkeel.rehearsal.plan.handwritten import as_measured, unanswered

WORLD = {
    **SHIPPED,
    "by_hand": True,
    "route_tests": [],
    "unreached": [],
    "classes": [
        kind(80, name="one", pool="web"),
        kind(80, name="two", pool="api"),
    ],
    "pools": {
        "web": {"endpoints": {"a": "10.0.0.1:80"}},
        "api": {"endpoints": {"b": "10.0.0.2:80"}},
    },
}


def phase(one, two):
    return {**a_phase({"one": one, "two": two}), "process": None}


def found(before, after):
    world = as_measured(WORLD, {"before": before, "after": after})
    return {kind["name"]: kind["pool"] for kind in world["classes"]}, world["unreached"]


WEB, API = tally({"10.0.0.1:80": 9}), tally({"10.0.0.2:80": 9})


def test_a_class_belongs_to_the_pool_that_answered_it_before():
    assert found(phase(WEB, WEB), phase(WEB, API)) == ({"one": "web", "two": "web"}, ["api"])


def test_a_class_whose_servers_all_moved_belongs_to_the_pool_that_answers_it_now():
    old = tally({"10.9.9.9:80": 9})
    assert found(phase(old, old), phase(WEB, API))[0] == {"one": "web", "two": "api"}


def test_what_nobody_answered_before_is_judged_by_nothing():
    refused = tally({}, failed=9)
    assert found(phase(WEB, refused), phase(WEB, refused)) == ({"one": "web"}, ["api"])


def test_what_nobody_answered_before_is_left_out_of_what_a_pool_has_to_get():
    refused, part = tally({}, failed=9), tally({"10.0.0.1:80": 8}, failed=1)
    assert unanswered(WORLD, phase(WEB, refused)) == {"two"}
    assert unanswered(WORLD, phase(WEB, part)) == set()
    assert unanswered(WORLD, phase(WEB, tally({}))) == set()
    assert unanswered(WORLD, None) == set()
    assert unanswered({**WORLD, "by_hand": False}, phase(WEB, refused)) == set()


def test_what_was_refused_in_part_before_is_counted_and_not_blamed():
    part = {**tally({"10.0.0.1:80": 8}, failed=1), "errors": {"status 403": 1}}
    world = as_measured(WORLD, {"before": phase(part, API), "after": phase(part, API)})
    assert [kind["name"] for kind in world["classes"]] == ["one", "two"]
    assert verdicts.answers(world, phase(part, {**API, "errors": {}}))["verdict"] == "pass"
    worse = {**tally({"10.0.0.1:80": 4}, failed=5), "errors": {"status 403": 5}}
    world = as_measured(WORLD, {"before": phase(part, API), "after": phase(worse, API)})
    assert verdicts.answers(world, phase(worse, {**API, "errors": {}}))["verdict"] == "fail"


def test_what_was_answered_before_and_is_not_now_stays_to_be_judged():
    assert "two" in found(phase(WEB, API), phase(WEB, tally({}, failed=9)))[0]


def test_a_world_of_an_intent_stays_as_it_is():
    world = {**WORLD, "by_hand": False}
    assert as_measured(world, {"before": None, "after": phase(WEB, WEB)}) == world


def test_a_pool_that_turned_out_to_be_meant_by_no_request_is_not_judged_while_servers_fail():
    world = as_measured(WORLD, {"before": phase(WEB, WEB), "after": phase(WEB, API)})
    after = {"failing": {"pools": {"api": {}}}}
    assert list(verdicts.failing(world, after, {})) == []
