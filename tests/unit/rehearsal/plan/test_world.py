import pytest
from unit.rehearsal.changes import intent, servers

from evenkeel.intent.parse import normalise, parse_intent
from evenkeel.judge.fixed import diverse_share
from evenkeel.judge.settings import DEFAULT_TOLERANCE
from evenkeel.profile.traffic_profile import Profile
from evenkeel.rehearsal.plan import world


def built(pool=None, **more):
    return world.build(normalise(parse_intent(intent(pool, **more), where="lb1")))


def listener(name="www", **more):
    return {"name": name, "binds": [{"port": 80}], "default_pool": "web", **more}


def test_every_server_has_a_stub_and_a_local_address():
    made = built()
    assert made["stubs"] == [(f"10.20.0.{n}", 80) for n in (1, 2, 3)]
    assert made["routes"] == ["10.20.0.1", "10.20.0.2", "10.20.0.3"]


def test_a_listener_behind_a_listener_is_no_stub():
    chained = [{"name": "self", "address": "127.0.0.1", "port": 80}, *servers(1)]
    assert built({"servers": chained})["stubs"] == [("10.20.0.1", 80)]


def test_a_listener_on_an_address_of_its_own_has_that_address():
    made = built(listeners=[listener(binds=[{"address": "10.9.9.9", "port": 80}])])
    assert made["addresses"] == ["10.9.9.9"]
    assert made["classes"][0]["address"] == "10.9.9.9"


def test_a_server_known_by_name_gets_an_address_that_nothing_else_has():
    named = [{"name": "one", "address": "one.servers.example", "port": 80}, *servers(1)]
    made = built({"servers": named})
    address = made["names"]["one.servers.example"]
    assert (address, 80) in made["stubs"]
    assert address.startswith("127.255.")


def test_a_health_check_is_answered_as_the_intent_expects():
    made = built({"check": {"kind": "http", "path": "/up?deep=1", "expect_status": [204, 200]}})
    assert made["wanted_statuses"]["10.20.0.1:80"] == {"/up": [200, 204]}


def test_each_route_has_a_class_of_requests_made_for_it():
    pools = [
        {"name": "web", "servers": servers(3)},
        {"name": "api", "servers": servers(2, port=81)},
    ]
    pools[1]["servers"] = [{**one, "port": 81} for one in servers(2)]
    route = {
        "name": "api",
        "pool": "api",
        "hosts": ["*.api.example"],
        "path_prefixes": ["/v1"],
        "headers": [{"name": "X-Beta", "value": "yes"}],
    }
    made = built(listeners=[listener(routes=[route])], pools=pools)
    api, default = made["classes"]
    assert (api["pool"], api["hosts"], api["paths"]) == (
        "api",
        ["rehearsal.api.example"],
        [("/v1", True)],
    )
    assert api["headers"] == {"X-Beta": "yes"}
    assert (default["pool"], default["hosts"]) == ("web", ["rehearsal.invalid"])


def test_two_addresses_at_one_port_are_two_classes_that_share_what_the_pool_gets():
    binds = [{"address": "*", "port": 80}, {"address": "::", "port": 80}]
    made = built(listeners=[listener(binds=binds)])
    names = [kind["name"] for kind in made["classes"]]
    assert names == ["www:*:80/default", "www:[::]:80/default"]
    one = built(listeners=[listener()])["classes"][0]["requests"]
    assert [kind["requests"] for kind in made["classes"]] == [one / 2, one / 2]


def test_a_pool_that_no_listener_leads_to_is_named_and_not_judged():
    pools = [{"name": "web", "servers": servers(1)}, {"name": "spare", "servers": servers(1)}]
    made = built(pools=pools)
    assert made["unreached"] == ["spare"]
    assert list(made["pools"]) == ["web"]


@pytest.mark.parametrize("key", ["source"])
def test_a_hash_of_the_source_gets_one_request_per_connection(key):
    made = built({"algorithm": {"kind": "hash", "key": key}})
    assert made["classes"][0]["may_keep"] is False


def test_fair_shares_ignore_weights():
    made = built({"servers": [{**one, "weight": 1 + n} for n, one in enumerate(servers(4))]})
    assert set(made["pools"]["web"]["fair"].values()) == {0.25}


def test_fair_shares_follow_capacity_when_every_server_states_it():
    sizes = [
        {**one, "capacity": float(size)} for one, size in zip(servers(2), (300, 100), strict=True)
    ]
    assert built({"servers": sizes})["pools"]["web"]["fair"] == {"web1": 0.75, "web2": 0.25}


def test_a_backup_and_a_draining_server_are_meant_to_have_nothing():
    pool = servers(4)
    pool[1]["backup"] = True
    pool[2]["state"] = "draining"
    weights = built({"servers": pool})["pools"]["web"]["weights"]
    assert weights == {"web1": 100.0, "web2": 0.0, "web3": 0.0, "web4": 100.0}


@pytest.mark.parametrize("servers_of_pool", [2, 5, 50, 200])
def test_enough_requests_are_sent_for_luck_to_be_smaller_than_the_tolerance(servers_of_pool):
    weights = {f"s{n}": 100.0 for n in range(servers_of_pool)}
    number = world.requests_needed("diverse", weights, 0.3)
    even = dict.fromkeys(weights, number // servers_of_pool)
    assert diverse_share(even, weights, 0.3)["verdict"] == "pass"


def test_the_requests_of_many_pools_together_stay_bounded():
    pools = [
        {"name": f"p{n}", "algorithm": {"kind": "random"}, "servers": servers(200)}
        for n in range(20)
    ]
    listeners = [
        {"name": f"l{n}", "binds": [{"port": 8000 + n}], "default_pool": f"p{n}"} for n in range(20)
    ]
    made = built(pools=pools, listeners=listeners, route_tests=[])
    assert sum(kind["requests"] for kind in made["classes"]) <= world.MOST_REQUESTS + 20


def test_a_pool_s_own_guardrails_come_before_those_of_all():
    guardrails = {"largest_shift_points": 10, "pools": {"web": {"largest_shift_points": 60}}}
    guards = built(guardrails=guardrails)["pools"]["web"]["guards"]
    assert guards["largest_shift_points"] == 60
    assert guards["share_tolerance"] == DEFAULT_TOLERANCE


def test_without_a_profile_the_world_has_the_documented_default():
    profile = built()["profile"]
    wanted = {
        "concurrency": 32,
        "largest_header_bytes": 8000,
        "largest_body_bytes": 262144,
        "slowest_seconds": 5.0,
    }
    assert {key: profile[key] for key in wanted} == wanted


def test_a_profile_raises_the_concurrency_within_bounds():
    made = normalise(parse_intent(intent(), where="lb1"))
    found = [
        world.build(made, Profile(concurrency=given))["concurrency"] for given in (1, 100, 9000)
    ]
    assert found == [32, 100, 256]


def test_a_route_test_is_sent_with_its_method_and_as_get_where_it_has_none():
    test = {"name": "no forms", "listener": "www", "method": "POST", "expect_status": 405}
    made = built(route_tests=[test, {**test, "name": "pages", "method": "GET"}])
    sent = [one["requests"][0]["method"] for one in made["route_tests"]]
    assert sent == ["POST", "GET"]
    old = normalise(parse_intent(intent(route_tests=[test]), where="lb1"))
    del old["route_tests"][0]["method"]
    assert world.build(old)["route_tests"][0]["requests"][0]["method"] == "GET"
