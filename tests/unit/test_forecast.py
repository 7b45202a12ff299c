"""A forecast says what will move and by how much, and says unknown where it cannot know."""

from __future__ import annotations

import pytest
from unit.intent.intents import intent, listener, pool, server

from evenkeel.canary.judge_settings import canary_policy
from evenkeel.forecast import forecast
from evenkeel.intent import normalise, parse_intent, shift_findings
from evenkeel.intent.guardrails import among_those_that_stay
from evenkeel.judge.settings import DEFAULT_TOLERANCE, checked_policy


def full(**more):
    return normalise(parse_intent(intent(**more)))


def one_pool(**more):
    return full(pools=[pool(**more)])


def test_two_servers_more_move_every_share():
    effect = forecast(one_pool(servers=3), one_pool(servers=5))
    shop = effect["pools"]["shop"]
    assert shop["change"] == "changed"
    assert shop["servers"]["web1"] == {"before": 0.333333, "after": 0.2, "shift_points": -13.33}
    assert shop["servers"]["web5"] == {"before": 0.0, "after": 0.2, "shift_points": 20.0}
    assert effect["largest_shift_points"] == 20.0
    assert effect["guardrails"] == []
    assert effect["summary"] == [
        "Pool shop: changed, round_robin, 3 → 5 servers; "
        "largest shift 20.0 points (web4 0.0% → 20.0%)"
    ]


def test_a_weight_typo_breaks_the_guardrails_and_is_named():
    after = one_pool()
    after["pools"][0]["servers"][1]["weight"] = 1
    after["pools"][0]["servers"][2]["weight"] = 1
    effect = forecast(one_pool(), after)
    assert effect["largest_shift_points"] == 64.71
    broken = {(one["guardrail"], one["server"]) for one in effect["guardrails"]}
    assert broken == {
        ("largest_fair_ratio", "web1"),
        ("least_fair_ratio", "web2"),
        ("least_fair_ratio", "web3"),
        ("largest_shift_points", "web1"),
        ("largest_shift_points", "web2"),
        ("largest_shift_points", "web3"),
    }
    assert any("web1" in line and "98.0%" in line for line in effect["summary"])


@pytest.mark.parametrize(
    ("more", "basis"),
    [
        ({"algorithm": {"kind": "round_robin"}}, "exact"),
        ({"algorithm": {"kind": "random"}}, "expected"),
        ({"algorithm": {"kind": "least_connections"}}, "expected"),
        ({"algorithm": {"kind": "first"}}, "unknown"),
        ({"algorithm": {"kind": "hash", "key": "source"}}, "unknown"),
        ({"stickiness": {"cookie": "SRV"}}, "unknown"),
        ({"algorithm": {"kind": "hash", "key": "uri"}, "servers": 1}, "exact"),
    ],
)
def test_says_what_a_share_stands_on(more, basis):
    shop = forecast(one_pool(), one_pool(**more))["pools"]["shop"]
    assert shop["basis"] == basis
    values = {one["after"] for one in shop["servers"].values()}
    assert (values == {"unknown"}) == (basis == "unknown")


@pytest.mark.parametrize("weights", [[1, 1, 1], [100, 50, 5]])
def test_random_is_unknown_while_a_weight_is_so_small_that_the_ring_is_uneven(weights):
    servers = [server(n, weight=w) for n, w in enumerate(weights, 1)]
    after = full(pools=[{"name": "shop", "servers": servers, "algorithm": {"kind": "random"}}])
    assert forecast(None, after)["pools"]["shop"]["basis"] == "unknown"


def test_least_connections_with_different_weights_is_unknown():
    servers = [server(1), server(2, weight=50)]
    algorithm = {"kind": "least_connections"}
    after = full(pools=[{"name": "shop", "servers": servers, "algorithm": algorithm}])
    assert forecast(None, after)["pools"]["shop"]["basis"] == "unknown"


def test_an_unknown_base_leaves_before_and_shift_unknown_and_touches_every_pool_in_use():
    pools = [pool(), pool("spare")]
    effect = forecast(None, full(pools=pools))
    shop = effect["pools"]["shop"]
    assert effect["base"] == "unknown"
    assert shop["change"] == "unknown"
    assert shop["servers"]["web1"]["before"] == "unknown"
    assert shop["servers"]["web1"]["shift_points"] == "unknown"
    assert shop["servers"]["web1"]["after"] == 0.333333
    assert effect["touched_pools"] == ["shop"]


def test_draining_and_inactive_servers_and_idle_backups_get_nothing():
    servers = [server(1), server(2, state="draining"), server(3, state="inactive")]
    servers += [server(4, backup=True), server(5)]
    shop = forecast(None, full(pools=[{"name": "shop", "servers": servers}]))["pools"]["shop"]
    shares = {name: one["after"] for name, one in shop["servers"].items()}
    assert shares == {"web1": 0.5, "web2": 0.0, "web3": 0.0, "web4": 0.0, "web5": 0.5}


def test_backups_take_over_when_no_other_server_is_active():
    servers = [server(1, state="inactive"), server(2, backup=True), server(3, backup=True)]
    effect = forecast(None, full(pools=[{"name": "shop", "servers": servers}]))
    assert effect["pools"]["shop"]["servers"]["web2"]["after"] == 0.5
    assert [one["guardrail"] for one in effect["guardrails"]] == ["minimum_active_servers"]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_draining_one_is_no_finding_for_those_that_stay(count):
    after = one_pool(servers=count)
    after["pools"][0]["servers"][0]["state"] = "draining"
    assert forecast(one_pool(servers=count), after)["guardrails"] == []


@pytest.mark.parametrize(("before", "after"), [(1, 2), (1, 8), (8, 1), (2, 1)])
def test_adding_and_removing_equal_servers_is_no_finding(before, after):
    assert forecast(one_pool(servers=before), one_pool(servers=after))["guardrails"] == []


def test_a_move_that_new_servers_hide_is_found_by_the_rule_of_the_rehearsal():
    before, after = one_pool(servers=2), one_pool(servers=8)
    after["pools"][0]["servers"][1]["weight"] = 30
    shop = forecast(before, after)["pools"]["shop"]["servers"]
    assert max(abs(one["shift_points"]) for one in shop.values()) < 47
    measured = {
        name: {"before": one["before"], "after": one["after"], "intended": one["after"]}
        for name, one in shop.items()
    }
    rows = among_those_that_stay({"servers": measured})
    assert [row["points"] for row in rows] == [26.92, -26.92]
    found = forecast(before, after)["guardrails"]
    assert {one["server"] for one in found if one["guardrail"] == "largest_shift_points"} == {
        row["server"] for row in rows
    }


def test_shares_are_compared_with_capacities_where_all_are_stated():
    def findings(*capacities):
        servers = [server(n, capacity=c) for n, c in enumerate(capacities, 1)]
        return forecast(None, full(pools=[{"name": "shop", "servers": servers}]))["guardrails"]

    assert findings(100, 100) == []
    assert [one["guardrail"] for one in findings(1000, 100)] == ["largest_fair_ratio"]
    assert findings(1000, None) == []


def test_the_guardrail_of_a_pool_goes_before_that_of_all():
    guardrails = {"pools": {"shop": {"largest_shift_points": 80}}}
    after = full(guardrails=guardrails)
    before_shares, after_shares = {"web1": 0.9, "web2": 0.1}, {"web1": 0.2, "web2": 0.8}
    assert shift_findings(after, "shop", before_shares, after_shares) == []
    assert len(shift_findings(full(), "shop", before_shares, after_shares)) == 2


def test_first_without_a_limit_of_connections_is_a_finding():
    effect = forecast(None, one_pool(algorithm={"kind": "first"}))
    assert [one["guardrail"] for one in effect["guardrails"]] == ["first_needs_max_connections"]


def routed(*routes, pools=("shop", "api", "img")):
    return full(
        listeners=[listener(routes=list(routes))],
        pools=[pool(name) for name in pools],
    )


def route(name, target, path):
    return {"name": name, "pool": target, "paths": [path]}


def test_names_routes_and_the_pools_that_they_touch():
    api, img = route("a", "api", "/a"), route("i", "img", "/i")
    effect = forecast(routed(api), routed(api, img))
    assert effect["routes"]["added"] == ["public/i"]
    assert effect["touched_pools"] == ["api", "img", "shop"]
    assert "Routes added: public/i" in effect["summary"]
    effect = forecast(routed(api, img), routed(route("a", "api", "/b")))
    assert effect["routes"]["changed"] == ["public/a"]
    assert effect["routes"]["removed"] == ["public/i"]


def test_another_order_of_routes_is_a_change():
    api, img = route("a", "api", "/a"), route("i", "img", "/i")
    effect = forecast(routed(api, img), routed(img, api))
    assert effect["routes"]["reordered"] == ["public"]
    assert effect["touched_pools"] == ["api", "img", "shop"]


def test_only_the_changed_pool_is_touched():
    before = routed(route("a", "api", "/a"))
    after = routed(route("a", "api", "/a"))
    after["pools"][1]["servers"][0]["weight"] = 90
    assert forecast(before, after)["touched_pools"] == ["api"]


def test_a_removed_pool_is_named_and_not_touched():
    effect = forecast(routed(), routed(pools=("shop",)))
    assert effect["pools"]["api"]["change"] == "removed"
    assert effect["touched_pools"] == []
    assert "Pool api: removed, with 3 servers" in effect["summary"]


def test_a_setting_of_all_touches_every_pool_in_use():
    effect = forecast(full(), full(timeouts={"server_seconds": 60}))
    assert effect["settings"] == ["timeouts"]
    assert effect["touched_pools"] == ["shop"]


def test_names_each_server_that_gets_another_address_or_port():
    before, after = one_pool(servers=3), one_pool(servers=3)
    after["pools"][0]["servers"][0]["address"] = "10.9.9.9"
    after["pools"][0]["servers"][1]["port"] = 81
    after["pools"][0]["servers"][2]["address"] = "2001:db8::1"
    effect = forecast(before, after)
    assert effect["pools"]["shop"]["moved"][0] == {
        "server": "web1",
        "before": "10.0.0.1:8080",
        "after": "10.9.9.9:8080",
    }
    assert effect["summary"][1:] == [
        "Pool shop: server web1 moves, 10.0.0.1:8080 → 10.9.9.9:8080",
        "Pool shop: server web2 moves, 10.0.0.2:8080 → 10.0.0.2:81",
        "Pool shop: server web3 moves, 10.0.0.3:8080 → [2001:db8::1]:8080",
    ]


def test_counts_the_servers_that_move_where_they_are_many():
    before, after = one_pool(servers=30), one_pool(servers=30)
    for one in after["pools"][0]["servers"]:
        one["port"] = 81
    effect = forecast(before, after)
    assert len(effect["pools"]["shop"]["moved"]) == 30
    assert effect["summary"][-1] == "Pool shop: 22 more servers move to other addresses"


def test_says_in_which_section_how_many_extra_lines_change():
    before = full(
        extra={"global": ["option a", "option b"], "defaults": ["option c", "option d"]},
        pools=[pool(extra=["option e"])],
    )
    after = full(
        extra={
            "global": ["option b", "option x", "option y"],
            "defaults": ["option d", "option c"],
        },
        listeners=[listener(extra=["option e"])],
    )
    effect = forecast(before, after)
    assert effect["extra"] == [
        {"section": "defaults", "added": 0, "removed": 0},
        {"section": "global", "added": 2, "removed": 1},
        {"section": "listener public", "added": 1, "removed": 0},
        {"section": "pool shop", "added": 0, "removed": 1},
    ]
    assert effect["summary"][-4:] == [
        "Extra lines of defaults: in another order",
        "Extra lines of global: 2 added, 1 removed",
        "Extra lines of listener public: 1 added",
        "Extra lines of pool shop: 1 removed",
    ]
    assert [row["added"] for row in forecast(None, after)["extra"]] == [2, 3, 1]


def test_nothing_is_said_to_change_when_nothing_does():
    effect = forecast(full(), full())
    assert effect["summary"] == ["Nothing changes."]
    assert effect["touched_pools"] == []


def halves(pool, in_service):
    """A role that knows of every hash that it sends all servers as many keys."""
    return {name: 1 / len(in_service) for name in in_service}


def test_the_policy_requires_the_touched_pools_and_the_judge_takes_it():
    before = routed(route("a", "api", "/a"), pools=("shop", "api"))
    after = routed(route("a", "api", "/a"), pools=("shop", "api"))
    after["pools"][1]["algorithm"] = {"kind": "hash", "key": "source", "name": None}
    after = normalise(parse_intent(after))
    policy = canary_policy(after, forecast(before, after), halves)
    assert policy["pools"]["api"]["required"] is True
    assert policy["pools"]["api"]["tolerance"] == 0.75
    assert policy["pools"]["api"]["judged"] == "share"
    assert policy["pools"]["shop"]["required"] is False
    assert policy["pools"]["shop"]["tolerance"] == DEFAULT_TOLERANCE
    assert checked_policy(policy)["pools"].keys() == {"api", "shop"}


def test_the_policy_does_not_judge_first_by_share_and_follows_the_guardrails_of_a_pool():
    own = {"shop": {"judged": "requests_only", "required": False, "minimum_requests": 7}}
    first = pool("api", algorithm={"kind": "first"})
    after = full(pools=[pool(), first], guardrails={"pools": own, "error_budget_percent": 2.5})
    policy = canary_policy(after, forecast(None, after))
    assert policy["error_budget_percent"] == 2.5
    assert policy["pools"]["api"]["judged"] == "requests_only"
    shop = policy["pools"]["shop"]
    assert (shop["judged"], shop["required"], shop["minimum_requests"]) == (
        "requests_only",
        False,
        7,
    )
