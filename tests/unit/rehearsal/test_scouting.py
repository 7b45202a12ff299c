"""What a server does not answer is no traffic: it is tried before it is asked in great number."""

import asyncio

import pytest
from unit.rehearsal.test_asking import entry
from unit.rehearsal.test_traffic import HERE, free_port, kind, stubs_at

from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.rehearsal import mix, scouting, traffic
from evenkeel.rehearsal.asked_checks import asked_check
from evenkeel.rehearsal.scouted import open_to, steady, to_try

SERVER, OTHER = "10.0.0.1:80", "10.0.0.2:80"
MIX = [
    entry(0.5, path="/open"),
    entry(0.2, path="/closed"),
    {**entry(0.2), "learnt": False},
    {**entry(0.1, "POST"), "learnt": False},
]
CLASS = {"name": "c", "pool": "web", "listener": "www", "port": 80, "hosts": ["shop.example"],
         "mix": MIX}  # fmt: skip
WORLD = {
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


def test_requests_of_our_making_that_change_nothing_need_no_try():
    assert to_try(CLASS) == [0, 1, 3]
    assert to_try({}) == []


def test_scouts_tell_what_answered_each_entry():
    async def scene():
        port = free_port()
        await stubs_at(port)
        web = {"web": True, "largest_header_bytes": 8000, "largest_body_bytes": 100}
        kinds = [kind(port, **web, mix=MIX), kind(free_port(), **web, name="dead", mix=MIX[:1])]
        return port, await scouting.scout(traffic.Client(1), kinds)

    port, found = asyncio.run(scene())
    here = f"{HERE}:{port}"
    assert found["c"] == {"0": [200, here], "1": [200, here], "3": [200, here]}
    assert found["dead"] == {"0": [None, ""]}


def checked(before, after, **world):
    then = before and {"scouted": before}
    return asked_check({**WORLD, **world}, then, {"scouted": after})


def test_what_users_ask_for_and_nobody_answers_any_more_fails():
    found = checked(scouted(), scouted(n1=[403, ""]))
    assert found["verdict"] == FAIL
    assert found["reasons"] == [
        "port 80 GET shop.example/closed gets status 403 of the balancer,"
        " and a server answered before"
    ]
    assert found["numbers"]["not_answered_percent"] == 20.0


def test_what_nobody_answered_before_is_told():
    found = checked(scouted(n1=[403, ""]), scouted(n1=[403, ""]))
    assert found["verdict"] == PASS
    assert found["reasons"][0].startswith("as before: port 80 GET shop.example/closed")
    assert checked(None, scouted(n1=[403, ""]))["verdict"] == PASS


@pytest.mark.parametrize("status", [200, 301])
def test_a_page_or_a_redirect_of_the_balancer_s_own_is_told(status):
    found = checked(scouted(), scouted(n1=[status, ""]))
    assert found["verdict"] == PASS
    assert f"status {status} of the balancer, where a server answered before" in found["reasons"][0]


def test_a_route_test_that_wants_the_refusal_makes_it_wanted():
    test = {
        "expect_status": 403,
        "requests": [{"listener": "www", "hosts": ["shop.example"], "paths": [["/closed", False]]}],
    }
    found = checked(scouted(), scouted(n1=[403, ""]), route_tests=[test])
    assert (found["verdict"], found["reasons"]) == (PASS, [])


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
    assert numbers(mix.calm(CLASS)) == [0, 1, 2]
    posts = {**CLASS, "mix": MIX[3:]}
    # A route that is for nothing else is asked for what it is for.
    assert numbers(mix.calm(posts)) == [3]


def test_a_candidate_that_nobody_has_tried_is_sent_what_users_are_known_to_send():
    assert numbers(mix.certain(CLASS)) == [0, 1, 2]


def test_a_switch_is_watched_with_what_servers_answered_on_both_sides_of_it():
    well, lost = {"sent": 9, "answered": 9}, {"sent": 9, "answered": 8}
    before = {"classes": {"c": well}, "scouted": scouted(n1=[403, ""])}
    after = {"classes": {"c": well}, "scouted": scouted(n3=[405, ""])}
    (found,) = steady(WORLD, before, after)
    assert numbers(found) == [0, 2]
    assert steady(WORLD, {**before, "classes": {"c": lost}}) == []
    assert steady(WORLD, None) == []
