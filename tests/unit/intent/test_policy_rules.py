"""Rules about an intent find what no traffic shows, and leave everyday changes alone."""

import copy

import pytest

from evenkeel.intent.parse import normalise, parse_intent
from evenkeel.intent.policy_rules import catalogue, policy_findings

TODAY = "2026-06-15"
SHOP = {
    "listeners": [
        {
            "name": "www",
            "binds": [{"port": 80}],
            "routes": [
                {"name": "pay", "pool": "pay", "path_prefixes": ["/pay"]},
                {"name": "api", "pool": "api", "hosts": ["api.example.com"]},
                {"name": "shop", "pool": "web", "hosts": ["shop.example.com"]},
            ],
            "default_pool": "web",
        }
    ],
    "pools": [
        {
            "name": name,
            "servers": [
                {"name": f"{name}{n}", "address": f"10.0.{net}.{n}", "port": 80} for n in (1, 2)
            ],
        }
        for net, name in enumerate(("web", "api", "pay"))
    ],
    "route_tests": [
        {"name": "pay", "listener": "www", "path": "/pay/x", "expect_pool": "pay"},
        {"name": "home", "listener": "www", "host": "shop.example.com", "expect_pool": "web"},
    ],
}


def found(edit, before=SHOP, today=TODAY):
    data = copy.deepcopy(SHOP)
    edit(data)
    now, old = (normalise(parse_intent(one)) if one else None for one in (data, before))
    return {(one["rule"], one["severity"], one["subject"]) for one in
            policy_findings(now, old, today)}  # fmt: skip


def stops(edit, **more):
    return {(rule, subject) for rule, severity, subject in found(edit, **more)
            if severity == "stop"}  # fmt: skip


def server(data):
    return data["pools"][0]["servers"][0]


def routes(data):
    return data["listeners"][0]["routes"]


def test_nothing_but_untested_routes_is_told_of_what_is_as_it_was():
    assert {rule for rule, _, _ in found(lambda data: None)} == {"untested-route"}
    assert stops(lambda data: None, before=None) == set()


@pytest.mark.parametrize("state", ["draining", "inactive"])
def test_maintenance_without_an_end_is_told_and_one_whose_end_has_passed_stops(state):
    subject = "pool web, server web1"
    without = found(lambda data: server(data).update(state=state))
    assert ("out-without-end", "tell", subject) in without
    for until, stopped in (("2026-06-15", set()), ("2026-06-14", {("out-past-its-end", subject)})):
        new = {"state": state, "until": until, "reason": "new disks"}
        assert stops(lambda data, new=new: server(data).update(new)) == stopped


def test_a_route_behind_one_that_takes_all_of_its_requests_stops():
    def shadow(data):
        routes(data).insert(0, {"name": "all", "pool": "web", "path_prefixes": ["/"]})

    rules = {rule for rule, _ in stops(shadow)}
    assert {"route-shadowed", "rerouted-without-test"} <= rules


def test_requests_that_reach_another_pool_without_a_test_stop():
    subject = "listener www, route api"
    for edit in (
        lambda data: routes(data)[1].update(pool="web"),
        lambda data: routes(data)[1].update(hosts=["api.exmaple.com"]),
        lambda data: routes(data).pop(1),
    ):
        assert stops(edit) == {("rerouted-without-test", subject)}


def test_a_test_that_expects_the_new_pool_declares_it():
    def edit(data):
        routes(data)[1].update(pool="web")
        data["route_tests"].append(
            {"name": "api", "listener": "www", "host": "api.example.com", "expect_pool": "web"}
        )

    assert stops(edit) == set()


def test_a_test_of_another_method_declares_no_new_pool_of_the_route():
    test = {"name": "no forms", "listener": "www", "host": "api.example.com", "method": "POST"}

    def edit(data):
        routes(data)[1].update(pool="web")
        data["route_tests"].append({**test, "expect_status": 405})

    assert stops(edit) == {("rerouted-without-test", "listener www, route api")}


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: routes(data).insert(
            0, {"name": "blog", "pool": "web", "path_prefixes": ["/blog"]}
        ),
        lambda data: routes(data)[0].update(path_prefixes=["/pay", "/checkout"]),
        lambda data: routes(data)[1].update(name="programs"),
        lambda data: data["pools"][1].update(name="api-2") or routes(data)[1].update(pool="api-2"),
        lambda data: (routes(data).pop(1), data["pools"].pop(1)),
        lambda data: server(data).update(weight=50),
        lambda data: server(data).update(state="draining"),
        lambda data: data["pools"][0]["servers"].pop(),
    ],
    ids=["a route more", "a path more", "a route's name", "a pool's name", "a route and its pool",
         "a weight", "a drain", "a server less"],
)  # fmt: skip
def test_an_everyday_change_is_not_stopped(edit):
    assert stops(edit) == set()


def test_an_untested_route_stops_where_the_guardrail_says_so():
    def strict(data):
        data["guardrails"] = {"untested_routes": "fail"}

    assert stops(strict, before=None) == {
        ("untested-route", "listener www, route api"),
        ("untested-route", "listener www, route default"),
    }


@pytest.mark.parametrize(("rate", "stopped"), [(190, False), (210, True)])
def test_a_pool_whose_peak_is_over_its_capacity_stops(rate, stopped):
    def edit(data):
        data["pools"][0]["peak_requests_per_second"] = rate
        for one in data["pools"][0]["servers"]:
            one["capacity"] = 100

    rules = {rule for rule, _ in stops(edit)}
    assert rules == ({"pool-over-capacity", "server-over-capacity"} if stopped else set())


def test_a_server_whose_share_is_over_its_capacity_stops():
    def edit(data):
        data["pools"][0]["peak_requests_per_second"] = 100
        for one, capacity in zip(data["pools"][0]["servers"], (100, 40), strict=True):
            one["capacity"] = capacity

    assert stops(edit) == {("server-over-capacity", "pool web, server web2")}


def test_what_is_live_already_stops_nothing():
    old = copy.deepcopy(SHOP)
    old["pools"][0]["servers"][0].update(state="inactive", until="2026-01-01", reason="disks")
    edit = {"state": "inactive", "until": "2026-01-01", "reason": "disks"}
    assert stops(lambda data: server(data).update(edit), before=old) == set()


def test_every_rule_says_what_and_why():
    for rule in catalogue():
        assert all(rule.values())
