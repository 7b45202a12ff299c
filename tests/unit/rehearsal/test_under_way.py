"""Weights under least connections show when many requests are under way, and only then."""

import pytest
from unit.rehearsal.changes import servers
from unit.rehearsal.measured import counts, measured, reloads, world_of

from evenkeel.rehearsal import checks, effect
from evenkeel.rehearsal.failing_checks import harms
from evenkeel.rehearsal.under_way import at_one_time

LEAST = {"kind": "least_connections"}
EVEN = counts(100, 100, 100, 100)


def pool_of(*weights, kind=LEAST, **keys):
    rows = [
        one | {"weight": weight} for one, weight in zip(servers(len(weights)), weights, strict=True)
    ]
    return {"servers": [row | keys for row in rows], "algorithm": kind}


def judged(world, found):
    return {one["id"]: one for one in checks.judge(world, found, reloads())}


def failed(found):
    return {name for name, check in found.items() if check["verdict"] != "pass"}


def busy(world, before, after, plain=EVEN):
    """What is measured when one request after the other is spread as `plain`."""
    found = measured(world, plain, plain, under_way={"web": after})
    found["before"]["under_way"] = {"web": before}
    return found


@pytest.mark.parametrize(
    ("pool", "number"),
    [
        (pool_of(100, 100, 100, 50), 70),
        (pool_of(100, 100, 100, 1), 256),
        # 28 % of 56 requests are 16.
        (pool_of(100, 100, 100, 50, max_connections=16), 56),
        # Of a few requests no server is asked twice.
        (pool_of(100, 100, 100, 50, max_connections=2), 0),
        (pool_of(100, 100, 100, 100), 0),
        (pool_of(100, 50, kind={"kind": "round_robin"}), 0),
    ],
)
def test_so_many_requests_at_one_time_show_the_weights(pool, number):
    assert at_one_time(world_of(pool)["pools"]["web"]) == number


def test_half_the_weight_is_half_the_share_though_idle_servers_have_their_turns():
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, counts(18, 18, 17, 17), counts(20, 20, 20, 10))
    assert failed(judged(world, found)) == set()
    web4 = effect.effect(world, found)["web"]["servers"]["web4"]
    assert (web4["before"], web4["after"]) == (0.24286, 0.14286)


def test_a_weight_typo_fails_though_no_share_moves_one_request_after_the_other():
    world = world_of(pool_of(100, 1, 1, 1))
    found = busy(world, counts(64, 64, 64, 64), counts(249, 3, 2, 2))
    assert failed(judged(world, found)) == {"spread:web", "shift:web"}


def test_weights_that_do_nothing_under_load_fail():
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, counts(18, 18, 17, 17), counts(18, 18, 17, 17))
    assert failed(judged(world, found)) == {"share:web"}


def test_a_server_without_its_share_fails_whatever_it_has_one_after_the_other():
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, counts(18, 18, 17, 17), counts(28, 28, 0, 14))
    assert "share:web" in failed(judged(world, found))


def test_where_limits_hide_the_weights_no_share_is_intended():
    world = world_of(pool_of(100, 100, 100, 50, max_connections=2))
    found = judged(world, measured(world, EVEN, EVEN))
    assert failed(found) == set()
    assert found["share:web"]["numbers"]["rule"].startswith("none")


@pytest.mark.parametrize(("last", "codes"), [(60, set()), (8, set()), (200, {"pile"})])
def test_those_that_are_left_share_by_weight_or_evenly_as_the_load_is(last, codes):
    pool = world_of(pool_of(*5 * [100], 10))["pools"]["web"]
    even = (300 - last) // 4
    rest = {
        "sent": 300,
        "answered": 300,
        "errors": {},
        "servers": counts(0, *4 * [even], last),
    }
    facts = {
        "victims": ["web1"],
        "rest": [f"web{number}" for number in range(2, 7)],
        "noticed": {"web1": True},
        "modes": {},
        "noticed_by_clients": rest,
    }
    assert set(harms(pool, facts)) == codes
