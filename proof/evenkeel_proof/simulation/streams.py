"""Even traffic as it comes: which server each request went to, and which server each new client."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

# Clients that are active at a time, where clients stay with their server.
CONCURRENT = 50
MEAN_REQUESTS = 20
KEEP_ALIVE_REQUESTS = 1000
PARETO = 1.2
LARGE_PART = 0.3


@dataclass(frozen=True)
class Stream:
    """One run: the server of each request and of each client, one byte each, in order.

    What the balancer assigns is the client; without stickiness each request is a client of its own.
    """

    servers: int
    requests: bytes
    clients: bytes


def independent(draw: random.Random, servers: int, requests: int) -> Stream:
    """Every request goes to a server that is drawn by itself."""
    drawn = bytes(draw.choices(range(servers), k=requests))
    return Stream(servers, drawn, drawn)


def round_robin(draw: random.Random, servers: int, requests: int) -> Stream:
    """Every server in turn, beginning anywhere."""
    first = draw.randrange(servers)
    turn = bytes((first + at) % servers for at in range(servers))
    whole = (turn * (requests // servers + 1))[:requests]
    return Stream(servers, whole, whole)


def sticky(draw: random.Random, servers: int, requests: int) -> Stream:
    """Clients stay with a server drawn once; their numbers of requests are geometric, mean 20."""
    stay = 1.0 - 1.0 / MEAN_REQUESTS

    def size() -> int:
        count = 1
        while draw.random() < stay:
            count += 1
        return count

    return _clients(draw, servers, requests, size)


def heavy_tailed(draw: random.Random, servers: int, requests: int) -> Stream:
    """The same with Pareto(1.2) numbers of requests: a few clients send most of them."""
    return _clients(draw, servers, requests, lambda: int(draw.paretovariate(PARETO)))


def keep_alive(draw: random.Random, servers: int, requests: int) -> Stream:
    """The same with 1,000 requests of every client."""
    return _clients(draw, servers, requests, lambda: KEEP_ALIVE_REQUESTS)


def one_large_client(draw: random.Random, servers: int, requests: int) -> Stream:
    """Each request is a client of its own, but for one client that sends 30 % of them."""
    own = draw.randrange(servers)
    drawn = draw.choices(range(servers), k=requests)
    clients = bytearray([own])
    for at in range(requests):
        if draw.random() < LARGE_PART:
            drawn[at] = own
        else:
            clients.append(drawn[at])
    return Stream(servers, bytes(drawn), bytes(clients))


def _clients(draw: random.Random, servers: int, requests: int, size: Callable[[], int]) -> Stream:
    """CONCURRENT clients at a time, each request from one of them, a new one for each that ends."""
    seen, assigned = bytearray(), bytearray()
    left, where = [0] * CONCURRENT, [0] * CONCURRENT
    for choice in draw.choices(range(CONCURRENT), k=requests):
        if not left[choice]:
            left[choice], where[choice] = size(), draw.randrange(servers)
            assigned.append(where[choice])
        left[choice] -= 1
        seen.append(where[choice])
    return Stream(servers, bytes(seen), bytes(assigned))


KINDS: dict[str, Callable[[random.Random, int, int], Stream]] = {
    "independent": independent,
    "round_robin": round_robin,
    "sticky": sticky,
    "heavy_tailed": heavy_tailed,
    "keep_alive": keep_alive,
    "one_large_client": one_large_client,
}
