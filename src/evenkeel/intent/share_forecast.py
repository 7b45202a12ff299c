"""Forecast each server's share of a pool's requests, where it can be forecast.

A share is a fraction of 1. Its basis says how certain it is:

- `exact`: round robin distributes requests by weight, to within one; or one server gets all.
- `expected`: right in the long run. Random choice by weight, with weights that make it even; least
  connections among servers of equal weight and speed; a hash of many similar keys, where the
  balancer's role knows its ring (`Spread`).
- `unknown`: it depends on the traffic. Stickiness depends on which clients return, `first` on the
  number of concurrent connections.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

EXACT = "exact"
EXPECTED = "expected"
UNKNOWN = "unknown"
# A pool's key for the reason of `Dialect.spread_otherwise`.
SPREAD_OTHERWISE = "spread_otherwise"
# Measured: shares are uneven at weight 1, even from 10.
_EVEN_RING_WEIGHT = 10
# How far a known ring may differ from weights.
_EVEN_RING = 0.02

Spread = Callable[[Mapping[str, Any], list[str]], Mapping[str, float] | None]
"""Gives each named server's share of the keys of a pool's hash, or None (see Dialect)."""


@dataclass(frozen=True)
class Shares:
    """The share of every server of a pool; `shares` is empty when they are unknown.

    A server without traffic (draining, inactive, an unused backup) has the share 0.
    """

    basis: str
    why: str
    shares: Mapping[str, float]


def taking_traffic(pool: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the servers that new clients of a pool reach: active ones, or else active backups."""
    active = [server for server in pool["servers"] if server["state"] == "active"]
    return [server for server in active if not server["backup"]] or active


def fair_shares(pool: Mapping[str, Any]) -> dict[str, float]:
    """Give each server's fair share of a pool: by `capacity` where all state one, else equal.

    Weights do not count, because a wrong weight must not look fair.
    """
    known = all(server["capacity"] is not None for server in pool["servers"])
    sizes = {one["name"]: float(one["capacity"]) if known else 1.0 for one in pool["servers"]}
    total = math.fsum(sizes.values())
    return {name: size / total for name, size in sizes.items()}


def shares(pool: Mapping[str, Any], spread: Spread | None = None) -> Shares:
    """Give the shares of the servers of a normalised `pool` when all of them are up.

    `spread` is the role's knowledge of hashes; without it, their shares are unknown.
    """
    if pool.get("by_hand"):
        return Shares(UNKNOWN, "the configuration is written by hand", {})
    servers = taking_traffic(pool)
    if not servers:
        return Shares(EXACT, "no server is active", _complete(pool, {}))
    if len(servers) == 1:
        return Shares(EXACT, "one server gets everything", _complete(pool, {servers[0]["name"]: 1}))
    otherwise = pool.get(SPREAD_OTHERWISE)
    if otherwise:
        return Shares(UNKNOWN, str(otherwise), {})
    weights = {str(server["name"]): float(server["weight"]) for server in servers}
    total = sum(weights.values())
    by_weight = {name: weight / total for name, weight in weights.items()}
    ring = spread(pool, list(weights)) if spread else None
    if pool["algorithm"]["kind"] == "hash" and ring is not None and not pool["stickiness"]:
        why = f"by the hash of the {_hash_key(pool['algorithm'])}, if there are many values"
        return Shares(EXPECTED, why, _complete(pool, ring))
    basis, why = _basis(pool, set(weights.values()))
    if pool["algorithm"]["kind"] == "random" and basis == EXPECTED and spread:
        off = max(abs(by_weight[name] - (ring or {}).get(name, 0.0)) for name in by_weight)
        if off > _EVEN_RING:
            basis, why = UNKNOWN, "the balancer's ring is uneven at these weights"
    if basis == UNKNOWN:
        return Shares(basis, why, {})
    return Shares(basis, why, _complete(pool, by_weight))


def _complete(pool: Mapping[str, Any], known: Mapping[str, float]) -> dict[str, float]:
    return {server["name"]: known.get(server["name"], 0.0) for server in pool["servers"]}


def _basis(pool: Mapping[str, Any], weights: set[float]) -> tuple[str, str]:
    kind = pool["algorithm"]["kind"]
    if pool["stickiness"]:
        return UNKNOWN, "clients return to their server by cookie"
    if kind == "round_robin":
        return EXACT, "in turns by weight"
    if kind == "hash":
        return UNKNOWN, f"it depends on the {_hash_key(pool['algorithm'])} of the requests"
    if kind == "first":
        return UNKNOWN, "servers are filled in order: it depends on the concurrent connections"
    if kind == "random":
        if min(weights) < _EVEN_RING_WEIGHT:
            return UNKNOWN, f"weights under {_EVEN_RING_WEIGHT} make a random choice uneven"
        return EXPECTED, "random by weight"
    if len(weights) > 1:
        return UNKNOWN, "least connections with different weights depends on the load"
    return EXPECTED, "even, if the servers answer equally fast"


def _hash_key(algorithm: Mapping[str, Any]) -> str:
    name = f" {algorithm['name']}" if algorithm["name"] else ""
    return f"{algorithm['key']}{name}"
