"""The classes of requests that the routes of an intent are made for, and how often each is asked.

A class is what one route of one listener's bind takes: where to arrive, which hosts and paths, the
pool that is to answer, and the mix that a traffic profile gives it (see `mix`). Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from evenkeel.rehearsal.plan.intent_types import (
    IntentBind,
    IntentListener,
    IntentPool,
    IntentRoute,
)
from evenkeel.rehearsal.plan.request_mix import mixes, weight_of
from evenkeel.rehearsal.plan.requests import ANY_HOST
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.world_types import (
    PoolFacts,
    ProfileFacts,
    ProfileRow,
    RequestClass,
    RouteRequests,
    Target,
    World,
)

LEAST_REQUESTS = 300
MOST_REQUESTS = 60_000
# For comparing with what is live now, a few points of noise do no harm.
MOST_REQUESTS_BEFORE = 6_000
# What is asked beyond what tells shares apart, so that pools are asked in proportion.
MOST_BEYOND = 20_000
# However seldom users ask for it, so often a route is asked for.
LEAST_OF_A_CLASS = 20
# Fewer clients than this say nothing about a spread.
LEAST_CLIENTS = 256
# The rehearsal asks in seconds what users ask in hours: with more, limits of rate would be met.
MOST_OF_A_CLIENT = 8


def classes(
    listeners: Sequence[IntentListener],
    pools: Mapping[str, IntentPool],
    profile: ProfileFacts,
    rows: Sequence[ProfileRow],
) -> list[RequestClass]:
    """Give the classes of all listeners, with the mix and the numbers of a profile's `facts`."""
    found = [
        _class(listener, bind, route, pools[route["pool"]])
        for listener in listeners
        for bind in _binds(listener)
        for route in _routes(listener)
    ]
    asked = mixes(found, profile, rows)
    return [
        {
            **route,
            "mix": asked[route["name"]],
            "clients": max(LEAST_CLIENTS, profile["clients"]),
            "requests_per_connection": profile["requests_per_connection"],
            "largest_header_bytes": profile["largest_header_bytes"],
            "largest_body_bytes": profile["largest_body_bytes"],
            "requests": 0,
            "requests_before": 0,
            "excused": False,
        }
        for route in found
    ]


def _binds(listener: IntentListener) -> list[IntentBind]:
    """Give the places of a listener, each once."""
    return list({(bind["address"], bind["port"]): bind for bind in listener["binds"]}.values())


def _place(listener: IntentListener, bind: IntentBind) -> str:
    """Give what a place is called: with its address where the port alone is not enough."""
    port = int(bind["port"])
    if sum(one["port"] == port for one in _binds(listener)) == 1:
        return f"{listener['name']}:{port}"
    return f"{listener['name']}:{endpoint_of(bind['address'], port)}"


def _routes(listener: IntentListener) -> Iterator[IntentRoute]:
    if listener["mode"] == "http":
        yield from listener["routes"]
    if listener["default_pool"]:
        yield {
            "name": "default",
            "pool": listener["default_pool"],
            "hosts": [],
            "paths": [],
            "path_prefixes": [],
            "headers": [],
        }


def _class(
    listener: IntentListener, bind: IntentBind, route: IntentRoute, pool: IntentPool
) -> RouteRequests:
    hosts = [_a_host(host) for host in route["hosts"]] or [ANY_HOST]
    paths = [(path, False) for path in route["paths"]]
    paths += [(prefix, True) for prefix in route["path_prefixes"]]
    algorithm = pool["algorithm"]
    hashed = algorithm["key"] if algorithm["kind"] == "hash" else None
    tcp = "tcp" in (listener["mode"], pool["mode"])
    return {
        **target(listener, bind),
        "name": f"{_place(listener, bind)}/{route['name']}",
        "route": route["name"],
        "pool": pool["name"],
        "hosts": hosts,
        "paths": paths or [("/", True)],
        "headers": {header["name"]: header["value"] for header in route["headers"]},
        "key": hashed,
        "key_header": algorithm["name"] if hashed == "header" else None,
        "key_cookie": algorithm["name"] if hashed == "cookie" else None,
        # One connection is one decision for a TCP pool, and one key for a hash of the source.
        "may_keep": not tcp and hashed != "source",
        "web": not tcp,
        # A server behind tcp would get whatever the clients have agreed on with the listener.
        "h2": bool(bind["tls"]) and not tcp,
    }


def _a_host(match: str) -> str:
    return f"rehearsal{match[1:]}" if match.startswith("*.") else match


def target(listener: IntentListener, bind: IntentBind) -> Target:
    """Give where the requests of one bind of a listener arrive."""
    wild = {"*": "127.0.0.1", "::": "::1"}
    return {
        "listener": listener["name"],
        "address": wild.get(bind["address"], bind["address"]),
        "port": bind["port"],
        "tls": bool(bind["tls"]),
        "accept_proxy": bind["accept_proxy"],
    }


def share_out(classes: Sequence[RequestClass], pools: Mapping[str, PoolFacts]) -> None:
    """Enter into each class its `requests`, its `requests_before`, and by how many `clients`.

    Each pool gets what is needed to tell its shares apart. Beyond that the learnt rows decide: a
    pool that users ask more gets its part of the whole, and the classes of a pool get theirs.
    """
    total = sum(pool["requests"] for pool in pools.values())
    scale = min(1.0, MOST_REQUESTS / max(1, total))
    weights = {request_class["name"]: weight_of(request_class["mix"]) for request_class in classes}
    whole = sum(weights.values())
    room = min(MOST_BEYOND, total)
    for name, pool in pools.items():
        mine = [request_class for request_class in classes if request_class["pool"] == name]
        part = sum(weights[request_class["name"]] for request_class in mine)
        needed = max(1.0, pool["requests"] * scale)
        wanted = max(needed, room * part / whole if whole else 0.0)
        before = min(wanted, max(LEAST_REQUESTS, MOST_REQUESTS_BEFORE * scale))
        for request_class in mine:
            share = weights[request_class["name"]] / part if part else 1 / len(mine)
            request_class["requests"] = _asked(wanted, share, len(mine))
            request_class["requests_before"] = _asked(before, share, len(mine))
    least = math.ceil(
        sum(request_class["requests"] for request_class in classes) / MOST_OF_A_CLIENT
    )
    for request_class in classes:
        request_class["clients"] = max(request_class["clients"], least)


def _asked(requests: float, share: float, classes_of_pool: int) -> int:
    least = min(LEAST_OF_A_CLASS, requests / classes_of_pool)
    return math.ceil(max(least, requests * share))


def class_names(world: World, pool: str) -> list[str]:
    """Give the names of the classes whose requests are meant for `pool`."""
    return [one["name"] for one in world["classes"] if one["pool"] == pool]
