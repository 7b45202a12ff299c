"""The changes of scripts/canaries: ten that are wrong in a way no rehearsal can know, twenty good.

Every one is an edit of the same intent, so that each is judged beside the same release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evenkeel_proof.lab.production import API_PORT, OLD_PORT

Intent = dict[str, Any]
# The hosts do not all reach this server: see production.forbid.
FORBIDDEN_SERVER = "web5"
_CHECK = {"kind": "http", "path": "/health", "expect_status": 200, "interval_seconds": 2}


@dataclass(frozen=True)
class Edit:
    """One change: its id, what it does in words, and the edit of the intent itself."""

    name: str
    words: str
    edit: Callable[[Intent], object]


def intent() -> Intent:
    """Give the intent that every change edits: a shop of two pools under one listener."""
    return {
        "limits": {"max_connections": 2000},
        "listeners": [
            {
                "name": "www",
                "binds": [{"port": 80}],
                "routes": [{"name": "api", "pool": "api", "path_prefixes": ["/api"]}],
                "default_pool": "web",
            }
        ],
        "pools": [
            {"name": "web", "check": dict(_CHECK), "servers": _servers(4, 80)},
            {"name": "api", "check": dict(_CHECK), "servers": _servers(3, API_PORT)},
        ],
    }


def server(number: int, port: int, **more: Any) -> dict[str, Any]:
    """Give one server of the lab."""
    address = f"{{{{ lab.web.web{number} }}}}"
    return {"name": f"web{number}", "address": address, "port": port, "weight": 100, **more}


def _servers(count: int, port: int) -> list[dict[str, Any]]:
    return [server(number, port) for number in range(1, count + 1)]


def _pool(value: Intent, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(pool for pool in value["pools"] if pool["name"] == name)
    return found


def _set(name: str, **facts: Any) -> Callable[[Intent], object]:
    return lambda value: _pool(value, name).update(facts)


def _of_server(pool: str, at: int, **facts: Any) -> Callable[[Intent], object]:
    return lambda value: _pool(value, pool)["servers"][at].update(facts)


def _of_every_server(pool: str, **facts: Any) -> Callable[[Intent], object]:
    return lambda value: [one.update(facts) for one in _pool(value, pool)["servers"]]


def _more(pool: str, one: dict[str, Any]) -> Callable[[Intent], object]:
    return lambda value: _pool(value, pool)["servers"].append(one)


def _of_check(pool: str, **facts: Any) -> Callable[[Intent], object]:
    return lambda value: _pool(value, pool)["check"].update(facts)


def _top(**facts: Any) -> Callable[[Intent], object]:
    return lambda value: value.update(facts)


def _lines(*lines: str) -> Callable[[Intent], object]:
    return lambda value: value["listeners"][0].update(extra=list(lines))


def _old_items(value: Intent) -> None:
    value["listeners"][0]["routes"].insert(
        0, {"name": "items", "pool": "items", "path_prefixes": ["/api/items"]}
    )
    value["pools"].append(
        {"name": "items", "check": dict(_CHECK), "servers": _servers(3, OLD_PORT)}
    )


def _admin_route(value: Intent) -> None:
    value["listeners"][0]["routes"].append(
        {"name": "admin", "pool": "web", "hosts": ["admin.shop.example"]}
    )


_SCRAPERS = "http-request deny if { req.hdr(accept-encoding) -m str identity }"
_LIMITED = (
    "stick-table type ipv6 size 10k expire 30s store http_req_rate(10s)",
    "http-request track-sc0 src",
    "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 600 }",
)
_HASHED = {"kind": "hash", "key": "source"}
_HASHED_BY_HEADER = {"kind": "hash", "key": "header", "name": "Accept-Encoding"}
FAULTY = (
    Edit("hash-on-source", "hash on the source; all clients share one address behind NAT",
         _set("web", algorithm=_HASHED)),
    Edit("hash-on-path", "hash on the path; nearly all requests ask for two paths",
         _set("api", algorithm={"kind": "hash", "key": "uri"})),
    Edit("behind-a-firewall", "one server more; this host's firewall does not let it through",
         _more("web", server(5, 80))),
    Edit("hash-on-header", "hash on a header; every client sends the same",
         _set("web", algorithm=_HASHED_BY_HEADER)),
    Edit("limited-clients", "60 requests a second for an address; all clients share one",
         _lines(*_LIMITED)),
    Edit("unknown-health-check", "check /health/deep every second; the servers do not know it",
         _of_check("api", path="/health/deep", interval_seconds=1)),
    Edit("check-by-another-name", "the health check asks for a name that the servers do not know",
         _of_check("api", host="internal.example", interval_seconds=1)),
    Edit("older-server", "one server more; it runs an older release that lacks some pages",
         _more("api", server(4, OLD_PORT))),
    Edit("older-release", "a new route to servers of an older release that lacks some pages",
         _old_items),
    Edit("denied-clients", "scrapers are denied, by a header that every client sends",
         _lines(_SCRAPERS)),
)  # fmt: skip
HARMLESS = (
    Edit("server-timeout", "servers get 45 s", _top(timeouts={"server_seconds": 45})),
    Edit("keep-alive", "connections are kept for 15 s", _top(timeouts={"keep_alive_seconds": 15})),
    Edit("more-connections", "3,000 connections", _top(limits={"max_connections": 3000})),
    Edit("a-bit-less-weight", "one weight 100 → 90", _of_server("web", 0, weight=90)),
    Edit("half-of-every-weight", "all weights 100 → 50", _of_every_server("web", weight=50)),
    Edit("server-added", "one server more", _more("api", server(4, API_PORT))),
    Edit("server-removed", "one server less", lambda value: _pool(value, "web")["servers"].pop()),
    Edit("server-drained", "one server is drained", _of_server("web", 3, state="draining")),
    Edit("server-inactive", "one server is inactive", _of_server("web", 3, state="inactive")),
    Edit("server-for-backup", "one server for backup",
         _more("api", server(4, API_PORT, backup=True))),
    Edit("least-connections", "least connections",
         _set("web", algorithm={"kind": "least_connections"})),
    Edit("random", "random", _set("web", algorithm={"kind": "random"})),
    Edit("check-interval", "checked every second", _of_check("web", interval_seconds=1)),
    Edit("check-fall", "down after 5 bad checks", _of_check("web", fall=5)),
    Edit("new-route", "a route for another host", _admin_route),
    Edit("route-prefix", "a route takes one prefix more",
         lambda value: value["listeners"][0]["routes"][0]["path_prefixes"].append("/v2/api")),
    Edit("request-header", "a header for the servers",
         _set("web", extra=["http-request set-header X-Zone fra"])),
    Edit("response-header", "a header for the clients",
         _lines("http-response set-header Referrer-Policy same-origin")),
    Edit("server-limit", "500 connections at one server",
         _of_every_server("api", max_connections=500)),
    Edit("slow-start", "a slow start of 5 s", _of_every_server("web", slow_start_seconds=5)),
)  # fmt: skip
FAST = ("hash-on-source", "hash-on-header", "server-added")
