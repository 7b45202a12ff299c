"""What an intent may not hold, and that the message says where, what was wanted and found."""

from __future__ import annotations

import datetime
import math

import pytest
from unit.intent.intents import intent, listener, pool, server

from evenkeel.errors import EXIT_REFUSED, Problems
from evenkeel.intent import parse_intent


def problems_of(data):
    with pytest.raises(Problems) as caught:
        parse_intent(data)
    assert caught.value.exit_code == EXIT_REFUSED
    return {problem.path: problem for problem in caught.value.problems}


def put(data, path, value):
    """Set `value` at a path such as `pools.0.servers.0.port`."""
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    target = data
    for step in steps:
        target = target.setdefault(step, {}) if isinstance(target, dict) else target[step]
    target[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "at", "wanted", "got"),
    [
        ("pools.0.servers.1.wieght", 3, "intent.pools[0].servers[1].wieght", "weight", "wieght"),
        ("listners", [], "intent.listners", "listeners", "unknown key"),
        ("pools.0.servers.0.port", "80", "intent.pools[0].servers[0].port", "whole", "'80' (text)"),
        ("pools.0.servers.0.port", True, "intent.pools[0].servers[0].port", "whole", "boolean"),
        ("pools.0.servers.0.port", 80.0, "intent.pools[0].servers[0].port", "whole number", "80.0"),
        ("pools.0.servers.0.port", 0, "intent.pools[0].servers[0].port", "at least 1", "0"),
        ("pools.0.servers.0.backup", 1, "intent.pools[0].servers[0].backup", "true or false", "1"),
        ("pools.0.servers.0.weight", 0, "intent.pools[0].servers[0].weight", "at least 1", "0"),
        ("pools.0.servers", [], "intent.pools[0].servers", "at least 1", "list of 0"),
        ("pools.0.servers", None, "intent.pools[0].servers", "a list", "nothing"),
        ("pools.0.name", 7, "intent.pools[0].name", "text", "7"),
        ("pools.0.name", "a b", "intent.pools[0].name", "A-Z a-z", "'a b'"),
        ("pools.0.algorithm.kind", "rr", "intent.pools[0].algorithm.kind", "round_robin", "'rr'"),
        ("timeouts.client_seconds", 0, "intent.timeouts.client_seconds", "at least 0.1", "0"),
        ("timeouts.client_seconds", math.nan, "intent.timeouts.client_seconds", "", "nan"),
        ("limits", [1], "intent.limits", "a mapping", "a list of 1"),
        (
            "pools.0.servers.0.port",
            datetime.date(2024, 6, 20),
            "intent.pools[0].servers[0].port",
            "whole number",
            "date",
        ),
        ("listeners.0.default_pool", "shp", "intent.listeners[0].default_pool", "shop", "'shp'"),
        ("guardrails.pools", {"shp": {}}, "intent.guardrails.pools.shp", "shop", "'shp'"),
        (
            "listeners.0.binds.0.tls",
            {},
            "intent.listeners[0].binds[0].tls.certificate",
            "required",
            "",
        ),
        ("pools.0.tls", {}, "intent.pools[0].tls.authorities", "verified: false", "nothing"),
        (
            "pools.0.tls",
            {"verified": False, "authorities": "/etc/ssl/ca.pem"},
            "intent.pools[0].tls.authorities",
            "nothing is verified",
            "/etc/ssl/ca.pem",
        ),
        (
            "pools.0.tls",
            {"authorities": "/etc/ssl/ca.pem", "server_name": "10.0.0.1"},
            "intent.pools[0].tls.server_name",
            "a host name",
            "10.0.0.1",
        ),
    ],
)
def test_refuses_a_wrong_value_and_says_where_and_what(path, value, at, wanted, got):
    problem = problems_of(put(intent(), path, value))[at]
    assert wanted in problem.wanted
    assert got in problem.got


@pytest.mark.parametrize(
    "address",
    [
        *("", "10.0.0.300", "10.0.0", "1.2.3.4.5", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),
        *("fe80::1%eth0", "web 1", "web_1", "-web", "web-", "a..b", ".a", "a.", "10.0.0.1:80"),
        *("[::1]", "a/b", "a" * 64, "x." * 130 + "x", "é.example", "web1;", "010.0.0.1"),
    ],
)
def test_refuses_an_address_that_is_none(address):
    data = put(intent(), "pools.0.servers.0.address", address)
    assert "intent.pools[0].servers[0].address" in problems_of(data)


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("Web1.Example.com", "web1.example.com"),
        ("localhost", "localhost"),
    ],
)
def test_spells_an_address_in_one_way(address, canonical):
    data = put(intent(), "pools.0.servers.0.address", address)
    assert parse_intent(data).pools[0].servers[0].address == canonical


@pytest.mark.parametrize("letter", ["\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u202e"])
@pytest.mark.parametrize(
    "path",
    [
        "pools.0.name",
        "pools.0.servers.0.address",
        "pools.0.extra",
        "listeners.0.extra",
        "extra.global",
        "extra.defaults",
        "route_tests",
    ],
)
def test_refuses_a_character_that_is_not_printed_anywhere(path, letter):
    text = f"option x{letter}backend evil"
    value = [text] if path.rsplit(".", 1)[-1] in ("extra", "global", "defaults") else text
    found = problems_of(put(intent(), path, value))
    assert any("unprintable" in one.got or "line break" in one.got for one in found.values())


def test_refuses_a_line_break_in_a_key():
    tests = [{"name": "t", "listener": "public", "headers": {"X\nY": "z"}, "expect_pool": "shop"}]
    found = problems_of(intent(route_tests=tests))
    assert [problem.got[:12] for problem in found.values()] == ["a line break"]


def test_refuses_a_key_that_yaml_read_as_a_boolean_and_says_so():
    found = problems_of(intent(pools=[pool(algorithm={"kind": "hash", True: "source"})]))
    assert "YAML reads on" in found["intent.pools[0].algorithm"].got


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (intent(pools=[pool(), pool()]), "intent.pools[1].name"),
        (
            intent(pools=[pool(servers=0) | {"servers": [server(1), server(1, port=81)]}]),
            "intent.pools[0].servers[1].name",
        ),
        (
            intent(pools=[{"name": "shop", "servers": [server(1), server(1, name="b")]}]),
            "intent.pools[0].servers[1].address",
        ),
        (
            intent(
                pools=[
                    {
                        "name": "shop",
                        "servers": [
                            server(1, address="2001:db8::1"),
                            server(2, address="2001:DB8:0::1"),
                        ],
                    }
                ]
            ),
            "intent.pools[0].servers[1].address",
        ),
        (
            intent(
                listeners=[listener(), listener("b", binds=[{"address": "0.0.0.0", "port": 80}])]
            ),
            "intent.listeners[1].binds[0]",
        ),
        (
            intent(listeners=[listener(), listener(binds=[{"port": 81}])]),
            "intent.listeners[1].name",
        ),
        (intent(listeners=[listener(mode="tcp")]), "intent.listeners[0].default_pool"),
        (
            intent(listeners=[listener(routes=[{"name": "r", "pool": "shop"}])]),
            "intent.listeners[0].routes[0]",
        ),
        (
            intent(listeners=[listener(routes=[{"name": "r", "pool": "x", "paths": ["/"]}])]),
            "intent.listeners[0].routes[0].pool",
        ),
        (
            intent(
                listeners=[
                    listener(
                        routes=[{"name": n, "pool": "shop", "paths": ["/"]} for n in ("a", "b")]
                    )
                ]
            ),
            "intent.listeners[0].routes[1]",
        ),
        (intent(listeners=[listener(default_pool=None)]), "intent.listeners[0]"),
        (intent(pools=[pool(algorithm={"kind": "hash"})]), "intent.pools[0].algorithm.key"),
        (
            intent(pools=[pool(algorithm={"kind": "hash", "key": "header"})]),
            "intent.pools[0].algorithm.name",
        ),
        (
            intent(pools=[pool(algorithm={"kind": "random", "key": "uri"})]),
            "intent.pools[0].algorithm.key",
        ),
        (intent(pools=[pool(check={"kind": "tcp", "path": "/"})]), "intent.pools[0].check.path"),
        (
            intent(pools=[pool(mode="tcp", stickiness={"cookie": "A"})]),
            "intent.pools[0].stickiness",
        ),
        (
            intent(route_tests=[{"name": "t", "listener": "x", "expect_status": 404}]),
            "intent.route_tests[0].listener",
        ),
        (intent(route_tests=[{"name": "t", "listener": "public"}]), "intent.route_tests[0]"),
    ],
)
def test_refuses_values_that_do_not_fit_together(data, at):
    assert at in problems_of(data)


def test_reports_every_problem_at_once():
    data = intent(listeners=[listener(default_pool="nowhere"), 7], colour="blue")
    data["pools"] = [pool(servers=2), pool(check={"rise": "2"})]
    data["pools"][0]["servers"][1]["address"] = "10.0.0.300"
    assert set(problems_of(data)) == {
        "intent.colour",
        "intent.listeners[0].default_pool",
        "intent.listeners[1]",
        "intent.pools[0].servers[1].address",
        "intent.pools[1].check.rise",
        "intent.pools[1].name",
    }


@pytest.mark.parametrize("data", [None, [], "intent", 7, {}, {"pools": {}}, {"listeners": [None]}])
def test_refuses_what_is_no_intent_without_a_traceback(data):
    assert problems_of(data)


def test_refuses_a_value_that_nests_without_end():
    deep: dict = {}
    deep["pools"] = [deep]
    assert problems_of(deep)


def test_names_the_host_and_the_next_step():
    with pytest.raises(Problems) as caught:
        parse_intent({}, where="lb1")
    assert "lb1" in str(caught.value)
    assert "`intent`" in str(caught.value)


@pytest.mark.parametrize("value", [10**5000, -(10**5000), 2**63], ids=["long", "minus", "63"])
@pytest.mark.parametrize("path", ["pools.0.servers.0.weight", "pools.0.extra", "colour"])
def test_refuses_a_number_that_cannot_even_be_printed(path, value):
    at = "intent." + path.replace("pools.0", "pools[0]").replace("servers.0", "servers[0]")
    assert problems_of(put(intent(), path, value))[at].got == "more digits"


def test_refuses_a_key_that_is_a_number_too_long_to_print():
    assert "long number" in problems_of(intent(timeouts={10**5000: 1}))["intent.timeouts"].got
