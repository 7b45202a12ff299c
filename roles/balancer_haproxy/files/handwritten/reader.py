"""Reads a configuration that an operator wrote, as far as a rehearsal needs it.

The result has the form of an intent: where clients arrive, which hosts and paths lead where, pools
and their servers. The rehearsal makes requests from it; nothing is rendered from it. What cannot be
read (a route by a variable, a server on a unix socket) is left out and not judged.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Optional

from evenkeel.balancer.types import (
    Check,
    HandwrittenAlgorithm,
    HandwrittenBind,
    HandwrittenGuardrails,
    HandwrittenListener,
    HandwrittenPool,
    HandwrittenReading,
    HandwrittenRoute,
    HandwrittenServer,
    HandwrittenStickiness,
)

from ..config.parser import Configuration, Line, Proxy, Server, read
from ..config.values import milliseconds
from .addresses import is_address, is_port
from .check_protocols import check_protocol
from .route_conditions import route_conditions, variables

_BIND = re.compile(r"(?:ipv[46]@)?(\*|[0-9.]*|\[?[0-9a-fA-F:.]*\]?):([0-9]{1,5})(?:-[0-9]+)?")
_SERVER = re.compile(
    r"(?:ipv[46]@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+|[0-9a-fA-F:]+):([0-9]{1,5})"
)
_KINDS = {
    "roundrobin": "round_robin",
    "static-rr": "round_robin",
    "leastconn": "least_connections",
    "random": "random",
    "first": "first",
}
# Below this weight every ring is uneven.
_EVEN_WEIGHT = 10
_UNEVEN_TOLERANCE = 0.75
_MAP_DEFAULT = re.compile(r"^%\[.*\bmap(?:_\w+)?\([^,()]+,([A-Za-z0-9_.:-]+)\)\]$")
# The most stub servers for one template.
_MOST_SLOTS = 64
_COOKIE_MODES = ("insert",)
_STATUSES = re.compile(r"([0-9]{3})(?:-([0-9]{3}))?")


def handwritten(files: Mapping[str, Any]) -> HandwrittenReading:
    """Give the files of a release in the form of a normalised intent.

    The lists of listeners and pools are empty when none can be read.
    """
    configuration = read(files)
    pools = [_pool(back) for back in configuration.backs if back.servers]
    pools = [pool for pool in pools if pool["servers"]]
    known = {pool["name"] for pool in pools}
    listeners = [_listener(front, known) for front in configuration.fronts]
    return {
        "by_hand": True,
        "timeouts": {},
        "limits": {"max_connections": _number(configuration)},
        "listeners": [one for one in listeners if one["binds"]],
        "pools": pools,
        "extra": {"global": [], "defaults": []},
        "route_tests": [],
        "guardrails": {},
    }


def _number(configuration: Configuration) -> Optional[int]:
    line = configuration.setting("maxconn")
    return int(line.value(1)) if line and line.value(1).isdigit() else None


def _listener(front: Proxy, known: "set[str]") -> HandwrittenListener:
    default = front.last("default_backend")
    default_pool = default.value(1) if default else (front.name if front.name in known else None)
    for line in front.all("use_backend"):
        if len(line.words) == 2:
            # Maps are empty here, so every lookup gives the default.
            found = _MAP_DEFAULT.search(line.value(1))
            default_pool = found[1] if found else line.value(1)
            break
    return {
        "name": front.name,
        "mode": front.mode,
        "binds": [bind for line in front.own("bind") for bind in _binds(line)],
        "forwarded_for": any(line.starts("option", "forwardfor") for line in front.all("option")),
        "routes": list(_routes(front, known)) if front.mode == "http" else [],
        "default_pool": default_pool if default_pool in known else None,
        "max_connections": None,
        "extra": [],
    }


def _binds(line: Line) -> Iterator[HandwrittenBind]:
    for word in line.value(1).split(","):
        found = _BIND.fullmatch(word)
        address = found[1].strip("[]") if found else ""
        # HAProxy's own check reports a mistyped address.
        if not found or not is_port(found[2]) or not (address in ("", "*") or is_address(address)):
            continue
        certificate = line.after("crt")
        yield {
            "address": "*" if address in ("", "*", "0.0.0.0") else address,  # noqa: S104 - compared
            "port": int(found[2]),
            "tls": {"certificate": certificate or ""} if "ssl" in line.words else None,
            "accept_proxy": "accept-proxy" in line.words,
        }


def _routes(front: Proxy, known: "set[str]") -> Iterator[HandwrittenRoute]:
    """Give a route for each `use_backend` whose condition a made-up request can meet."""
    acls: Dict[str, List[Line]] = {}
    for line in front.all("acl"):
        acls.setdefault(line.value(1), []).append(line)
    samples = variables(front)
    for number, line in enumerate(front.all("use_backend"), 1):
        pool = line.value(1)
        if pool not in known or line.value(2) != "if":
            continue
        conditions = route_conditions(line.words[3:], acls, samples)
        if conditions is not None:
            yield {"name": f"{pool}-{number}", "pool": pool, **conditions}


def _pool(back: Proxy) -> HandwrittenPool:
    algorithm = _algorithm(back)
    cookie = _cookie(back)
    servers = [one for server in back.servers for one in _slots(server)]
    return {
        "name": back.name,
        "mode": back.mode,
        "by_hand": True,
        "algorithm": algorithm,
        "stickiness": cookie,
        "check": _check(back),
        "speaks": check_protocol(back),
        "servers": servers,
        "extra": [],
        "guardrails": _guardrails(back, algorithm, servers),
    }


def _guardrails(
    back: Proxy, algorithm: HandwrittenAlgorithm, servers: List[HandwrittenServer]
) -> HandwrittenGuardrails:
    """Give the guardrails of a pool whose clients follow more than its weights."""
    if back.all("stick") or back.all("use-server") or algorithm["kind"] == "other":
        return {"judged": "requests_only"}
    uneven = algorithm["kind"] in ("hash", "random") and servers
    if uneven and min(server["weight"] for server in servers) < _EVEN_WEIGHT:
        return {"share_tolerance": _UNEVEN_TOLERANCE}
    return {}


def _algorithm(back: Proxy) -> HandwrittenAlgorithm:
    line = back.last("balance")
    words = line.words[1:] if line else ("roundrobin",)
    kind = words[0].partition("(")[0] if words else "roundrobin"
    found: HandwrittenAlgorithm = {
        "kind": _KINDS.get(kind, "other"),
        "key": None,
        "name": None,
        "consistent": None,
    }
    key = re.match(
        r"(?:req\.)?(hdr|cook)\(([A-Za-z0-9_.-]+)", " ".join(words[:2]).split("hash ")[-1]
    )
    if kind in ("source", "uri"):
        found["kind"], found["key"] = "hash", kind
    elif key and kind in ("hdr", "hash"):
        found["kind"], found["name"] = "hash", key[2]
        found["key"] = "header" if key[1] == "hdr" else "cookie"
    if found["kind"] == "hash":
        how = back.last("hash-type")
        found["consistent"] = bool(how and how.value(1) == "consistent")
    return found


def _cookie(back: Proxy) -> Optional[HandwrittenStickiness]:
    line = back.last("cookie")
    named = line is not None and any(mode in line.words for mode in _COOKIE_MODES)
    if line is None or not named or not any(server.has("cookie") for server in back.servers):
        return None
    return {"cookie": line.value(1), "secure": "secure" in line.words}


def _check(back: Proxy) -> Check:
    checked = [server for server in back.servers if server.has("check")]
    every = [server.time("inter") for server in checked]
    longest = max([2000.0 if one is None else one for one in every], default=2000.0)
    httpchk = back.last("option", "httpchk")
    found: Check = {
        "kind": "none" if not checked else "http" if httpchk else "tcp",
        "path": None,
        "host": None,
        "expect_status": None,
        "interval_seconds": longest / 1000,
        "rise": (checked[0].number("rise") if checked else None) or 2,
        "fall": (checked[0].number("fall") if checked else None) or 3,
    }
    if found["kind"] == "http" and httpchk:
        send = back.last("http-check", "send")
        words = httpchk.words[2:]
        path = next((word for word in words if word.startswith("/")), "/")
        found["path"] = (send.after("uri") if send else None) or path
        found["expect_status"] = _expected(back)
    return found


def _expected(back: Proxy) -> List[int]:
    """Give the healthy statuses of `expect [!] status 200,204-206`."""
    line = back.last("http-check", "expect")
    said = line.after("status") if line else None
    named = [
        status
        for first, last in _STATUSES.findall(said or "")
        for status in range(int(first), int(last or first) + 1)
    ]
    if line and "!" in line.words:
        return [status for status in (200, 204, 404) if status not in named]
    return named or [200]


def _slots(server: Server) -> Iterator[HandwrittenServer]:
    """Give a server, or those that a template makes.

    Resolved at the start, all slots have one address and count as one server. With a name server
    each slot has its own address: `slot2.NAME` has the second one (rehearsal/stubs/dns.py).
    """
    one = _server(server) if server.slots else None
    if one is None:
        return
    if server.slots == 1 or not server.has("resolvers"):
        yield {**one, "weight": one["weight"] * server.slots}
        return
    for at in range(min(server.slots, _MOST_SLOTS)):
        address = f"slot{at + 1}.{one['address']}" if at else one["address"]
        yield {**one, "name": f"{server.name}{server.low + at}", "address": address}


def _server(server: Server) -> Optional[HandwrittenServer]:
    """Give one server; None for an address that no stub server can have."""
    found = _SERVER.fullmatch(server.address)
    if not found or not is_port(found[2]):
        return None
    address = found[1].strip("[]")
    if not is_address(address) and not re.search("[A-Za-z]", address.replace(":", "")):
        # A mistyped address is no host name.
        return None
    weight = server.number("weight")
    slow = milliseconds(server.options.get("slowstart", ""))
    proxy = "v2" if server.has("send-proxy-v2") else "v1" if server.has("send-proxy") else "none"
    state = "inactive" if server.has("disabled") else "draining" if weight == 0 else "active"
    return {
        "name": server.first,
        "address": address,
        "port": int(found[2]),
        "weight": 1 if weight is None else max(weight, 1),
        "capacity": None,
        "max_connections": server.number("maxconn") or None,
        "backup": server.has("backup"),
        "slow_start_seconds": slow / 1000 if slow else None,
        "state": state,
        "proxy_protocol": proxy,
        "tls": server.has("ssl"),
    }
