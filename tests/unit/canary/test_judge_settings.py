"""The policy chooses by itself what is counted, and against which shares."""

from __future__ import annotations

import math

import pytest
from unit.intent.intents import intent, listener, pool, server

from evenkeel.balancer.dialect import load_dialect
from evenkeel.canary.judge_settings import canary_policy
from evenkeel.containers.names import ROOT
from evenkeel.forecast import forecast
from evenkeel.intent import normalise, parse_intent
from evenkeel.judge.settings import checked_policy

SPREAD = load_dialect(ROOT / "roles" / "balancer_haproxy").spread
URI = {"kind": "hash", "key": "uri"}


def normal(listeners=None, servers=None, **more):
    own = {"listeners": listeners} if listeners else {}
    shop = pool(**more) | ({"servers": servers} if servers else {})
    return normalise(parse_intent(intent(pools=[shop], **own)))


def of_pool(spread=SPREAD, **more):
    after = normal(**more)
    policy = canary_policy(after, forecast(None, after, spread), spread)
    return checked_policy(policy)["pools"]["shop"]


@pytest.mark.parametrize(
    ("more", "unit"),
    [
        ({}, "requests"),
        ({"algorithm": {"kind": "least_connections"}}, "requests"),
        ({"algorithm": {"kind": "random"}}, "requests"),
        ({"algorithm": URI}, "clients"),
        ({"stickiness": {"cookie": "SRV"}}, "clients"),
    ],
)
def test_the_unit_follows_from_what_the_pool_assigns(more, unit):
    assert of_pool(**more)["unit"] == unit


def test_tcp_is_counted_in_connections_and_its_hash_in_clients():
    wire = [listener(mode="tcp")]
    assert of_pool(listeners=wire, mode="tcp")["unit"] == "connections"
    source = {"kind": "hash", "key": "source"}
    assert of_pool(listeners=wire, mode="tcp", algorithm=source)["unit"] == "clients"


def test_a_hash_is_judged_against_its_ring_and_one_that_nobody_knows_is_not_judged_by_share():
    known = of_pool(algorithm=URI)
    assert known["judged"] == "share" and math.isclose(sum(known["intended"].values()), 1.0)
    unknown = of_pool(spread=None, algorithm=URI)
    assert unknown["judged"] == "requests_only" and "intended" not in unknown


def test_a_queue_is_guarded_where_every_server_has_a_limit():
    limited = [server(n, max_connections=20) for n in (1, 2, 3)]
    shop = of_pool(servers=limited)
    assert (shop["queue_limit"], shop["queue_samples"]) == (60, 6)
    assert "queue_limit" not in of_pool(servers=[*limited[:2], server(3)])


def ring_shares():
    shares_of_keys = SPREAD.__globals__["shares_of_keys"]
    return shares_of_keys.__globals__["ring_shares"]


# Requests of 20,000 different paths through HAProxy 2.6, five servers of weight 1.
MEASURED = {169477: 4565, 28134: 3374, 620217: 3457, 7: 4827, 9999: 3777}


def test_the_ring_is_the_one_that_was_measured():
    ring = ring_shares()
    shares = ring({str(number): (number, 1) for number in MEASURED})
    for number, requests in MEASURED.items():
        assert shares[str(number)] == pytest.approx(requests / 20000, abs=0.01)
    assert math.isclose(sum(shares.values()), 1.0)


def test_a_ring_too_large_to_lay_out_is_even_by_weight_or_unknown():
    ring = ring_shares()
    heavy = ring({str(n): (n + 1, 100 if n else 200) for n in range(200)})
    assert heavy["0"] == 2 * heavy["1"]
    assert ring({str(n): (n + 1, 1) for n in range(20000)}) is None


def test_the_forecast_of_a_hash_is_its_ring_and_that_of_a_map_its_weights():
    def shop(**algorithm):
        servers = [server(1, weight=1), server(2, weight=1), server(3, weight=2)]
        after = normal(servers=servers, algorithm=URI | algorithm)
        found = forecast(None, after, SPREAD)["pools"]["shop"]
        assert found["basis"] == "expected" and "uri" in found["why"]
        return [one["after"] for one in found["servers"].values()]

    assert shop(consistent=False) == [0.25, 0.25, 0.5]
    ring = shop()
    assert ring != [0.25, 0.25, 0.5] and math.isclose(sum(ring), 1.0, abs_tol=1e-5)


@pytest.mark.parametrize(("weight", "basis"), [(1, "unknown"), (10, "unknown"), (256, "expected")])
def test_random_is_known_where_its_ring_is_even(weight, basis):
    servers = [server(n, weight=weight) for n in (1, 2, 3)]
    after = normal(servers=servers, algorithm={"kind": "random"})
    assert forecast(None, after, SPREAD)["pools"]["shop"]["basis"] == basis
