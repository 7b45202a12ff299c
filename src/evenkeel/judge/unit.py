"""The unit that is counted for shares, and the assumption that the bounds rest on.

The unit counted is the unit assigned. Whatever is assigned by itself, each time anew, is an
independent draw; what follows because of it (the further requests of a client that sticks) is not.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .settings import CLIENTS, REQUESTS_ONLY

Servers = Mapping[str, Mapping[str, Any]]

_ASSUMED = {
    "requests": "each request is assigned by itself",
    "connections": "each connection is assigned by itself",
    CLIENTS: "each client is assigned by itself and counted once, however much it sends",
}
_RING = "the shares intended are those of the hash over many different keys"
_WEIGHTS = "the shares intended follow from the weights"


def assumption(settings: Mapping[str, Any]) -> str:
    """Return, for the record of a pool, what its verdict about shares rests on."""
    if settings["judged"] == REQUESTS_ONLY:
        return "the shares are reported and not judged"
    basis = _RING if settings.get("intended") else _WEIGHTS
    return "%s; %s" % (_ASSUMED[settings["unit"]], basis)


def in_service(servers: Servers) -> List[str]:
    """Return the servers that new requests may go to: active ones, else the active backups."""
    able = [n for n, row in servers.items() if row["status"] == "active" and row["weight"] > 0]
    return [n for n in able if not servers[n]["backup"]] or able


def intended_weights(
    servers: Servers, intended: Optional[Mapping[str, float]] = None
) -> Dict[str, float]:
    """Return the weights that the shares follow from; 0 for a server that is out of service.

    `intended` are the shares by a hash when all are in service, where they are known. What a server
    that is out leaves goes to the others in proportion, nearly: its places on a ring are scattered.
    """
    chosen = set(in_service(servers))
    known = intended if intended and all(intended.get(name) for name in chosen) else None
    return {
        n: (float(row["weight"]) if known is None else known[n]) if n in chosen else 0.0
        for n, row in servers.items()
    }


def increments(before: Servers, now: Servers, counter: str) -> Optional[Dict[str, int]]:
    """Return what `counter` gained per server, or None when one of them went backwards.

    Clients may: one that has moved to another server is counted there, and no more at the first. A
    counter that a server does not report is None as well.
    """
    if any(counter not in row for row in now.values()):
        return None
    gained = {n: now[n][counter] - before.get(n, {}).get(counter, 0) for n in now}
    if counter == CLIENTS:
        return {n: max(0, each) for n, each in gained.items()}
    return None if any(each < 0 for each in gained.values()) else gained
