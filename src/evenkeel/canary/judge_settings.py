"""The judge's settings for a canary, from its intent: units, tolerances and minimums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from evenkeel.intent.guardrails import limit
from evenkeel.intent.share_forecast import SPREAD_OTHERWISE, Spread, taking_traffic

# False alarms per watch of the share test.
ALPHA = 0.01
# In seconds: a shorter queue is no problem.
LEAST_QUEUE_SAMPLES = 5


class PoolSettings(TypedDict):
    """How one pool is judged: in which unit, against which shares, how strictly."""

    tolerance: float
    minimum_requests: int
    minimum_active_servers: int
    judged: str
    unit: str
    required: bool
    intended: NotRequired[dict[str, float]]
    few_clients_fail: NotRequired[bool]
    queue_limit: NotRequired[int]
    queue_samples: NotRequired[int]


class JudgeSettings(TypedDict):
    """How one host is judged; `watched_hosts` and `probe` come with the stage."""

    alpha: float
    tolerance: float
    minimum_requests: int
    error_budget_percent: float
    minimum_active_servers: int
    default_required: bool
    pools: dict[str, PoolSettings]
    watched_hosts: NotRequired[int]
    probe: NotRequired[dict[str, Any]]


def canary_settings(
    intent: Mapping[str, Any], effect: Mapping[str, Any], spread: Spread | None = None
) -> JudgeSettings:
    """Give the judge's policy for a canary with `intent`, from the `effect` that was forecast.

    A pool that the change touches is `required`: it needs traffic; another may be idle. The unit
    is what the pool assigns: connections for tcp, new clients for a hash or stickiness, else
    requests. Pools whose shares depend on the clients get the wider tolerance. The algorithm
    `first`, and a hash with an unknown ring, are not judged by share. The intent's guardrails for a
    pool override all of these.

    The longest queue that may last has as many requests as the servers take at one time: a request
    behind so many waits until every server has answered once. A pool whose queue is longer in every
    sample, for more than the queue's timeout, drops requests. Without a limit on every server there
    is no queue.
    """
    guardrails = intent["guardrails"]
    touched = set(effect["touched_pools"])
    return {
        "alpha": ALPHA,
        "tolerance": guardrails["share_tolerance"],
        "minimum_requests": guardrails["minimum_requests"],
        "error_budget_percent": guardrails["error_budget_percent"],
        "minimum_active_servers": guardrails["minimum_active_servers"],
        "default_required": False,
        "pools": {
            pool["name"]: _pool_policy(intent, pool, touched, spread)
            for pool in sorted(intent["pools"], key=lambda pool: str(pool["name"]))
        },
    }


def _pool_policy(
    intent: Mapping[str, Any], pool: Mapping[str, Any], touched: set[str], spread: Spread | None
) -> PoolSettings:
    name, kind = pool["name"], pool["algorithm"]["kind"]
    own = intent["guardrails"]["pools"].get(name, {})
    # Hand-written lines can stick clients too.
    sticky = bool(pool["stickiness"] or pool.get(SPREAD_OTHERWISE))
    affinity = sticky or kind in ("hash", "least_connections")
    ring = None
    if kind == "hash" and spread is not None:
        ring = spread(pool, [str(server["name"]) for server in taking_traffic(pool)])
    unjudged = kind == "first" or (kind == "hash" and ring is None)
    tolerance = own.get("share_tolerance")
    if tolerance is None:
        key = "affinity_share_tolerance" if affinity else "share_tolerance"
        tolerance = intent["guardrails"][key]
    required = own.get("required")
    by_clients = pool["stickiness"] or kind == "hash"
    settings: PoolSettings = {
        "tolerance": tolerance,
        "minimum_requests": limit(intent, name, "minimum_requests"),
        "minimum_active_servers": limit(intent, name, "minimum_active_servers"),
        "judged": own.get("judged") or ("requests_only" if unjudged else "share"),
        "unit": "clients" if by_clients else "connections" if pool["mode"] == "tcp" else "requests",
        "required": name in touched if required is None else required,
    }
    if ring:
        settings["intended"] = dict(ring)
    # With stickiness only new clients count: few prove nothing.
    if kind == "hash" and not pool["stickiness"]:
        settings["few_clients_fail"] = True
    places = [server["max_connections"] for server in taking_traffic(pool)]
    if places and None not in places:
        settings["queue_limit"] = sum(places)
        settings["queue_samples"] = max(
            LEAST_QUEUE_SAMPLES, math.ceil(intent["timeouts"]["queue_seconds"]) + 1
        )
    return settings
