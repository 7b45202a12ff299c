"""HAProxy's side of an intent: what the template prints, and what HAProxy cannot do.

`view` turns a normalised intent into flat text, sorted, defaulted and quoted; the template puts it
in its place. The parts of this are in `render/`. `policy/` judges what no traffic shows, and
`handwritten/` reads a configuration without an intent. Hosts get `driver/` and `config/`, which has
the one reader of HAProxy's language. Directives are those of HAProxy 2.6 (configuration.txt).
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .handwritten.adapt import adapt
from .handwritten.reader import handwritten
from .handwritten.references import references
from .policy.catalogue import catalogue, rules
from .policy.spread_overrides import spread_overrides
from .policy.unchanged import unchanged
from .render.counter_lines import client_lines, slow_counters, slow_limit, slow_lines
from .render.hash_ring import shares_of_keys
from .render.quoting import duration, quote
from .render.readback import readback
from .render.server_options import lines_for_servers
from .render.unsupported import is_large, unsupported

__all__ = [
    "FILES",
    "ORDERS",
    "adapt",
    "catalogue",
    "handwritten",
    "quote",
    "readback",
    "references",
    "rules",
    "spread",
    "spread_overrides",
    "unchanged",
    "unsupported",
    "view",
]

FILES = {"haproxy.cfg": "haproxy.cfg.j2"}
# Orders of servers, so at most this many files per intent.
ORDERS = 4

# A server's place is id * 4096 + n in 32 bits, so ids repeat from 2 ** 20 on.
_IDS = 2**20 - 1
_SEND_PROXY = {"none": "", "v1": "send-proxy", "v2": "send-proxy-v2"}


def view(intent: Mapping[str, Any], order: int) -> Dict[str, Any]:
    """Give what the template prints for a normalised `intent`.

    `order` (0 to ORDERS - 1) decides with which server of a pool a fresh process begins.
    """
    pools = sorted(intent["pools"], key=_name)
    limits = [slow_limit(intent, one) for one in pools]
    counters = [
        line
        for number, limit in enumerate(limits)
        for line in (slow_counters(number) if limit is not None else ())
    ]
    timeouts = {name[: -len("_seconds")]: duration(s) for name, s in intent["timeouts"].items()}
    return {
        "max_connections": intent["limits"]["max_connections"],
        "timeouts": timeouts,
        "tls": any(bind["tls"] for one in intent["listeners"] for bind in one["binds"]),
        "global_extra": [*counters, *intent["extra"]["global"]],
        "defaults_extra": list(intent["extra"]["defaults"]),
        "listeners": [_listener(one) for one in sorted(intent["listeners"], key=_name)],
        "pools": [
            _pool(one, order, [] if limit is None else slow_lines(number, limit))
            for number, (one, limit) in enumerate(zip(pools, limits))  # noqa: B905 - not in 3.8
        ],
    }


def spread(pool: Mapping[str, Any], in_service: Sequence[str]) -> Optional[Dict[str, float]]:
    """Give the share of different keys that a hash sends to each server `in_service`, or None."""
    return shares_of_keys(pool, in_service, _ids(pool))


def _name(part: Mapping[str, Any]) -> str:
    return str(part["name"])


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _listener(listener: Mapping[str, Any]) -> Dict[str, Any]:
    options = ["option httplog" if listener["mode"] == "http" else "option tcplog"]
    rules = []
    if listener["forwarded_for"]:
        options.append("option forwardfor")
        rules.append("http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]")
    if listener["max_connections"]:
        options.append(f"maxconn {listener['max_connections']}")
    acls: List[str] = []
    routes = []
    for route in listener["routes"]:
        names = [
            _acl(acls, f"{route['name']}.{part}", tests) for part, tests in _tests(route) if tests
        ]
        routes.append(f"{quote(route['pool'])} if {' '.join(names)}")
    return {
        "name": quote(listener["name"]),
        "mode": listener["mode"],
        "binds": [_bind(bind, listener["mode"]) for bind in listener["binds"]],
        "options": options,
        "rules": rules,
        "acls": acls,
        "routes": routes,
        "default_pool": quote(listener["default_pool"]) if listener["default_pool"] else "",
        "extra": list(listener["extra"]),
    }


def _bind(bind: Mapping[str, Any], mode: str) -> str:
    parts = [_endpoint(bind["address"], bind["port"])]
    if bind["accept_proxy"]:
        parts.append("accept-proxy")
    if bind["tls"]:
        parts += ["ssl", "crt", quote(bind["tls"]["certificate"])]
        if mode == "http":
            parts += ["alpn", "h2,http/1.1"]
    return " ".join(parts)


def _tests(route: Mapping[str, Any]) -> List[Tuple[str, List[str]]]:
    """Give the conditions of a route: one test of each name has to be met.

    `--` ends the flags of a test, so that a value such as `-f` stays a value.
    """
    # Host names have no port and no case.
    host = "req.hdr(host),field(1,:) -i -m"
    hosts = [
        f"{host} end -- {quote(name[1:])}"
        if name.startswith("*.")
        else f"{host} str -- {quote(name)}"
        for name in route["hosts"]
    ]
    paths = [f"path -m str -- {quote(path)}" for path in route["paths"]]
    for prefix in route["path_prefixes"]:
        if not prefix.endswith("/"):
            paths.append(f"path -m str -- {quote(prefix)}")
        paths.append(f"path -m beg -- {quote(prefix.rstrip('/') + '/')}")
    headers = [
        (f"header{number}", [f"req.fhdr({header['name']}) -m str -- {quote(header['value'])}"])
        for number, header in enumerate(route["headers"], 1)
    ]
    return [("host", hosts), ("path", paths), *headers]


def _acl(acls: List[str], name: str, tests: Sequence[str]) -> str:
    word = quote("route." + name)
    acls += [f"{word} {test}" for test in tests]
    return word


def _pool(pool: Mapping[str, Any], order: int, counting: List[str]) -> Dict[str, Any]:
    options = []
    if pool["stickiness"]:
        secure = " secure" if pool["stickiness"]["secure"] else ""
        cookie = quote(pool["stickiness"]["cookie"])
        options.append(f"cookie {cookie} insert indirect nocache httponly{secure}")
    if sum(server["backup"] for server in pool["servers"]) > 1:
        # Without it HAProxy uses only the first backup.
        options.append("option allbackups")
    options += lines_for_servers(pool)
    ids = _ids(pool)
    return {
        "name": quote(pool["name"]),
        "mode": pool["mode"],
        "balance": _balance(pool),
        "options": [*options, *client_lines(pool), *counting],
        "extra": list(pool["extra"]),
        "servers": [_server(one, pool, ids) for one in _ordered(pool, order)],
    }


def _balance(pool: Mapping[str, Any]) -> List[str]:
    algorithm = pool["algorithm"]
    if algorithm["kind"] == "round_robin":
        return ["balance static-rr" if is_large(pool) else "balance roundrobin"]
    if algorithm["kind"] != "hash":
        kinds = {"least_connections": "leastconn", "random": "random", "first": "first"}
        return ["balance " + kinds[algorithm["kind"]]]
    # path-only: HTTP/1 and HTTP/2 give the same key.
    keys = {
        "source": "source",
        "uri": "uri path-only",
        "header": f"hdr({algorithm['name']})",
        "cookie": f"hash req.cook({algorithm['name']})",
    }
    # Without avalanche, map-based is uneven for weights that sum to a multiple of 64
    # (configuration.txt, "hash-type").
    kind = "consistent" if algorithm["consistent"] else "map-based"
    return ["balance " + keys[algorithm["key"]], f"hash-type {kind} sdbm avalanche"]


def _ordered(pool: Mapping[str, Any], order: int) -> List[Mapping[str, Any]]:
    """Give the servers, rotated by the order: every fresh process begins at the first.

    Each order begins a quarter of the pool later. Where the order has a meaning (first, the map of
    a hash, backups) it stays as in the intent, on every host.
    """
    servers = list(pool["servers"])
    if pool["algorithm"]["kind"] not in ("round_robin", "least_connections"):
        return servers
    turns: List[Mapping[str, Any]] = []
    others: List[Mapping[str, Any]] = []
    for one in servers:
        takes_turns = one["state"] == "active" and not one["backup"]
        (turns if takes_turns else others).append(one)
    start = order * len(turns) // ORDERS if len(turns) >= ORDERS else order % max(len(turns), 1)
    return turns[start:] + turns[:start] + others


def _ids(pool: Mapping[str, Any]) -> Dict[str, int]:
    """Give each server of a consistent hash its id, which alone decides its place in the ring.

    HAProxy numbers servers by position, so a new server in the middle of the list would move the
    keys of all that follow. The id comes from the name; on a collision the next free id is used.
    """
    if pool["algorithm"]["kind"] != "hash" or not pool["algorithm"]["consistent"]:
        return {}
    ids: Dict[str, int] = {}
    taken: Set[int] = set()
    for name in sorted(server["name"] for server in pool["servers"]):
        number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % _IDS
        while number in taken:
            number = (number + 1) % _IDS
        taken.add(number)
        ids[name] = number + 1
    return ids


def _server(server: Mapping[str, Any], pool: Mapping[str, Any], ids: Mapping[str, int]) -> str:
    # Weight 0 drains: only clients that stick still arrive.
    weight = 0 if server["state"] == "draining" else server["weight"]
    parts = [
        quote(server["name"]),
        _endpoint(server["address"], server["port"]),
        f"weight {weight}",
    ]
    if server["name"] in ids:
        parts.append(f"id {ids[server['name']]}")
    if pool["stickiness"]:
        parts.append("cookie " + quote(server["name"]))
    if server["max_connections"]:
        parts.append(f"maxconn {server['max_connections']}")
    if server["slow_start_seconds"]:
        parts.append("slowstart " + duration(server["slow_start_seconds"]))
    if server["proxy_protocol"] != "none":
        parts.append(_SEND_PROXY[server["proxy_protocol"]])
    if server["backup"]:
        parts.append("backup")
    if server["state"] == "inactive":
        parts.append("disabled")
    return " ".join(parts)
