"""Claims about clients that send many requests."""

import random

import pytest

from evenkeel.judge.clients import effective_clients, new_clients
from evenkeel.judge.share import ShareJudge

SERVERS = ("web1", "web2", "web3")


def requests_of_clients(kind, draw, requests):
    """Even assignment of clients, (client, server) for each request, that is uneven by request."""
    server_of, left = {0: draw.choice(SERVERS)}, [0] * 10
    holder, new = list(left), 1
    for _ in range(requests):
        slot = draw.randrange(len(left))
        if kind == "one client with 30 %" and draw.random() < 0.3:
            yield 0, server_of[0]
            continue
        if not left[slot]:
            mean = {"sticky": 50, "keep-alive": 1000}.get(kind, 1)
            left[slot] = 1000 if mean == 1000 else 1 + int(draw.expovariate(1 / mean)) * (mean > 1)
            holder[slot], new = new, new + 1
            server_of[holder[slot]] = draw.choice(SERVERS)
        left[slot] -= 1
        yield holder[slot], server_of[holder[slot]]


@pytest.mark.parametrize("kind", ["sticky", "one client with 30 %", "keep-alive"])
def test_heavy_clients_that_are_assigned_evenly_do_not_fail_although_their_requests_would(kind):
    by_client = by_request = 0
    for seed in range(12):
        stream = requests_of_clients(kind, random.Random(f"{kind} {seed}"), 2500)
        clients, requests = (ShareJudge(dict.fromkeys(SERVERS, 1)) for _ in range(2))
        seen: set[int] = set()
        for pair in stream:
            first = new_clients([pair], seen)
            if first:
                clients.update(first)
            requests.update({pair[1]: 1})
        by_client += clients.failed()
        by_request += requests.failed()
    assert by_client <= 1
    assert by_request >= 6


def test_each_client_counts_once_however_much_it_sends():
    seen = set()
    first = [("ann", "web1"), ("bob", "web2"), ("ann", "web1"), ("ann", "web2")]
    assert new_clients(first, seen) == {"web1": 1, "web2": 1}
    assert new_clients([("bob", "web2"), ("eve", "web2")], seen) == {"web2": 1}


def test_equal_clients_are_worth_their_number_and_a_large_one_hardly_more_than_itself():
    assert effective_clients([5] * 40) == pytest.approx(40.0)
    assert effective_clients([3000] + [1] * 7000) == pytest.approx(11.1, abs=0.1)
    assert effective_clients([]) == 0.0


def test_refuses_a_negative_number_of_requests():
    with pytest.raises(ValueError, match="0 or more"):
        effective_clients([1, -1])
