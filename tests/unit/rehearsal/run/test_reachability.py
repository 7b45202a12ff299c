"""What a server does not answer is no traffic: it is tried before it is asked in great number."""

import asyncio

import pytest
from unit.rehearsal.load.test_load_client import HERE, free_port, kind, stubs_at
from unit.rehearsal.load.test_request_maker import entry
from unit.rehearsal.measured import NO_QUESTIONS, SHIPPED, phase, tally

from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS
from evenkeel.rehearsal.checks import verdicts
from evenkeel.rehearsal.checks.user_requests import asked_check
from evenkeel.rehearsal.load import load_client as client
from evenkeel.rehearsal.plan import request_mix
from evenkeel.rehearsal.plan.reachable import open_to, steady, to_try
from evenkeel.rehearsal.plan.requests import ANY_HOST
from evenkeel.rehearsal.run import reachability

SERVER, OTHER = "10.0.0.1:80", "10.0.0.2:80"
MIX = [
    entry(0.5, path="/open"),
    entry(0.2, path="/closed"),
    {**entry(0.2), "learnt": False},
    {**entry(0.1, "POST"), "learnt": False},
]
CLASS = kind(80, mix=MIX)
WORLD = {
    **SHIPPED,
    "by_hand": False,
    "classes": [CLASS],
    "pools": {"web": {"endpoints": {"a": SERVER}}, "other": {"endpoints": {"b": OTHER}}},
    "profile": {"unrouted_share": 0.0},
    "route_tests": [],
}
WELL = [200, SERVER]


def scouted(**answers):
    return {"c": {"0": WELL, "1": WELL, "3": WELL} | {k[1:]: v for k, v in answers.items()}}


def left(*phases):
    (found,) = open_to(WORLD, *phases)
    return [MIX.index(one) for one in found["mix"]]


@pytest.mark.parametrize("said", [[403, ""], [301, ""], [503, ""], [None, ""], [404, SERVER]])
def test_what_no_server_answers_is_left_out(said):
    assert left(scouted(n1=said)) == [0, 2, 3]
    assert left(scouted(n3=said)) == [0, 1, 2]


def test_what_is_open_in_one_phase_alone_is_left_out_of_both():
    assert left(scouted(n0=[403, ""]), scouted(n3=[405, ""])) == [1, 2]
    assert left(scouted(n0=[403, ""]), None) == [1, 2, 3]


def test_what_another_pool_answers_is_that_pool_s_traffic():
    assert left(scouted(n1=[200, OTHER])) == [0, 2, 3]
    # What was live before may have servers that the change does not have any more.
    assert left(scouted(n1=[200, "10.9.9.9:80"])) == [0, 1, 2, 3]


def test_a_post_of_our_making_that_was_not_tried_is_left_out():
    assert left({"c": {"0": WELL}}) == [0, 1, 2]


def test_pages_of_our_making_need_no_try():
    assert to_try(CLASS) == [0, 1, 3]
    assert to_try({**CLASS, "mix": []}) == []


def test_options_that_the_balancer_answers_itself_are_tried_and_left_out():
    own = [MIX[0], {**entry(0.1, "OPTIONS"), "learnt": False}]
    kind_ = {**CLASS, "mix": own}
    assert to_try(kind_) == [0, 1]
    said = {"c": {"0": WELL, "1": [204, ""]}}
    (found,) = open_to({**WORLD, "classes": [kind_]}, said)
    assert found["mix"] == own[:1]
    # What is watched while the candidate comes, and fails, is not asked for them at all.
    assert request_mix.certain(kind_)["mix"] == own[:1] == request_mix.calm(kind_)["mix"]


def test_scouts_tell_what_answered_each_entry():
    async def scene():
        port = free_port()
        await stubs_at(port)
        web = {"web": True, "largest_header_bytes": 8000, "largest_body_bytes": 100}
        kinds = [kind(port, **web, mix=MIX), kind(free_port(), **web, name="dead", mix=MIX[:1])]
        return port, await reachability.scout(client.Client(1), kinds)

    port, found = asyncio.run(scene())
    here = f"{HERE}:{port}"
    assert found["c"] == {"0": (200, here), "1": (200, here), "3": (200, here)}
    assert found["dead"] == {"0": (None, "")}


def checked(before, after, **world):
    then = before and phase({}, before)
    return asked_check({**WORLD, **world}, then, phase({}, after))


def test_what_users_ask_for_and_nobody_answers_any_more_fails():
    found = checked(scouted(), scouted(n1=[403, ""]))
    assert found["verdict"] == FAIL
    assert found["reasons"] == [
        "port 80 GET shop.example/closed gets status 403 of the balancer, and a server answered"
        " before; if this is intended, add a route test for its host with method GET and"
        " expect_status 403, or waive the rule asked for 'GET shop.example/closed'"
    ]
    assert found["numbers"]["not_answered_percent"] == 20.0


def test_what_nobody_answered_before_is_told():
    found = checked(scouted(n1=[403, ""]), scouted(n1=[403, ""]))
    assert found["verdict"] == PASS
    assert found["reasons"][0].startswith("as before: port 80 GET shop.example/closed")


@pytest.mark.parametrize("said", [[403, ""], [None, ""], [200, ""], [404, SERVER]])
def test_learnt_rows_that_are_refused_are_a_doubt_where_nobody_knows_what_was(said):
    found = checked(None, scouted(n1=said))
    assert found["verdict"] == INCONCLUSIVE
    assert (
        "there is no base that shows who answered before; if this is intended"
        in found["reasons"][0]
    )
    seldom = {**CLASS, "mix": [MIX[0], {**MIX[1], "share": 0.0005}, *MIX[2:]]}
    assert checked(None, scouted(n1=said), classes=[seldom])["verdict"] == PASS


def test_a_declared_refusal_or_a_redirect_of_a_page_needs_no_before():
    tests = [route_test("/closed", 403)]
    assert checked(None, scouted(n1=[403, ""]), route_tests=tests)["verdict"] == PASS
    waived = {"GET shop.example/closed": "closed since May"}
    found = checked(None, scouted(n1=[403, ""]), waived_requests=waived)
    assert found["verdict"] == PASS
    assert found["reasons"][0].startswith("waived: port 80 GET shop.example/closed")
    assert checked(None, scouted(n1=[301, ""]))["verdict"] == PASS


def test_a_row_that_was_tried_before_and_not_after_is_no_data():
    now = scouted()
    del now["c"]["1"]
    found = checked(scouted(), now)
    assert found["verdict"] == NO_DATA
    assert found["reasons"] == ["port 80 GET shop.example/closed was not tried after the change"]
    assert checked(None, {})["verdict"] == NO_DATA


def test_a_redirect_of_a_page_is_told():
    found = checked(scouted(), scouted(n1=[301, ""]))
    assert found["verdict"] == PASS
    assert "status 301 of the balancer, where a server answered before" in found["reasons"][0]


@pytest.mark.parametrize("answers", [{"n1": [200, ""]}, {"n3": [200, ""]}, {"n3": [301, ""]}])
def test_a_page_of_the_balancer_s_own_or_a_redirect_of_a_post_fails(answers):
    assert checked(scouted(), scouted(**answers))["verdict"] == FAIL


def test_options_that_the_balancer_takes_over_are_told_and_those_that_it_refuses_fail():
    kind_ = {**CLASS, "mix": [*MIX[:3], entry(0.1, "OPTIONS")]}
    found = checked(scouted(), scouted(n3=[204, ""]), classes=[kind_])
    assert (found["verdict"], len(found["reasons"])) == (PASS, 1)
    assert checked(scouted(), scouted(n3=[403, ""]), classes=[kind_])["verdict"] == FAIL


def route_test(path, status=None, method="GET", host="shop.example", pool=None):
    request = {"listener": "www", "hosts": [host], "paths": [(path, False)], "method": method}
    return {"expect_status": status, "expect_pool": pool, "requests": [request]}


def test_a_route_test_that_wants_the_refusal_makes_it_wanted():
    found = checked(scouted(), scouted(n1=[403, ""]), route_tests=[route_test("/closed", 403)])
    assert (found["verdict"], found["reasons"]) == (PASS, [])


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        (route_test("/", 405, "POST"), PASS),
        (route_test("/", 405, "POST", ANY_HOST), PASS),
        (route_test("/", 405, "GET"), FAIL),
        (route_test("/", 403, "POST"), FAIL),
        (route_test("/", 405, "POST", "blog.example"), FAIL),
    ],
)
def test_a_route_test_speaks_for_its_host_path_and_method(test, verdict):
    posts = {**CLASS, "mix": [*MIX[:3], entry(0.1, "POST", path="/cart/{number}")]}
    found = checked(scouted(), scouted(n3=[405, ""]), route_tests=[test], classes=[posts])
    assert found["verdict"] == verdict


@pytest.mark.parametrize(
    ("tested", "paths", "verdict"),
    [
        ("/cart/7/items", [], PASS),
        ("/cart/7", [], FAIL),
        ("/cart/7/items/", [], FAIL),
        ("/cart/7/other", [("/cart", True)], FAIL),
        ("/cart", [("/cart", True)], PASS),
        ("/cart", [("/cart/7/items", False)], FAIL),
    ],
)
def test_a_placeholder_is_one_part_and_a_test_covers_what_is_below_it_by_prefix(
    tested, paths, verdict
):
    row = entry(0.1, "POST", path="/cart/{number}/items")
    posts = {**CLASS, "paths": paths, "mix": [*MIX[:3], row]}
    tests = [route_test(tested, 405, "POST")]
    found = checked(scouted(), scouted(n3=[405, ""]), route_tests=tests, classes=[posts])
    assert found["verdict"] == verdict


def test_a_test_of_a_path_below_does_not_excuse_what_is_above_it():
    tests = [route_test("/closed/deep", 403)]
    assert checked(scouted(), scouted(n1=[403, ""]), route_tests=tests)["verdict"] == FAIL


def test_a_page_that_is_closed_is_closed_to_posts_that_nobody_is_known_to_send():
    tests = [route_test("/", 301)]
    assert checked(scouted(), scouted(n3=[301, ""]), route_tests=tests)["verdict"] == PASS


@pytest.mark.parametrize("subject", ["POST", "POST shop.example", "POST shop.example/"])
def test_a_waiver_lets_a_refusal_stand_and_is_told_with_its_reason(subject):
    found = checked(scouted(), scouted(n3=[405, ""]), waived_requests={subject: "read only"})
    assert found["verdict"] == PASS
    assert found["reasons"][0].endswith("; because: read only")
    other = {"POST shop.example/cart": "", "POST shop.exam": "", "GET": "x", "PO": "x"}
    assert checked(scouted(), scouted(n3=[405, ""]), waived_requests=other)["verdict"] == FAIL


def test_by_hand_the_way_out_is_a_waiver_since_there_are_no_route_tests():
    (reason,) = checked(scouted(), scouted(n3=[405, ""]), by_hand=True)["reasons"]
    assert reason.endswith("if this is intended, waive the rule asked for 'POST shop.example/'")


KNOWN = {"base_words": {"paths": [], "hosts": ["shop.example"], "headers": []}}


@pytest.mark.parametrize("number", ["n1", "n3"])
def test_what_another_pool_answers_than_before_fails_unless_a_route_test_says_so(number):
    moved = scouted(**{number: [200, OTHER]})
    found = checked(scouted(), moved, **KNOWN)
    assert found["verdict"] == FAIL
    assert "is answered by pool other, and by pool web before; if" in found["reasons"][0]
    tests = [route_test("/", pool="other")]
    assert checked(scouted(), moved, **KNOWN, route_tests=tests)["verdict"] == PASS
    tests = [route_test("/", pool="web"), route_test("/", 200)]
    assert checked(scouted(), moved, **KNOWN, route_tests=tests)["verdict"] == FAIL


def test_a_route_that_only_the_change_names_takes_posts_of_our_making_where_it_wants():
    assert checked(scouted(), scouted(n3=[200, OTHER]))["verdict"] == PASS


def test_pools_that_share_a_server_or_a_name_are_the_same():
    moved = scouted(n1=[200, OTHER])
    shared = {
        "web": {"endpoints": {"a": SERVER}},
        "other": {"endpoints": {"a": SERVER, "b": OTHER}},
    }
    assert checked(scouted(), moved, pools=shared)["verdict"] == PASS
    before, after = (
        phase({}, said, questions={**NO_QUESTIONS, "pools": {"web": [here]}})
        for said, here in ((scouted(), SERVER), (moved, OTHER))
    )
    assert asked_check(WORLD, before, after)["verdict"] == PASS


def test_requests_that_are_split_between_pools_by_chance_may_meet_either():
    counted = {"c": tally({SERVER: 50, OTHER: 50})}
    before, after = phase(counted, scouted()), phase(counted, scouted(n1=[200, OTHER]))
    assert asked_check(WORLD, before, after)["verdict"] == PASS
    alone = {"classes": {"c": tally({SERVER: 100})}}
    assert asked_check(WORLD, {**before, **alone}, after)["verdict"] == FAIL


def test_what_a_route_test_or_a_waiver_declares_is_no_traffic_of_a_pool():
    (found,) = open_to({**WORLD, "route_tests": [route_test("/closed", 403)]}, scouted())
    assert numbers(found) == [0, 2, 3]
    (found,) = open_to({**WORLD, "waived_requests": {"POST": "read only"}}, scouted())
    assert numbers(found) == [0, 1, 2]


def test_a_class_that_is_closed_on_purpose_is_not_watched_during_a_switch():
    before = phase({"c": tally({SERVER: 9})}, scouted())
    closed = {**WORLD, "waived_requests": {"GET": "moved", "POST": "moved"}}
    assert steady(closed, before) == []


def test_a_change_that_refuses_what_was_posted_before_fails_without_a_profile_too():
    found = checked(scouted(), scouted(n3=[405, ""]))
    assert found["verdict"] == FAIL
    assert "POST shop.example/ gets status 405 of the balancer" in found["reasons"][0]


@pytest.mark.parametrize("before", [None, scouted(n3=[405, ""])])
def test_posts_that_were_never_taken_are_no_matter_of_the_change(before):
    found = checked(before, scouted(n3=[405, ""]))
    assert (found["verdict"], found["reasons"]) == (PASS, [])


def numbers(kind_):
    return [MIX.index(one) for one in kind_["mix"]]


def test_while_servers_fail_nothing_is_asked_that_changes_something():
    assert numbers(request_mix.calm(CLASS)) == [0, 1, 2]
    posts = {**CLASS, "mix": MIX[3:]}
    # A route that is for nothing else is asked for what it is for.
    assert numbers(request_mix.calm(posts)) == [3]


def test_a_candidate_that_nobody_has_tried_is_sent_what_users_are_known_to_send():
    assert numbers(request_mix.certain(CLASS)) == [0, 1, 2]


def test_a_switch_is_watched_with_what_servers_answered_on_both_sides_of_it():
    well, lost = tally({SERVER: 9}), tally({SERVER: 8}, failed=1)
    before = phase({"c": well}, scouted(n1=[403, ""]))
    after = phase({"c": well}, scouted(n3=[405, ""]))
    (found,) = steady(WORLD, before, after)
    assert numbers(found) == [0, 2]
    assert steady(WORLD, {**before, "classes": {"c": lost}}) == []
    assert steady(WORLD, None) == []


@pytest.mark.parametrize(
    ("errors", "test", "verdict"),
    [
        ({"status 403": 5}, route_test("/", 403), PASS),
        ({"status 403": 5}, route_test("/", 410), FAIL),
        ({"status 403": 4, "status 503": 1}, route_test("/", 403), FAIL),
        ({"status 403": 5}, route_test("/closed", 403), FAIL),
    ],
)
def test_a_class_that_is_closed_on_purpose_is_closed_with_the_status_that_is_expected(
    errors, test, verdict
):
    lost = phase({"c": tally({SERVER: 4}, 5, errors)})
    found = verdicts.answers({**WORLD, "route_tests": [test]}, lost)
    assert found["verdict"] == verdict


def test_a_test_of_one_host_speaks_for_what_no_route_is_meant_for_but_takes_no_traffic_away():
    mix_ = [{**entry(share), "learnt": False, "method": method} for share, method in SHARES]
    anybody = {**CLASS, "hosts": [ANY_HOST], "mix": mix_}
    made = {**WORLD, **KNOWN, "classes": [anybody]}
    moved = {"c": {"1": [200, OTHER]}}
    tests = [route_test("/", pool="other")]
    was, now = phase({}, WAS), phase({}, moved)
    assert asked_check({**made, "route_tests": tests}, was, now)["verdict"] == PASS
    assert asked_check(made, was, now)["verdict"] == FAIL
    (left_,) = open_to({**made, "route_tests": [route_test("/", 301)]}, WAS)
    assert left_["mix"] == mix_


SHARES = ((0.9, "GET"), (0.1, "POST"))
WAS = {"c": {"1": WELL}}


def test_a_test_below_a_prefix_says_where_the_prefix_goes():
    posts = {**entry(0.1, "POST", path="/cart"), "grows": True, "learnt": False}
    cart = {**CLASS, "paths": [("/cart", True)], "mix": [*MIX[:3], posts]}
    known = {"base_words": {**KNOWN["base_words"], "paths": ["/cart"]}, "classes": [cart]}
    moved = scouted(n3=[200, OTHER])
    assert checked(scouted(), moved, **known)["verdict"] == FAIL
    tests = [route_test("/cart/pay", pool="other")]
    assert checked(scouted(), moved, **known, route_tests=tests)["verdict"] == PASS
