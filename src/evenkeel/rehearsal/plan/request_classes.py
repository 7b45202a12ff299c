"""The request classes of an intent's routes, and how many requests of each are sent.

A class is what one route of one listener's bind takes: where requests arrive, which hosts and
paths, the pool that has to answer, and its mix of requests (see `request_mix`). Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
    RequestClass,
    RouteRequests,
    Target,
    World,
)

if TYPE_CHECKING:
    from evenkeel.profile.traffic_profile import Profile

LEAST_REQUESTS = 300
MOST_REQUESTS = 60_000
# A few points of noise do no harm in the base.
MOST_REQUESTS_BEFORE = 6_000
# Requests that only keep pools in their proportion.
MOST_BEYOND = 20_000
# Rarely used routes get as many.
LEAST_OF_A_CLASS = 20
# Fewer clients say nothing about a spread.
LEAST_CLIENTS = 256
# More requests per client would meet rate limits.
MOST_OF_A_CLIENT = 8


def classes(
    listeners: Sequence[IntentListener],
    pools: Mapping[str, IntentPool],
    profile: Profile,
) -> list[RequestClass]:
    """Give the classes of all listeners, with the mix and the numbers of a profile."""
    of_routes = [
        _of_route(listener, bind, route, pools[route["pool"]])
        for listener in listeners
        for bind in _binds(listener)
        for route in _routes(listener)
    ]
    mix_of = mixes(of_routes, profile)
    return [
        {
            **of_route,
            "mix": mix_of[of_route["name"]],
            "clients": max(LEAST_CLIENTS, profile.clients),
            "requests_per_connection": profile.requests_per_connection,
            "largest_header_bytes": profile.largest_header_bytes,
            "largest_body_bytes": profile.largest_body_bytes,
            "requests": 0,
            "requests_before": 0,
            "excused": False,
        }
        for of_route in of_routes
    ]


def _binds(listener: IntentListener) -> list[IntentBind]:
    """Give the places of a listener, each once."""
    return list({(bind["address"], bind["port"]): bind for bind in listener["binds"]}.values())


def _routes(listener: IntentListener) -> list[IntentRoute]:
    """Give the routes of a listener; its default pool is the last."""
    routes = list(listener["routes"]) if listener["mode"] == "http" else []
    if listener["default_pool"]:
        routes.append(
            {
                "name": "default",
                "pool": listener["default_pool"],
                "hosts": [],
                "paths": [],
                "path_prefixes": [],
                "headers": [],
            }
        )
    return routes


def _of_route(
    listener: IntentListener, bind: IntentBind, route: IntentRoute, pool: IntentPool
) -> RouteRequests:
    ports = [one["port"] for one in _binds(listener)]
    # The port alone may be ambiguous.
    place: str | int = bind["port"]
    if ports.count(bind["port"]) > 1:
        place = endpoint_of(bind["address"], bind["port"])
    # A wildcard is sent as a name below it.
    hosts = [f"rehearsal{one[1:]}" if one.startswith("*.") else one for one in route["hosts"]]
    paths = [(path, False) for path in route["paths"]]
    paths += [(prefix, True) for prefix in route["path_prefixes"]]
    algorithm = pool["algorithm"]
    hashed = algorithm["key"] if algorithm["kind"] == "hash" else None
    tcp = "tcp" in (listener["mode"], pool["mode"])
    return {
        **target(listener, bind),
        "name": f"{listener['name']}:{place}/{route['name']}",
        "route": route["name"],
        "pool": pool["name"],
        "hosts": hosts or [ANY_HOST],
        "paths": paths or [("/", True)],
        "headers": {header["name"]: header["value"] for header in route["headers"]},
        "key": hashed,
        "key_header": algorithm["name"] if hashed == "header" else None,
        "key_cookie": algorithm["name"] if hashed == "cookie" else None,
        # TCP pools and source hashes decide per connection.
        "may_keep": not tcp and hashed != "source",
        "web": not tcp,
        # A TCP server would get HTTP/2 that it cannot read.
        "h2": bool(bind["tls"]) and not tcp,
    }


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
    """Set how many requests of each class are sent, now and to the base, and by how many clients.

    Each pool gets what its shares need. Beyond that the rows of the profile decide: a pool that
    users send more to gets more, and so does a class of a pool.
    """
    total = sum(pool["requests"] for pool in pools.values())
    scale = min(1.0, MOST_REQUESTS / max(1, total))
    weights = {one["name"]: weight_of(one["mix"]) for one in classes}
    every_weight = sum(weights.values())
    beyond = min(MOST_BEYOND, total)
    for name, pool in pools.items():
        of_pool = [one for one in classes if one["pool"] == name]
        part = sum(weights[one["name"]] for one in of_pool)
        needed = max(1.0, pool["requests"] * scale)
        wanted = max(needed, beyond * part / every_weight if every_weight else 0.0)
        before = min(wanted, max(LEAST_REQUESTS, MOST_REQUESTS_BEFORE * scale))
        for one in of_pool:
            share = weights[one["name"]] / part if part else 1 / len(of_pool)
            one["requests"] = _requests(wanted, share, len(of_pool))
            one["requests_before"] = _requests(before, share, len(of_pool))
    least = math.ceil(sum(one["requests"] for one in classes) / MOST_OF_A_CLIENT)
    for one in classes:
        one["clients"] = max(one["clients"], least)


def _requests(of_pool: float, share: float, classes_of_pool: int) -> int:
    least = min(LEAST_OF_A_CLASS, of_pool / classes_of_pool)
    return math.ceil(max(least, of_pool * share))


def class_names(world: World, pool: str) -> list[str]:
    """Give the names of the classes whose requests are meant for `pool`."""
    return [one["name"] for one in world["classes"] if one["pool"] == pool]
