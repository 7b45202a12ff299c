"""Weights under least connections show when many requests are under way, and only then."""

import asyncio

import pytest
from unit.rehearsal.changes import servers
from unit.rehearsal.measured import counts, measured, reloads, world_of

from evenkeel.rehearsal.checks import effect, verdicts
from evenkeel.rehearsal.checks.failures import harms
from evenkeel.rehearsal.plan.concurrent_shares import at_one_time
from evenkeel.rehearsal.run import probes

LEAST = {"kind": "least_connections"}
EVEN = counts(100, 100, 100, 100)


def pool_of(*weights, kind=LEAST, **keys):
    rows = servers(len(weights))
    rows = [one | {"weight": weight} | keys for one, weight in zip(rows, weights, strict=True)]
    return {"servers": rows, "algorithm": kind}


def judged(world, found):
    return {one["id"]: one for one in verdicts.judge(world, found, reloads())}


def failed(found):
    return {name for name, check in found.items() if check["verdict"] != "pass"}


def together(*numbers, asked=None, reached=None, **strays):
    """What was found of requests at one time; by default all that were asked were there."""
    asked = sum(numbers) if asked is None else asked
    reached = asked if reached is None else reached
    servers = counts(*numbers) | strays
    return {"web": {"asked": asked, "reached": reached, "servers": servers}}


def busy(world, before, after, plain=EVEN):
    """What is measured when a few requests at a time are spread as `plain`."""
    found = measured(world, plain, plain, under_way=after)
    found["before"]["under_way"] = before
    return found


@pytest.mark.parametrize(
    ("pool", "more", "number"),
    [
        (pool_of(100, 100, 100, 50), {}, 256),
        (pool_of(100, 100, 100, 1), {}, 256),
        (pool_of(*99 * [100], 50), {}, 600),
        # 28 % of 56 requests are 16.
        (pool_of(100, 100, 100, 50, max_connections=16), {}, 56),
        (pool_of(100, 100, 100, 50), {"limits": {"max_connections": 40}}, 40),
        # With fewer than six turns for each server nothing is told.
        (pool_of(100, 100, 100, 50, max_connections=6), {}, 0),
        (pool_of(*253 * [100], 50), {}, 0),
        (pool_of(100, 100, 100, 100), {}, 0),
        (pool_of(100, 50, kind={"kind": "round_robin"}), {}, 0),
    ],
)
def test_so_many_requests_at_one_time_show_the_weights(pool, more, number):
    assert at_one_time(world_of(pool, **more)["pools"]["web"]) == number


def test_half_the_weight_is_half_the_share_though_idle_servers_have_their_turns():
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, together(64, 64, 64, 64), together(73, 73, 73, 37))
    assert failed(judged(world, found)) == set()
    web4 = effect.effect(world, found)["web"]["servers"]["web4"]
    assert (web4["before"], web4["after"]) == (0.25, 0.14453)


def test_a_weight_typo_fails_though_no_share_moves_with_a_few_requests():
    world = world_of(pool_of(100, 1, 1, 1))
    found = busy(world, together(64, 64, 64, 64), together(248, 3, 3, 2))
    wrong = judged(world, found)
    assert failed(wrong) == {"spread:web", "shift:web"}
    assert "server web1 of pool web: 25.0 % → 97.1 %" in wrong["spread:web"]["reasons"][0]


def test_at_the_bound_the_weights_decide_and_not_a_request_more_or_less():
    # 2.6 % is more than a tenth of a quarter; 5 of 256 would be less.
    world = world_of(pool_of(100, 100, 100, 8))
    found = busy(world, together(64, 64, 64, 64), together(84, 84, 83, 5))
    assert failed(judged(world, found)) == set()


@pytest.mark.parametrize("after", [(64, 64, 64, 64), (70, 73, 73, 40), (128, 128, 0, 0)])
def test_whatever_is_spread_otherwise_under_load_fails(after):
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, together(64, 64, 64, 64), together(*after))
    assert "share:web" in failed(judged(world, found))


def test_half_of_a_large_pool_without_its_turns_fails():
    world = world_of(pool_of(*99 * [100], 50))
    after = together(*50 * [12], *50 * [0])
    even = counts(*100 * [3])
    found = judged(world, busy(world, together(*100 * [6]), after, even))
    assert "share:web" in failed(found)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({}, "of 0 concurrent requests to pool web, 0 reached a server together and 0"),
        # Too few answers; answers by strangers; some that waited until others were answered.
        (together(5, 5, 5, 5, asked=256), "256 reached a server together and 20 were"),
        (together(5, 5, 5, 5, asked=256, stranger=236), "together and 20 were answered by its own"),
        (together(73, 73, 73, 37, reached=200), "200 reached a server together and 256 were"),
    ],
)
def test_what_was_not_counted_at_one_time_is_no_pass(after, said):
    world = world_of(pool_of(100, 100, 100, 50))
    share = judged(world, busy(world, {}, after))["share:web"]
    assert share["verdict"] == "inconclusive"
    assert said in share["reasons"][0]
    assert share["numbers"]["at_one_time"] == after.get("web", {}).get("reached", 0)


def test_requests_at_one_time_that_strangers_answer_fail():
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, together(64, 64, 64, 64), together(43, 43, 43, 21, stranger=106))
    share = judged(world, found)["share:web"]
    assert share["verdict"] == "fail"
    assert share["reasons"][0] == "106 requests for pool web were answered by stranger"


def test_a_server_of_a_large_pool_that_gets_nothing_fails():
    world = world_of(pool_of(*99 * [100], 49))
    even = counts(*100 * [3])
    after = together(*6 * [7], *93 * [6], 0)
    found = judged(world, busy(world, together(*100 * [6]), after, even))
    assert "share:web" in failed(found)


def test_weights_that_stay_as_they_are_are_no_shift_though_before_was_not_counted():
    world = world_of(pool_of(100, 10))
    few = counts(128, 128)
    found = busy(world, together(3, 3, asked=256), together(233, 23), few)
    assert "shift:web" not in failed(judged(world, found))


def test_a_limit_that_no_file_tells_of_leaves_the_weights_to_the_guardrails():
    world = world_of(pool_of(1, 1, 1, 100))
    found = judged(world, busy(world, {}, together(5, 5, 5, 5, asked=256, reached=20)))
    assert failed(found) == {"spread:web"}
    assert found["share:web"]["numbers"]["rule"].startswith("none")


def test_of_a_file_by_hand_what_was_never_counted_is_left_to_the_guardrails():
    world = world_of(pool_of(100, 100, 100, 50)) | {"by_hand": True}
    assert judged(world, busy(world, {}, {}))["share:web"]["verdict"] == "pass"


def test_before_and_after_are_counted_in_one_way():
    world = world_of(pool_of(100, 100, 100, 50))
    found = busy(world, {}, together(73, 73, 73, 37))
    rows = effect.effect(world, found)["web"]["servers"]
    assert {(row["before"], row["after"]) for row in rows.values()} == {(0.25, 0.25)}


@pytest.mark.parametrize(
    ("pool", "wrong"),
    [
        (pool_of(100, 100, 100, 50, max_connections=2), set()),
        (pool_of(1, 1, 1, 100, max_connections=2), {"spread:web"}),
        (pool_of(150, *253 * [100]), set()),
        (pool_of(*253 * [1], 100), {"spread:web"}),
    ],
)
def test_where_weights_cannot_show_the_guardrails_go_by_the_weights(pool, wrong):
    world = world_of(pool)
    even = counts(*len(pool["servers"]) * [20])
    found = judged(world, measured(world, even, even))
    assert failed(found) == wrong
    # Nobody counted that, and it says so.
    assert all(" by its weight, " in reason for reason in found["spread:web"]["reasons"])
    assert found["share:web"]["numbers"]["rule"].startswith("none")


class Balancer:
    """Stub servers and clients of a balancer that lets in `room` requests at one time."""

    def __init__(self, room, lost=0):
        self.room, self.lost, self.bursts = room, lost, []

    def __call__(self, _seed):
        return self

    def reset(self):
        pass

    def report(self):
        return {"peak": min(self.bursts[-1], self.room)}

    async def peak(self, kind, wanted):
        self.bursts.append(wanted)
        self.name = kind["name"]

    def take(self):
        lost = self.lost if len(self.bursts) == 1 else 0
        return {self.name: {"servers": {"10.20.0.1:80": self.bursts[-1] - lost}}}


@pytest.mark.parametrize(
    ("balancer", "bursts"),
    [
        (Balancer(room=1000), [256]),
        (Balancer(room=1000, lost=3), [256, 256]),
        (Balancer(room=50), [256, 50]),
        # Too few for each server to have its turns: nobody asks again.
        (Balancer(room=20), [256]),
    ],
)
def test_so_many_are_asked_at_one_time_as_the_balancer_lets_in(balancer, bursts, monkeypatch):
    monkeypatch.setattr(probes, "Client", balancer)
    world = world_of(pool_of(100, 100, 100, 50)) | {"seed": 1}
    counted = {kind["name"]: {"servers": {"10.20.0.2:80": 1}} for kind in world["classes"]}
    asked = probes.concurrent(balancer, world, world["classes"], counted)
    last = bursts[-1]
    assert asyncio.run(asked) == {
        "web": {
            "asked": last,
            "reached": min(last, balancer.room),
            "servers": {"10.20.0.1:80": last},
        }
    }
    assert balancer.bursts == bursts


def test_requests_that_another_pool_answers_are_not_asked_at_one_time():
    world = world_of(pool_of(100, 100, 100, 50)) | {"seed": 1}
    counted = {kind["name"]: {"servers": {"10.99.0.1:80": 9}} for kind in world["classes"]}
    assert asyncio.run(probes.concurrent(None, world, world["classes"], counted)) == {}


def test_the_limit_of_a_listener_counts_for_its_pools_alone():
    listener = {"binds": [{"port": 80}], "default_pool": "web", "name": "www"}
    pools = [
        {"name": "web", **pool_of(100, 100, 100, 50)},
        {"name": "other", "servers": servers(2)},
    ]
    admin = {"name": "adm", "binds": [{"port": 81}], "default_pool": "other", "max_connections": 20}
    for number, limit in ((256, None), (40, 40)):
        listeners = [listener | ({"max_connections": limit} if limit else {}), admin]
        world = world_of(pools=pools, listeners=listeners, route_tests=[])
        assert at_one_time(world["pools"]["web"]) == number


@pytest.mark.parametrize(("last", "codes"), [(60, set()), (8, set()), (200, {"pile"})])
def test_those_that_are_left_share_by_weight_or_evenly_as_the_load_is(last, codes):
    pool = world_of(pool_of(*5 * [100], 10))["pools"]["web"]
    even = (300 - last) // 4
    rest = {
        **dict.fromkeys(("wrong", "lost", "hung", "late"), 0),
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
