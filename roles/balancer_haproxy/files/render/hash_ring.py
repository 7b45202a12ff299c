"""The ring of HAProxy's consistent hash, and each server's share of keys.

Each server has 16 places on a circle of 2 ** 32 for each unit of its weight, and a key goes to the
nearest place, before or after it (configuration.txt, "hash-type"). Place n of a server is the
avalanche hash of `id * 4096 + n`. A server's share of many different keys is therefore its part of
the circle. tests/contract compares this with the real balancer.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

CIRCLE = 2**32
PLACES_PER_WEIGHT = 16
PLACES_PER_ID = 4096
# Larger rings take over a second and are even by weight ...
MOST_PLACES = 200000
# ... unless a server has few places: n places are off by 1 in sqrt(n).
FEWEST_PLACES = 400


def shares_of_keys(
    pool: Mapping[str, Any], in_service: Sequence[str], ids: Mapping[str, int]
) -> Optional[Dict[str, float]]:
    """Give the share of different keys that a hash sends to each server `in_service`, or None.

    Keys are not requests: one key may bring many. A map has a place for each unit of weight; a
    consistent hash has the ring of `ids` and weights. `random` takes random places on such a ring,
    with the servers' positions for ids. It takes the less busy of two servers, so under load it is
    more even than this.
    """
    weights = {one["name"]: one["weight"] for one in pool["servers"] if one["name"] in in_service}
    kind = pool["algorithm"]["kind"]
    if kind not in ("hash", "random") or not weights:
        return None
    if kind == "hash" and not pool["algorithm"]["consistent"]:
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}
    known = ids or {one["name"]: at for at, one in enumerate(pool["servers"], 1)}
    return ring_shares({name: (known[name], weight) for name, weight in weights.items()})


def ring_shares(servers: Mapping[str, Tuple[int, int]]) -> Optional[Dict[str, float]]:
    """Give the share of different keys that each of `servers` {name: (id, weight)} gets.

    None when unknown: a ring that is too large to build, with few places for some server.
    """
    total = sum(weight for _, weight in servers.values())
    if not total:
        return None
    if total * PLACES_PER_WEIGHT > MOST_PLACES:
        few = min(weight for _, weight in servers.values()) * PLACES_PER_WEIGHT < FEWEST_PLACES
        return None if few else {name: w / total for name, (_, w) in servers.items()}
    places = sorted(
        (place(number, index), name)
        for name, (number, weight) in servers.items()
        for index in range(weight * PLACES_PER_WEIGHT)
    )
    shares = dict.fromkeys(servers, 0.0)
    around = [*places[1:], (places[0][0] + CIRCLE, places[0][1])]
    for (here, one), (there, other) in zip(places, around):  # noqa: B905 - not in Python 3.8
        half = (there - here) / 2 / CIRCLE
        shares[one] += half
        shares[other] += half
    return shares


def place(number: int, index: int) -> int:
    """Give where place `index` of the server with the id `number` lies.

    Bob Jenkins' full avalanche hash of 32 bits (burtleburtle.net/bob/hash/integer.html), times a
    large prime; all of it modulo the circle.
    """
    key = (number * PLACES_PER_ID + index) % CIRCLE
    key = (key + 0x7ED55D16 + (key << 12)) % CIRCLE
    key ^= 0xC761C23C ^ (key >> 19)
    key = (key + 0x165667B1 + (key << 5)) % CIRCLE
    key = ((key + 0xD3A2646C) ^ (key << 9)) % CIRCLE
    key = (key + 0xFD7046C5 + (key << 3)) % CIRCLE
    key ^= 0xB55A4F09 ^ (key >> 16)
    return key * 3221225473 % CIRCLE
