"""Claims about clients that send many requests."""

import pytest

from evenkeel.judge.clients import effective_clients, new_clients


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
