"""The judge's policy for a canary, from its intent: what is counted, against what, how strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evenkeel.intent.guardrails import limit
from evenkeel.intent.share_forecast import SPREAD_OTHERWISE, Spread, taking_traffic

# False alarms of the share test of a whole canary watch: one in a hundred.
ALPHA = 0.01
# At one sample a second; a shorter queue is a moment.
LEAST_QUEUE_SAMPLES = 5
Data = Mapping[str, Any]


def canary_policy(intent: Data, effect: Data, spread: Spread | None = None) -> dict[str, Any]:
    """Give the judge's policy for a canary with `intent`, from the `effect` that was forecast.

    A pool that the change touches has to be measured (`required`); another may be idle. What is
    counted is what the pool assigns: connections of tcp, new clients of a hash and of stickiness,
    else requests. Pools whose share depends on who the clients are get the wider tolerance; `first`
    and a hash whose ring nobody knows are not judged by share. The intent's guardrails for a pool
    go before both.
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
            for pool in sorted(intent["pools"], key=lambda one: str(one["name"]))
        },
    }


def _unit(pool: Data) -> str:
    """Give what a pool assigns, which is what its shares are counted in."""
    if pool["stickiness"] or pool["algorithm"]["kind"] == "hash":
        return "clients"
    return "connections" if pool["mode"] == "tcp" else "requests"


def _queue(intent: Data, pool: Data) -> dict[str, Any]:
    """Give the longest queue that may stay: one request more for each place that there is.

    Who waits behind as many waits for a whole round of answers; in every sample for longer than the
    queue's own timeout, that is a pool that gives requests up. Without a limit on every server
    nothing waits, and there is nothing to guard.
    """
    places = [server["max_connections"] for server in taking_traffic(pool)]
    if not places or None in places:
        return {}
    samples = max(LEAST_QUEUE_SAMPLES, math.ceil(intent["timeouts"]["queue_seconds"]) + 1)
    return {"queue_limit": sum(places), "queue_samples": samples}


def _pool_policy(
    intent: Data, pool: Data, touched: set[str], spread: Spread | None
) -> dict[str, Any]:
    name, kind = pool["name"], pool["algorithm"]["kind"]
    own = intent["guardrails"]["pools"].get(name, {})
    # Lines that stick clients are stickiness, whoever wrote them.
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
    return {
        "tolerance": tolerance,
        "minimum_requests": limit(intent, name, "minimum_requests"),
        "minimum_active_servers": limit(intent, name, "minimum_active_servers"),
        "judged": own.get("judged") or ("requests_only" if unjudged else "share"),
        "unit": _unit(pool),
        "required": name in touched if required is None else required,
        **({"intended": dict(ring)} if ring else {}),
        # Of clients who stick only the new ones are counted: there few say nothing.
        **({"few_clients_fail": True} if kind == "hash" and not pool["stickiness"] else {}),
        **_queue(intent, pool),
    }
