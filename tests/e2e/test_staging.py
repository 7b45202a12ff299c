"""The rehearsal in its real containers: what is good passes, what is valid but wrong does not."""

import re
import time

import pytest
from unit.rehearsal.changes import ROLE, hand_made, intent, servers, write_change

from evenkeel.change.bundle import render_fleet
from evenkeel.containers import images, names, podman
from evenkeel.errors import EvenkeelError
from evenkeel.profile.learn import learn
from evenkeel.rehearsal import bundles, staging

FOUR = hand_made(4)
POOL = "backend web\n"


def backends(prefix, network, count, **more):
    """Give servers of a pool whose addresses are `network` and a number."""
    return [
        {"name": f"{prefix}{n}", "address": f"{network}{n}", "port": 8080, **more}
        for n in range(1, count + 1)
    ]


CHECK = {"kind": "http", "path": "/health", "host": "shop.example", "expect_status": 204}
INTERNAL = {"authorities": "/etc/ssl/certs/internal.pem"}
# One of everything that a world has to have: TLS from clients and to servers, TCP, both PROXY
# protocols, an address of the balancer's own, IPv6, servers known by name, every algorithm, a
# redirect, a cookie.
EVERYTHING = {
    "listeners": [
        {
            "name": "public",
            "binds": [{"port": 443, "tls": {"certificate": "/etc/haproxy/certs/shop.pem"}}],
            "routes": [
                {"name": "api", "pool": "api", "hosts": ["*.api.example"]},
                {"name": "img", "pool": "img", "hosts": ["shop.example"], "path_prefixes": ["/i"]},
                {"name": "beta", "pool": "beta", "headers": [{"name": "X-B", "value": "yes"}]},
                {"name": "rand", "pool": "rand", "paths": ["/random"]},
            ],
            "default_pool": "shop",
        },
        {
            "name": "plain",
            "binds": [{"port": 80}],
            "default_pool": "shop",
            "extra": ["http-request redirect scheme https code 301"],
        },
        {"name": "queue", "mode": "tcp", "binds": [{"port": 5671}], "default_pool": "queue"},
        {
            "name": "vip",
            "binds": [{"address": "10.9.9.9", "port": 8080, "accept_proxy": True}],
            "default_pool": "user",
        },
        {
            "name": "six",
            "binds": [{"address": "::", "port": 8081}, {"address": "fd00:9::9", "port": 8082}],
            "default_pool": "six",
        },
    ],
    "pools": [
        {
            "name": "shop",
            "stickiness": {"cookie": "SRV"},
            "check": CHECK,
            "servers": [
                *backends("shop", "10.20.1.", 3, max_connections=400),
                {"name": "sorry", "address": "10.20.9.1", "port": 8080, "backup": True},
            ],
        },
        {
            "name": "api",
            "algorithm": {"kind": "least_connections"},
            "check": CHECK,
            "tls": {**INTERNAL, "server_name": "api.internal"},
            "servers": [
                *backends("api", "10.20.2.", 3),
                {"name": "api9", "address": "10.20.2.9", "port": 8080, "state": "draining"},
            ],
        },
        {
            "name": "img",
            "algorithm": {"kind": "hash", "key": "uri"},
            "servers": backends("img", "10.20.3.", 2),
        },
        {
            "name": "beta",
            "tls": {"verified": False},
            "servers": backends("beta", "10.20.4.", 2, proxy_protocol="v2"),
        },
        {
            "name": "rand",
            "algorithm": {"kind": "random"},
            "servers": [
                {"name": name, "address": f"{name}.servers.example", "port": 8080}
                for name in ("one", "two")
            ],
        },
        {
            "name": "queue",
            "mode": "tcp",
            "tls": INTERNAL,
            "servers": [
                {**one, "port": 5671, "proxy_protocol": "v1"}
                for one in backends("queue", "10.20.5.", 2)
            ],
        },
        # The servers of `shop` once more: only counters tell these two pools apart.
        {
            "name": "user",
            "algorithm": {"kind": "hash", "key": "header", "name": "X-User"},
            "servers": backends("shop", "10.20.1.", 3),
        },
        {
            "name": "six",
            "algorithm": {"kind": "hash", "key": "source"},
            "servers": backends("six", "fd00:5::", 3),
        },
    ],
    "route_tests": [
        {"name": "shop", "listener": "public", "host": "shop.example", "expect_pool": "shop"},
        {"name": "api", "listener": "public", "host": "v1.api.example", "expect_pool": "api"},
        {
            "name": "img",
            "listener": "public",
            "host": "shop.example",
            "path": "/i/1.png",
            "expect_pool": "img",
        },
        {
            "name": "beta",
            "listener": "public",
            "headers": {"X-B": "yes"},
            "expect_pool": "beta",
        },
        {"name": "redirect", "listener": "plain", "host": "shop.example", "expect_status": 301},
        {"name": "vip", "listener": "vip", "expect_pool": "user"},
    ],
}


def four(**pool):
    """Give the intent of a pool of four servers, with other keys of the pool."""
    return intent({"servers": servers(4), **pool})


def spoilt(name, number, **keys):
    """Give a pool of four servers at addresses of its own, with other keys."""
    return {"name": name, "servers": backends(name, f"10.21.{number}.", 4), **keys}


def uneven(name, number, *each):
    """Give a pool whose servers have other keys, those of `each` in turn."""
    pool = spoilt(name, number)
    pool["servers"] = [one | more for one, more in zip(pool["servers"], each, strict=True)]
    return pool


def at_once(pools):
    """Give an intent with a route to each of `pools`, and a test of each route."""
    ways = {pool["name"]: f"/{pool['name']}" for pool in pools}
    listener = {
        "name": "www",
        "binds": [{"port": 80}],
        "routes": [{"name": n, "pool": n, "path_prefixes": [way]} for n, way in ways.items()],
        "default_pool": pools[0]["name"],
    }
    tests = [
        {"name": n, "listener": "www", "host": "shop.example", "path": f"{way}/1", "expect_pool": n}
        for n, way in ways.items()
    ]
    return {"listeners": [listener], "pools": pools, "route_tests": tests}


STICKY = {"stickiness": {"cookie": "SRV"}}
# What ruins the spread of a pool: the pool, what the template prints otherwise, the checks that
# have to see it. The weights are those of 2024-06-20.
SPOILT = {
    "typo": (uneven("typo", 1, {}, *3 * [{"weight": 1}]), None, {"spread", "shift"}),
    "fill": (spoilt("fill", 2, algorithm={"kind": "first"}), None, {"spread", "shift"}),
    "spare": (uneven("spare", 3, {}, *3 * [{"backup": True}]), None, {"spread"}),
    "one": (spoilt("one", 4), ("10.21.4.2:8080", "10.21.4.2:8080 maxconn 1"), {"share"}),
    "host": (
        spoilt("host", 5, algorithm={"kind": "hash", "key": "header", "name": "Host"}),
        None,
        {"share", "idle", "spread", "shift"},
    ),
    "off": (spoilt("off", 6), ("10.21.6.2:8080", "10.21.6.2:8080 disabled"), {"share", "idle"}),
    "same": (spoilt("same", 7, **STICKY), ("cookie same2", "cookie same1"), {"sticky"}),
}
# The same pools as they were: nothing else about them, and all of their servers alike.
WELL = at_once(
    [
        spoilt(name, number, **(STICKY if name == "same" else {}))
        for number, name in enumerate(SPOILT, 1)
    ]
)
# What is wrong -> the intent, what the template prints otherwise, the checks that have to see it.
WRONG = {
    "check-on-a-wrong-port": (
        four(),
        ("default-server check", "default-server check port 81"),
        {"answers", "servers:web", "share:web", "route:front"},
    ),
    # Nothing of it shows while all servers are well and requests are small and quick.
    "what-only-trouble-shows": (
        intent(
            {"servers": servers(4), "check": {"kind": "none"}},
            timeouts={"server_seconds": 1},
        ),
        ("default_backend web", "http-request set-path /other\n    default_backend web"),
        {"failing:web", "slow:web", "told"},
    ),
    "buffers-too-small-for-heads": (
        intent({"servers": servers(4)}, extra={"global": ["tune.bufsize 2048"]}),
        None,
        {"limits"},
    ),
    "a-word-that-is-none": (four(), ("balance roundrobin", "balance robin"), {"native_check"}),
}


@pytest.fixture(autouse=True, scope="module")
def lab():
    """A name of its own, so that no other rehearsal of this checkout is in the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_LAB", f"{names.lab_name()[:26]}-reh")
        yield names.lab_name()


def rehearse(folder, said=None):
    return staging.rehearse(
        folder.path,
        hosts=None,
        role_dir=ROLE,
        repo_root=names.ROOT,
        progress=(said if said is not None else []).append,
    )


def of_lab(lab):
    found = podman.call(["ps", "--all", "--quiet", "--filter", f"label={bundles.LABEL}={lab}"])
    return found.decode().split()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two servers more on two hosts, and a host with one of everything."""
    hosts = {f"lb{n}": intent({"servers": servers(5)}) for n in (1, 2)} | {"lb4": EVERYTHING}
    bases = {host: hand_made(3) for host in hosts}
    folder = write_change(tmp_path_factory.mktemp("changes") / "good", hosts, bases)
    said = []
    began = time.monotonic()
    body = rehearse(folder, said)
    return body, said, time.monotonic() - began


def bundle_of(body, host):
    return next(one for one in body["bundles"] if host in one["hosts"])


def broken(bundle):
    return {c["id"]: c["reasons"] for c in bundle["checks"] if c["verdict"] != "pass"}


def test_a_good_change_passes_on_every_distinct_bundle(good, lab):
    body, said, _ = good
    assert {host: broken(bundle_of(body, host)) for host in ("lb1", "lb2", "lb4")} == {
        host: {} for host in ("lb1", "lb2", "lb4")
    }
    assert body["verdict"] == "pass"
    assert [line for line in said if "staging: verify" in line]
    assert of_lab(lab) == []


def test_half_of_the_clients_of_a_tls_listener_speak_http_2(good):
    asked = {
        host: next(c for c in bundle_of(good[0], host)["checks"] if c["id"] == "answers")["numbers"]
        for host in ("lb1", "lb4")
    }
    assert asked["lb1"]["in_http_2"] == 0
    # Of five listeners one has TLS, and it leads to five of seven pools.
    assert 0.2 * asked["lb4"]["sent"] < asked["lb4"]["in_http_2"] < 0.5 * asked["lb4"]["sent"]
    assert asked["lb4"]["failed"] == 0


def test_the_effect_shows_each_server_s_share_before_and_after(good):
    web = bundle_of(good[0], "lb1")["effect"]["web"]["servers"]
    assert web["web1"] == {"before": 0.33333, "after": 0.2, "intended": 0.2}
    assert web["web5"] == {"before": 0.0, "after": 0.2, "intended": 0.2}


def test_this_change_s_own_rollback_under_load_loses_no_request(good):
    checks = {check["id"]: check for check in bundle_of(good[0], "lb1")["checks"]}
    assert checks["reload"]["numbers"]["reloads"] == 3
    assert checks["reload"]["numbers"]["sent"] > 500
    assert checks["reload"]["reasons"] == []


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """One change: a host whose pools are ruined, each in its way, and one for each other fault."""
    hosts = {name: made for name, (made, _, _) in WRONG.items()}
    edits = {name: [edit] for name, (_, edit, _) in WRONG.items() if edit}
    hosts["spoilt"] = at_once([pool for pool, _, _ in SPOILT.values()])
    edits["spoilt"] = [edit for _, edit, _ in SPOILT.values() if edit]
    well = render_fleet({"spoilt": WELL}, role_dir=ROLE).files["spoilt"]["haproxy.cfg"].decode()
    bases = dict.fromkeys(WRONG, FOUR) | {"spoilt": well}
    folder = write_change(tmp_path_factory.mktemp("changes") / "bad", hosts, bases, edits)
    return rehearse(folder)


@pytest.mark.parametrize("wrong", WRONG)
def test_sees_what_no_syntax_check_sees(bad, wrong):
    found = broken(bundle_of(bad, wrong))
    assert WRONG[wrong][2] <= set(found), found
    assert bad["verdict"] == "fail"


@pytest.mark.parametrize("pool", SPOILT)
def test_sees_each_way_to_ruin_a_spread_that_a_syntax_check_accepts(bad, pool):
    found = broken(bundle_of(bad, "spoilt"))
    assert {f"{check}:{pool}" for check in SPOILT[pool][2]} <= set(found), found


def test_a_skewed_spread_is_told_with_pool_servers_and_shares(bad):
    reasons = broken(bundle_of(bad, "spoilt"))["spread:typo"]
    # 100 of 103 shares; how many requests are counted decides the digit behind the point.
    assert re.search(r"server typo1 of pool typo: 25\.0 % → 9[67]\.\d %", reasons[0])


ADMIN = "http-request deny if { path_beg /admin }"
# What users asked for, of 1,000 requests: method, host, path, how often.
USERS = [
    ("GET", "shop.example", "/", 500),
    ("GET", "www.shop.example", "/items/{}", 200),
    ("POST", "shop.example", "/cart", 200),
    ("POST", "v1.api.example", "/orders", 50),
    ("GET", "shop.example", "/admin", 50),
]


def log():
    """Give the lines of an access log as HAProxy writes it: 300 clients, 3 s the slowest."""
    stream = [one[:3] for one in USERS for _ in range(one[3])]
    for number, (method, host, path) in enumerate(stream):
        client = f"198.51.{number % 300 // 250}.{number % 300 % 250}:{1024 + number // 4}"
        milliseconds = 3000 if number == 7 else 20
        yield (
            f"{client} [06/Feb/2026:12:14:{number % 60:02}.655] www web/s1"
            f" 0/0/1/{milliseconds}/{milliseconds} 200 612 - - ---- 1/1/40/1/0 0/0 {{{host}}}"
            f' "{method} {path.format(number)} HTTP/1.1"\n'
        )


def followed():
    """An intent of a shop and its API, what is live before it, and what its users ask for."""
    route = {"name": "api", "pool": "api", "hosts": ["*.api.example"]}
    listener = {
        "name": "www",
        "binds": [{"port": 80}],
        "routes": [route],
        "default_pool": "web",
        "extra": [ADMIN],
    }
    pools = [
        {"name": "web", "servers": servers(4)},
        {"name": "api", "servers": backends("api", "10.20.2.", 2)},
    ]
    # What users ask for goes to another pool than before: a change that means it says so.
    moved = {
        "name": "orders go to the API",
        "listener": "www",
        "host": "v1.api.example",
        "path": "/orders",
        "method": "POST",
        "expect_pool": "api",
    }
    base = hand_made(3).replace("bind *:80", f"bind *:80\n    {ADMIN}")
    return intent(listeners=[listener], pools=pools, route_tests=[moved]), base


def tied(line, more=""):
    """Give what is live on three servers that clients are tied to."""
    text = hand_made(3).replace("balance roundrobin", line)
    for number in (1, 2, 3):
        old = f"server s{number} 10.20.0.{number}:80 check"
        text = text.replace(old, old.replace(f"s{number}", f"web{number}") + more.format(number))
    return text


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A change that is rehearsed with a profile learnt from a log, and two that move clients."""
    followed_intent, base = followed()
    by_address = {"algorithm": {"kind": "hash", "key": "source"}}
    hosts = {
        "shop": followed_intent,
        "hash": intent(by_address),
        "sticky": intent(STICKY),
    }
    bases = {
        "shop": base,
        "hash": tied("balance source"),
        "sticky": tied("balance roundrobin\n    cookie SRV insert indirect nocache",
                       " cookie web{}"),
    }  # fmt: skip
    profile = learn(log(), b"k" * 32).model_dump_json().encode()
    folder = write_change(
        tmp_path_factory.mktemp("changes") / "users", hosts, bases, profile=profile
    )
    return rehearse(folder)


def test_servers_see_what_the_log_s_users_ask_for_in_proportion(users):
    shop = bundle_of(users, "shop")
    assert broken(shop) == {}
    seen = shop["traffic"]["seen"]
    asked = seen["requests"]
    web = {name: number for name, number in asked.items() if "api" not in name}
    assert set(web) == {"GET shop.example", "GET www.shop.example", "POST shop.example"}
    for name, share in zip(sorted(web), (5 / 9, 2 / 9, 2 / 9), strict=True):
        assert web[name] == pytest.approx(share * sum(web.values()), abs=3)
    assert set(asked) - set(web) == {"POST v1.api.example"}
    posts = asked["POST shop.example"] + asked["POST v1.api.example"]
    assert posts * 0.95 < seen["bodies"] <= posts
    assert 1024 < seen["largest_body_bytes"] <= 8192


def test_what_the_balancer_refuses_to_users_is_told_and_is_no_failure(users):
    checks = {check["id"]: check for check in bundle_of(users, "shop")["checks"]}
    (reason,) = checks["asked"]["reasons"]
    assert reason.startswith("as before: port 80 GET shop.example/admin gets status 403")
    assert checks["asked"]["numbers"]["not_answered_percent"] == 5.0
    assert checks["slow:web"]["numbers"]["seconds"] == 3.0


def test_clients_that_land_on_another_server_are_counted_where_they_have_one(users):
    by_address = bundle_of(users, "hash")["effect"]["web"]["moved_clients"]
    assert by_address["clients"] == 120
    # Another kind of hash over the same servers: about two of three.
    assert 45 < by_address["percent"] < 85
    sticky = bundle_of(users, "sticky")["effect"]["web"]["moved_clients"]
    assert (sticky["clients"], sticky["moved"]) == (120, 0)
    assert "moved_clients" not in bundle_of(users, "shop")["effect"]["web"]


def test_a_container_that_cannot_start_is_trouble_and_never_a_verdict(tmp_path, lab, monkeypatch):
    monkeypatch.setenv("EVENKEEL_STAGING_IMAGE", "localhost/evenkeel/no-such-image:1")
    folder = write_change(tmp_path / "c1", {"lb1": intent()}, {})
    with pytest.raises(EvenkeelError, match="came to no verdict"):
        rehearse(folder)
    assert of_lab(lab) == []


def test_removes_what_a_killed_run_left_behind_and_nothing_else(lab):
    image = images.image("staging")
    labels = (f"{bundles.LABEL}={lab}", f"{bundles.LABEL}={lab}-other")
    mine, other = (
        podman.call(["create", "--label", label, "--network=none", image, "/sbin/init"])
        .decode()
        .strip()
        for label in labels
    )
    try:
        staging.remove_leftovers()
        assert of_lab(lab) == []
        assert podman.succeeds(["container", "exists", other])
    finally:
        podman.remove([mine, other])
