"""Clients that send many requests: count what is assigned, and plan for what it is worth."""

from __future__ import annotations

from typing import Dict, Iterable, Sequence, Set, Tuple


def new_clients(pairs: Iterable[Tuple[str, str]], seen: Set[str]) -> Dict[str, int]:
    """Return how many clients each server was sent for the first time; adds them to `seen`.

    `pairs` are (client, server) of requests in order. With stickiness or a hash the balancer
    assigns the client, once; its further requests follow and say nothing more about the spread.
    Counted once each, clients are independent draws again and the judge's bound holds, however
    heavy they are. A client that is moved to another server is not counted a second time.
    """
    counts: Dict[str, int] = {}
    for client, server in pairs:
        if client not in seen:
            seen.add(client)
            counts[server] = counts.get(server, 0) + 1
    return counts


def effective_clients(requests_of_clients: Sequence[int]) -> float:
    """Return Kish's effective size (sum m)^2 / sum m^2 of clients with m requests each.

    L. Kish, "Survey Sampling", 1965, section 11.7. For planning only: so many clients of equal
    weight spread the *requests* as evenly as these do. To divide counts by it and to judge them
    would keep no error bound. 0.0 for no client; raises ValueError for a negative number.
    """
    if any(each < 0 for each in requests_of_clients):
        raise ValueError("requests of clients: wanted 0 or more each")
    squares = sum(each * each for each in requests_of_clients)
    return sum(requests_of_clients) ** 2 / squares if squares else 0.0
