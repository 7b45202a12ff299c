"""Intents as hypothesis makes them up: every feature, and text that tries to break out."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,11}", fullmatch=True)
tokens = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,11}", fullmatch=True)
url_paths = st.from_regex(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,12}", fullmatch=True)
# Any printable ASCII: quotes, comments, braces, variables, backslashes.
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1).map(
    lambda text: text.strip() or "x"
)
hosts = st.from_regex(r"(\*\.)?[a-z][a-z0-9]{0,8}\.example", fullmatch=True)
seconds = st.floats(0.1, 604_800, allow_nan=False)
algorithms = st.one_of(
    st.sampled_from(["round_robin", "least_connections", "random", "first"]).map(
        lambda kind: {"kind": kind}
    ),
    st.builds(
        lambda key, name, consistent: (
            {"kind": "hash", "key": key, "consistent": consistent}
            | ({"name": name} if key in ("header", "cookie") else {})
        ),
        st.sampled_from(["source", "uri", "header", "cookie"]),
        tokens,
        st.booleans(),
    ),
)
checks = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(["tcp", "none"])}),
    st.fixed_dictionaries(
        {
            "kind": st.just("http"),
            "path": url_paths,
            "host": st.sampled_from(["a.example", "10.0.0.1", "::1"]),
            "expect_status": st.lists(st.integers(100, 599), min_size=1, max_size=3),
            "interval_seconds": seconds,
        }
    ),
)
tls_to_servers = st.none() | st.fixed_dictionaries(
    {"server_name": st.none() | st.just("a.example")}
).flatmap(
    lambda tls: st.sampled_from(
        [{**tls, "verified": False}, {**tls, "authorities": "/etc/certs/own.pem"}]
    )
)


@st.composite
def servers(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "address": draw(st.sampled_from([f"10.0.0.{number}", f"2001:db8::{number}"])),
            "port": draw(st.integers(1, 65535)),
            "weight": draw(st.integers(1, 256)),
            "backup": draw(st.booleans()),
            "state": draw(st.sampled_from(["active", "draining", "inactive"])),
            "max_connections": draw(st.none() | st.integers(1, 10_000)),
            "proxy_protocol": draw(st.sampled_from(["none", "v1", "v2"])),
        }
        for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=6, unique=True)), 1)
    ]


@st.composite
def routes(draw: st.DrawFn, pools: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "pool": draw(st.sampled_from(pools)),
            "hosts": draw(st.lists(hosts, max_size=2)),
            # One path of its own, so that no two routes have the same conditions.
            "paths": [f"/{number}", *draw(st.lists(url_paths, max_size=2))],
            "path_prefixes": draw(st.lists(url_paths, max_size=2)),
            "headers": draw(
                st.lists(
                    st.fixed_dictionaries({"name": tokens, "value": header_values}), max_size=2
                )
            ),
        }
        for number, name in enumerate(draw(st.lists(names, max_size=3, unique=True)))
    ]


@st.composite
def intents(draw: st.DrawFn) -> dict[str, Any]:
    """An intent that is accepted."""
    pools = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    return {
        "timeouts": {"client_seconds": draw(seconds)},
        "listeners": [
            {
                "name": draw(names),
                "binds": [
                    {
                        "address": draw(st.sampled_from(["*", "127.0.0.1", "::"])),
                        "port": draw(st.integers(1, 65535)),
                        "tls": draw(st.sampled_from([None, {"certificate": "/etc/certs/a.pem"}])),
                    }
                ],
                "default_pool": draw(st.sampled_from(pools)),
                "routes": draw(routes(pools)),
            }
        ],
        "pools": [
            {
                "name": name,
                "algorithm": draw(algorithms),
                "check": draw(checks),
                "tls": draw(tls_to_servers),
                "servers": draw(servers()),
                "stickiness": draw(st.none() | tokens.map(lambda cookie: {"cookie": cookie})),
            }
            for name in pools
        ],
    }
