"""Which part of a pool's requests each server will get, where that can be known beforehand.

A share is a fraction of 1. Its basis says what it stands on:

- `exact`: round robin hands out requests by weight, to within one request; or one server gets all.
- `expected`: right in the long run. Random choice by weight, with weights that make it even;
  least connections among servers of one weight, as long as they answer equally fast; a hash, of
  many keys that are alike, where the balancer's role knows its ring (`Spread`).
- `unknown`: it depends on the traffic. Stickiness depends on which clients return, `first` on how
  many connections there are at one time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

EXACT = "exact"
EXPECTED = "expected"
UNKNOWN = "unknown"
# A pool has this key, with the reason, where lines of its files send clients elsewhere than its
# weights and its algorithm say (`Dialect.spread_otherwise`).
SPREAD_OTHERWISE = "spread_otherwise"
# A random choice goes through a hash ring with a place for each unit of weight: five servers of
# weight 1 got 14 to 25 % each (measured), of weight 10 and more the bias is lost in the noise.
_EVEN_RING_WEIGHT = 10
# Where the ring itself is known, it may be so far from the weights: what a forecast promises.
_EVEN_RING = 0.02

Spread = Callable[[Mapping[str, Any], list[str]], Mapping[str, float] | None]
"""Gives the share of different keys for each of these servers of a pool, or None (see Dialect)."""


@dataclass(frozen=True)
class Shares:
    """The share of every server of a pool that may get requests; `shares` is empty when unknown.

    A server that gets none (draining, inactive, a backup that is not needed) has the share 0.
    """

    basis: str
    why: str
    shares: Mapping[str, float]


def taking_traffic(pool: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the servers of a pool that new clients reach: active ones, or else active backups."""
    active = [server for server in pool["servers"] if server["state"] == "active"]
    return [server for server in active if not server["backup"]] or active


def fair_shares(pool: Mapping[str, Any]) -> dict[str, float]:
    """Give what each server of a pool would get if all took what they can, whatever their weights.

    By `capacity` where every server states one, equal otherwise: a wrong weight must not make
    itself look fair.
    """
    known = all(server["capacity"] is not None for server in pool["servers"])
    sizes = {one["name"]: float(one["capacity"]) if known else 1.0 for one in pool["servers"]}
    total = math.fsum(sizes.values())
    return {name: size / total for name, size in sizes.items()}


def shares(pool: Mapping[str, Any], spread: Spread | None = None) -> Shares:
    """Give the shares of the servers of a normalised `pool` when all of them are well.

    `spread` is what the balancer's role knows of hashes; without it nothing is known of them.
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
        why = f"by the hash of the {_hash_key(pool['algorithm'])}, when there are many of them"
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
        return UNKNOWN, "servers are filled in order: it depends on the connections at one time"
    if kind == "random":
        if min(weights) < _EVEN_RING_WEIGHT:
            return UNKNOWN, f"weights under {_EVEN_RING_WEIGHT} make a random choice uneven"
        return EXPECTED, "random by weight"
    if len(weights) > 1:
        return UNKNOWN, "least connections with different weights depends on the load"
    return EXPECTED, "even, as long as the servers answer equally fast"


def _hash_key(algorithm: Mapping[str, Any]) -> str:
    name = f" {algorithm['name']}" if algorithm["name"] else ""
    return f"{algorithm['key']}{name}"
