"""What a driver counts is what the pool assigns, on the real balancer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract.hosts import LISTEN, PORTS, Host

TCP = LISTEN + 1
HASH = {"kind": "hash", "key": "uri"}
POOLS: dict[str, dict[str, Any]] = {
    "sticky": {"stickiness": {"cookie": "SRV"}},
    "ring": {"algorithm": HASH, "weights": (1, 1, 2, 1)},
    "even": {"algorithm": HASH, "weights": (100, 100, 50, 100)},
    "map": {"algorithm": HASH | {"consistent": False}, "weights": (100, 100, 50, 100)},
    "random": {"algorithm": {"kind": "random"}, "weights": (1, 1, 1, 1)},
    "plain": {},
    "tcp": {"mode": "tcp"},
}


def pool(name: str, more: dict[str, Any]) -> dict[str, Any]:
    weights = more.get("weights", (100,) * len(PORTS))
    servers = [
        {"name": f"web{n}", "address": "127.0.0.1", "port": port, "weight": weight}
        for n, (port, weight) in enumerate(zip(PORTS, weights, strict=True), 1)
    ]
    rest = {key: value for key, value in more.items() if key != "weights"}
    return {"name": name, "check": {"kind": "none"}, "servers": servers, **rest}


def wanted() -> dict[str, Any]:
    http = [name for name, more in POOLS.items() if more.get("mode") != "tcp"]
    routes = [{"name": name, "pool": name, "path_prefixes": [f"/{name}/"]} for name in http]
    return {
        "listeners": [
            {
                "name": "shop",
                "binds": [{"address": "*", "port": LISTEN}],
                "routes": routes,
                "default_pool": "plain",
            },
            {"name": "wire", "mode": "tcp", "default_pool": "tcp", "binds": [{"port": TCP}]},
        ],
        "pools": [pool(name, more) for name, more in POOLS.items()],
        "guardrails": {"slow_response_seconds": 0.2},
    }


@pytest.fixture(scope="module")
def counting(container: Host) -> Host:
    """A host whose configuration has a pool of every kind of assignment."""
    container.reset(container.render(wanted()))
    return container


def column(host: Host, name: str, field: str) -> list[int]:
    rows = host.observed(name)["servers"]
    return [rows[server][field] for server in sorted(rows)]


def test_a_client_that_sticks_is_counted_once_and_its_requests_all(counting: Host) -> None:
    sent = counting.send("clients", LISTEN, "/sticky/x", 40, 5)
    assert sum(sent.values()) == 200
    assert column(counting, "sticky", "clients") == [10] * 4
    assert column(counting, "sticky", "requests") == [50] * 4


# Weights of 1 make the most uneven ring. Of fewer keys luck alone moves a share by more.
@pytest.mark.parametrize(
    ("name", "keys", "points"), [("ring", 20000, 1), ("even", 4000, 2.5), ("map", 4000, 2.5)]
)
def test_a_hash_spreads_keys_as_the_role_says(
    counting: Host, name: str, keys: int, points: float
) -> None:
    sent = counting.send("paths", LISTEN, f"/{name}/", 0, keys)
    for server, share in counting.spread(wanted(), name).items():
        measured = sent[str(9000 + int(server[-1]))] / keys
        assert 100 * measured == pytest.approx(100 * share, abs=points)


def test_a_hash_counts_each_key_once_at_its_server(counting: Host) -> None:
    counting.python("result = driver.reload(30.0) and None")
    first = counting.send("paths", LISTEN, "/ring/", 0, 300)
    assert counting.send("paths", LISTEN, "/ring/", 0, 300) == first
    by_port = [first.get(str(port), 0) for port in PORTS]
    assert column(counting, "ring", "clients") == by_port
    assert column(counting, "ring", "requests") == [2 * each for each in by_port]


def test_random_choice_follows_the_ring_of_the_role_while_there_is_no_load(counting: Host) -> None:
    sent = counting.send("paths", LISTEN, "/random/", 0, 4000)
    for server, share in counting.spread(wanted(), "random").items():
        measured = sent[str(9000 + int(server[-1]))] / 4000
        assert measured == pytest.approx(share, abs=0.03)


def test_tcp_is_counted_in_connections_however_many_requests_they_carry(counting: Host) -> None:
    for _ in range(8):
        counting.send("paths", TCP, "/", 0, 20)
    assert column(counting, "tcp", "connections") == [2] * 4


def test_slow_answers_are_counted_beside_all_that_were_timed(counting: Host) -> None:
    before = counting.observed("plain")
    counting.send("paths", LISTEN, "/quickly", 0, 50)
    counting.send("paths", LISTEN, "/slowly", 0, 5)
    now = counting.observed("plain")
    assert (now["timed"] - before["timed"], now["slow"] - before["slow"]) == (55, 5)


def test_says_who_waits_and_which_connections_are_open(counting: Host) -> None:
    plain = counting.observed("plain")
    assert plain["queue"] == 0
    assert {row["open"] for row in plain["servers"].values()} == {0}


def test_knows_the_listeners_that_a_probe_can_be_sent_to(counting: Host) -> None:
    found = counting.python("result = driver.listeners()")
    assert [(one["port"], one["http"], one["tls"]) for one in found["shop"]] == [
        (LISTEN, True, False)
    ]
    assert [one["http"] for one in found["wire"]] == [False]


def test_a_silent_host_that_probes_itself_passes(counting: Host) -> None:
    counting.deploy("probed", counting.render(wanted() | {"limits": {"max_connections": 1500}}))
    probe = {
        "listener": "shop",
        "path": "/plain/probe",
        "host": "shop.example.com",
        "requests_per_second": 50,
    }
    web = {"required": True, "judged": "share", "tolerance": 0.75, "minimum_requests": 100}
    policy = {"pools": {"plain": web}, "probe": probe}
    words = ("observe", "--change", "probed", "--seconds", "20", "--judge", "--until-decided")
    answer = counting.must(*words, stdin=json.dumps(policy).encode())
    assert answer["verdict"] == "pass", answer["reasons"]
    assert answer["probe"]["sent"] == answer["requests"] >= 100
    assert answer["probe"]["failed"] == 0
