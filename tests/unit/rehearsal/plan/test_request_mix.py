"""Which requests of a profile belong to which route, and how often each is asked."""

import re
from collections import Counter

import pytest
from unit.rehearsal.changes import intent, servers

from evenkeel.intent.parse import normalise, parse_intent
from evenkeel.profile.traffic_profile import parse_profile
from evenkeel.rehearsal.plan import request_mix, world
from evenkeel.rehearsal.protocol.seeded import Draws

ROUTES = [
    {"name": "beta", "pool": "api", "headers": [{"name": "X-Beta", "value": "yes"}]},
    {"name": "img", "pool": "img", "hosts": ["shop.example"], "path_prefixes": ["/img"]},
    {"name": "api", "pool": "api", "hosts": ["*.api.example"]},
    {"name": "up", "pool": "api", "paths": ["/up"]},
]


def row(share, host="", path="/", method="GET", listener=""):
    return {"share": share, "host": host, "path": path, "method": method, "listener": listener}


def built(rows=(), listeners=None, pools=None, **profile):
    www = {"name": "www", "binds": [{"port": 80}], "routes": ROUTES, "default_pool": "web"}
    made = intent(
        listeners=listeners or [www],
        pools=pools or [{"name": name, "servers": servers(2)} for name in ("web", "img", "api")],
        route_tests=[],
    )
    told = parse_profile({"rows": list(rows), **profile})
    return world.build(normalise(parse_intent(made)), told)


def asked(made):
    """Give {(route, host, path, method): share} of the learnt entries of a world."""
    return {
        (kind["name"], one["host"], one["path"], one["method"]): pytest.approx(one["share"])
        for kind in made["classes"]
        for one in kind["mix"]
        if one["learnt"]
    }


def test_a_row_belongs_to_the_first_route_that_takes_it_and_the_rest_to_the_default():
    rows = [
        row(0.4, "shop.example", "/img/{number}"),
        row(0.2, "shop.example", "/images"),
        row(0.2, "v1.api.example", "/orders", "POST"),
        row(0.1, "", "/up"),
        row(0.1, "other.example", "/up"),
    ]
    assert asked(built(rows)) == {
        ("www:80/img", "shop.example", "/img/{number}", "GET"): 0.4,
        ("www:80/default", "shop.example", "/images", "GET"): 0.2,
        ("www:80/api", "v1.api.example", "/orders", "POST"): 0.2,
        # Without a host it may be that of the API, which takes every path.
        ("www:80/api", "", "/up", "GET"): 0.05,
        ("www:80/up", "", "/up", "GET"): 0.05,
        ("www:80/up", "other.example", "/up", "GET"): 0.1,
    }


def test_a_row_of_a_known_listener_arrives_there_alone():
    both = [
        {"name": name, "binds": [{"port": port}], "default_pool": "web"}
        for name, port in (("one", 80), ("two", 81))
    ]
    pools = [{"name": "web", "servers": servers(2)}]
    rows = [row(0.6, path="/a", listener="two"), row(0.4, path="/b", listener="gone")]
    assert asked(built(rows, both, pools)) == {
        ("two:81/default", "", "/a", "GET"): 0.6,
        ("one:80/default", "", "/b", "GET"): 0.2,
        ("two:81/default", "", "/b", "GET"): 0.2,
    }


def test_what_no_route_takes_is_told_and_not_asked():
    bare = [{"name": "www", "binds": [{"port": 80}], "routes": ROUTES[1:2]}]
    pools = [{"name": "img", "servers": servers(2)}]
    made = built([row(0.3, "shop.example", "/img"), row(0.7, "shop.example", "/")], bare, pools)
    assert made["profile"]["unrouted_share"] == pytest.approx(0.7)
    assert len(asked(made)) == 1


def test_a_tcp_listener_is_asked_for_no_row():
    listeners = [
        {"name": "db", "mode": "tcp", "binds": [{"port": 5432}], "default_pool": "db"},
        {"name": "www", "binds": [{"port": 80}], "default_pool": "web"},
    ]
    pools = [
        {"name": "db", "mode": "tcp", "servers": servers(2)},
        {"name": "web", "servers": servers(2)},
    ]
    made = built([row(1.0, path="/a", method="POST")], listeners, pools)
    assert asked(made) == {("www:80/default", "", "/a", "POST"): 1.0}
    database = next(kind for kind in made["classes"] if kind["pool"] == "db")
    assert {entry["method"] for entry in database["mix"]} == {"GET"}


def test_without_a_profile_a_tenth_of_the_requests_are_posts():
    for kind in built()["classes"]:
        shares = Counter()
        for entry in kind["mix"]:
            shares[entry["method"]] += entry["share"]
        assert shares == {"GET": pytest.approx(0.9), "POST": pytest.approx(0.1)}


def test_every_host_and_every_path_of_a_large_route_is_asked_for():
    route = {
        "name": "many",
        "pool": "web",
        "hosts": [f"h{n}.example" for n in range(120)],
        "paths": [f"/p{n}" for n in range(7)],
    }
    www = {"name": "www", "binds": [{"port": 80}], "routes": [route], "default_pool": "web"}
    made = built(listeners=[www], pools=[{"name": "web", "servers": servers(2)}])
    entries = made["classes"][0]["mix"]
    assert len({one["host"] for one in entries}) == 120
    assert len({one["path"] for one in entries}) == 7
    assert len(entries) <= 120 + request_mix.MOST_TRIED


def test_requests_of_no_named_row_are_asked_as_the_route_has_them():
    made = built([row(0.3, "shop.example", "/img/a"), row(0.3, "shop.example", "/")],
                 other_share=0.4, methods={"GET": 1.0})  # fmt: skip
    img = next(kind for kind in made["classes"] if kind["route"] == "img")
    own = [one for one in img["mix"] if not one["learnt"]]
    assert sum(one["share"] for one in own) == pytest.approx(0.2)


def test_a_pool_whose_servers_are_found_by_the_path_gets_paths_that_differ():
    hashed = {"name": "web", "servers": servers(2), "algorithm": {"kind": "hash", "key": "uri"}}
    www = {
        "name": "www",
        "binds": [{"port": 80}],
        "routes": [{"name": "one", "pool": "web", "paths": ["/one"]}],
        "default_pool": "web",
    }
    made = built([row(0.5, path="/one"), row(0.5, path="/two")], [www], [hashed])
    grows = {
        one["path"]: one["grows"] for kind in made["classes"] for one in kind["mix"]
        if one["learnt"]
    }  # fmt: skip
    assert grows == {"/one": False, "/two": True}


def test_users_proportions_decide_beyond_what_tells_shares_apart():
    plain = {kind["route"]: kind["requests"] for kind in built()["classes"]}
    rows = [row(0.9, "shop.example", "/img/a"), row(0.1, "shop.example", "/")]
    made = {kind["route"]: kind["requests"] for kind in built(rows)["classes"]}
    assert made["img"] == pytest.approx(0.9 * 900, abs=1)
    # What nobody asks for is asked as often as it takes.
    assert made["default"] >= plain["default"]
    assert made["beta"] + made["api"] + made["up"] >= 300


def test_within_a_pool_a_route_that_users_ask_more_is_asked_more():
    rows = [row(0.8, "v1.api.example", "/orders"), row(0.2, "shop.example", "/up")]
    made = {kind["route"]: kind["requests"] for kind in built(rows)["classes"]}
    assert made["api"] == 4 * made["up"]
    assert made["beta"] >= 20


@pytest.mark.parametrize(
    ("path", "pattern"),
    [("/a/{number}", r"/a/\d+"), ("/{uuid}", r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
     ("/{token}/x", r"/[0-9a-f]+/x"), ("/a/{more}", r"/a/[0-9a-f]+/[0-9a-f]+"), ("/a", "/a")],
)  # fmt: skip
def test_placeholders_become_values(path, pattern):
    assert re.fullmatch(pattern, request_mix.filled(path, Draws(1, path)))


def test_every_entry_has_its_share_of_however_few_requests():
    entries = [{"share": share, "n": n} for n, share in enumerate((0.7, 0.2, 0.1))]
    for count in (10, 57, 300):
        picker = request_mix.Picker(entries, 0.3)
        found = Counter(picker.pick(n)["n"] for n in range(count))
        for n, share in enumerate((0.7, 0.2, 0.1)):
            assert abs(found[n] - share * count) <= 2
    assert request_mix.Picker([], 0.0).pick(1) is None


@pytest.mark.parametrize(("said", "wanted"), [(0.2, 1.0), (3.0, 3.0), (60.0, 8.0)])
def test_a_slow_request_is_as_slow_as_production_s_slowest_within_bounds(said, wanted):
    assert built(slowest_seconds=said)["slow_seconds"] == wanted


def test_few_clients_are_made_enough_to_tell():
    assert built(clients=3)["classes"][0]["clients"] == 256
    assert built(clients=5000)["classes"][0]["clients"] == 5000


def test_no_client_asks_so_much_that_it_meets_a_limit():
    random = {"name": "web", "servers": servers(60), "algorithm": {"kind": "random"}}
    www = {"name": "www", "binds": [{"port": 80}], "default_pool": "web"}
    (kind,) = built(listeners=[www], pools=[random], clients=3)["classes"]
    assert kind["requests"] > 8 * 256
    assert kind["clients"] == -(-kind["requests"] // 8)
