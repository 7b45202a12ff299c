"""A difference shows what changes and hides what is secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.intent.intents import intent, listener

from evenkeel.change.bundle import render_fleet
from evenkeel.change.difference import HIDDEN, fleet_diff, redact, unified_diff

ROLE = Path(__file__).parents[3] / "roles" / "balancer_haproxy"


@pytest.mark.parametrize(
    "line",
    [
        "    user admin password $5$abcHUNTER2",
        "    user admin insecure-password HUNTER2 groups x",
        "    stats auth admin:HUNTER2",
        '    http-request set-header Authorization "Basic HUNTER2"',
        "    http-request set-header X-Api-Key HUNTER2",
        "    set-var(txn.token) HUNTER2".replace("(txn.token)", " token"),
        "    server a https://user:HUNTER2@10.0.0.1/",
        "secret = HUNTER2",
        "password: 'HUNTER2 and more'",
        "    acl 'route.a.header1' req.fhdr(X-Auth-Token) -m str -- HUNTER2",
        "    acl route.a.header1 req.fhdr(x-api-key) -m str -- 'HUNTER2 '\\''HUNTER2'\\'' HUNTER2'",
        "    acl a hdr(Authorization) -i -m beg 'Bearer HUNTER2'",
        "+    acl a req.cook(session_id),lower -m str HUNTER2",
        "    http-request deny unless { req.hdr(X-Token) -m str HUNTER2 } { path /a }",
        "    http-request set-header X-Auth HUNTER2 if { path /a }",
        "    http-request add-header X-My-Secret-Thing 'HUNTER2 HUNTER2'",
        "    password 'HUNTER2'\\''HUNTER2'",
        "    password 'HUNTER2",
        "    acl a hdr(X-Token) -m str -- -HUNTER2",
        "    acl a hdr(X-Token) -m str -- 'x if HUNTER2'",
        "    acl a hdr(X-Token) -m str -- x;HUNTER2 'more HUNTER2'",
        "-----BEGIN PRIVATE KEY-----\nHUNTER2\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nHUNTER2",
    ],
)
def test_hides_secrets(line):
    assert "HUNTER2" not in redact(line)
    assert HIDDEN in redact(line)


def test_leaves_the_rest_alone():
    text = "global\n    maxconn 10\n\nbackend tokens\n    server secret1 10.0.0.1:80 weight 100\n"
    assert redact(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "    server token 10.0.0.9:80 weight 100",
        "+    server secret 10.0.0.9:80 cookie secret",
        "-    server password 10.0.0.9:80",
        "backend token",
        " frontend api_key",
        "listen secret",
        "    use_backend token if route.token.path",
        "    default_backend passphrase",
    ],
)
def test_a_line_that_says_where_traffic_goes_is_shown_whole(line):
    assert redact(line) == line


def test_a_server_named_token_that_moves_shows_both_addresses():
    before, after = (f"backend a\n    server token 10.0.0.{n}:80\n".encode() for n in (1, 9))
    text = unified_diff({"a": before}, {"a": after})
    assert "-    server token 10.0.0.1:80\n+    server token 10.0.0.9:80\n" in text


def test_a_name_alone_hides_no_other_match():
    line = "    acl route.a.header1 req.fhdr(X-Tenant) -m str -- acme"
    assert redact(line) == line
    shown = redact("    http-request deny if { req.hdr(X-Token) -m str HUNTER2 } { path /a }")
    assert shown.endswith("{ path /a }")


def test_the_header_value_that_our_own_template_prints_is_hidden():
    headers = [{"name": "X-Auth-Token", "value": "HUNTER2 it's"}]
    route = {"name": "r", "pool": "shop", "paths": ["/x"], "headers": headers}
    data = intent(listeners=[listener(routes=[route])])
    text = render_fleet({"lb1": data}, role_dir=ROLE).files["lb1"]["haproxy.cfg"].decode()
    assert "HUNTER2" in text
    assert "HUNTER2" not in redact(text)
    assert "it" not in redact(text).split("X-Auth-Token")[1].split("\n")[0]


def test_redacting_twice_changes_nothing():
    files = {"a": b"user x password OLD\n"}, {"a": b"user x password NEW\nhdr(X-Token) -- s t\n"}
    text = unified_diff(*files)
    assert redact(text) == text


def test_shows_lines_of_both_sides_and_files_on_one_side():
    text = unified_diff({"a": b"one\ntwo\n", "gone": b"x\n"}, {"a": b"one\n2\n", "new": b"y\n"})
    assert "--- live/a\n+++ change/a\n" in text
    assert "-two\n+2\n" in text
    assert "--- live/gone\n+++ /dev/null\n" in text
    assert "--- /dev/null\n+++ change/new\n" in text


def test_says_so_when_only_a_secret_differs_and_hides_it():
    before, after = {"a": b"user x password OLD\n"}, {"a": b"user x password NEW\n"}
    assert "OLD" not in unified_diff(before, after)
    lines = unified_diff(before, after).splitlines()
    assert lines[-2:] == ["-user x password [redacted]", "+user x password [redacted:changed]"]
    both = {"a": b"user x password OLD\nuser y password OLD\n"}
    text = unified_diff(both, {"a": both["a"].replace(b"x password OLD", b"x password NEW")})
    assert " user y password [redacted]\n" in text
    old, new = ({"a": f"-----BEGIN PRIVATE KEY-----\n{n}".encode()} for n in "12")
    assert "differs only in what is hidden" in unified_diff(old, new)
    assert "+user x password NEW" in unified_diff(before, after, redact=False)


def test_is_empty_when_nothing_changes():
    assert unified_diff({"a": b"x\n"}, {"a": b"x\n"}) == ""


def test_hosts_with_one_difference_share_it():
    live = {"lb1": {"a": b"x\n"}, "lb2": {"a": b"x\n"}}
    new = {"lb1": {"a": b"y\n"}, "lb2": {"a": b"y\n"}, "lb3": {"a": b"y\n"}}
    heads = [line for line in fleet_diff(live, new).splitlines() if line.startswith("# ")]
    assert heads == ["# lb1, lb2", "# lb3"]
