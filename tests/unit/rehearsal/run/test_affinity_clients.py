"""Clients that land on another server: counted where clients have a server of their own."""

import asyncio

import pytest
from unit.rehearsal.load.test_load_client import kind
from unit.rehearsal.measured import counts, measured, world_of

from evenkeel.rehearsal.checks import affinity as affinity_checks
from evenkeel.rehearsal.checks import effect as effects
from evenkeel.rehearsal.checks.pool_checks import pool_checks
from evenkeel.rehearsal.load.exchange import Answer
from evenkeel.rehearsal.load.request_maker import Maker
from evenkeel.rehearsal.run import affinity_clients as affinity

HASH = {"algorithm": "hash", "cookie": None}
TURNS = {"algorithm": "round_robin", "cookie": None}
STICKY = {"algorithm": "round_robin", "cookie": "SRV"}


def before(met, again=None):
    return {"met": list(met), "again": list(again or met)}


def test_clients_that_meet_another_server_than_before_are_counted():
    found = affinity_checks.moved(HASH, before("aabb"), {"met": list("aaab")})
    assert found == {"clients": 4, "moved": 1, "percent": 25.0}


def test_who_was_not_answered_is_not_compared():
    found = affinity_checks.moved(HASH, before(["a", "", "b"]), {"met": ["a", "a", ""]})
    assert found == {"clients": 1, "moved": 0, "percent": 0.0}


@pytest.mark.parametrize("pool", [HASH, TURNS, STICKY])
def test_clients_who_meet_another_server_each_time_have_none_of_their_own(pool):
    assert affinity_checks.moved(pool, before("aabb", "abab"), {"met": list("aaaa")}) is None


def test_one_server_in_turns_says_nothing_and_one_of_a_hash_does():
    assert affinity_checks.moved(TURNS, before("aaaa"), {"met": list("abab")}) is None
    assert affinity_checks.moved(STICKY, before("aaaa"), {"met": list("aaab")})["moved"] == 1


def test_clients_who_lose_what_tied_them_are_counted():
    assert affinity_checks.moved(TURNS, before("abab"), {"met": list("baba")})["percent"] == 100.0


@pytest.mark.parametrize("phases", [(None, {"met": ["a"]}), (before("a"), None)])
def test_without_both_phases_there_is_nothing_to_compare(phases):
    assert affinity_checks.moved(HASH, *phases) is None


class Balancer:
    """Answers as a balancer would that knows clients by their address or by a cookie."""

    def __init__(self, choose, sets=""):
        self.choose, self.sets, self.asked = choose, sets, []
        self.maker = Maker(5)

    async def one(self, kind, request):
        self.asked.append(request)
        await asyncio.sleep(0)
        server = self.choose(request)
        cookies = [self.sets.format(server)] if self.sets else []
        return Answer(200, server, cookies, b"")


def by_address(count):
    return lambda request: str(int(request.source.split(".")[3]) % count)


def asked(balancer, then, pool, **kinds):
    kinds = [kind(80, **kinds)]
    counted = {"c": {"sent": 9, "answered": 9}}

    async def scene():
        clients = affinity.AffinityClients(5)
        found = await clients.before(balancer, kinds, counted)
        world = {"pools": {"web": pool}}
        return found["web"], (await clients.after(then, found, world)).get("web")

    return asyncio.run(scene())


def test_the_same_clients_ask_before_and_after():
    first, then = Balancer(by_address(3)), Balancer(by_address(4))
    found, after = asked(first, then, HASH)
    assert found["met"] == found["again"]
    assert {r.source for r in then.asked} == {r.source for r in first.asked}
    assert 50 < affinity_checks.moved(HASH, found, after)["percent"] < 100


def test_clients_bring_the_cookie_that_they_were_given_before():
    turns = iter("abc" * 200)

    def sticky(request):
        given = request.headers.get("Cookie", "").rpartition("SRV=")[2]
        return given or next(turns)

    first, then = Balancer(sticky, "SRV={}; path=/"), Balancer(sticky, "SRV={}; path=/")
    found, after = asked(first, then, STICKY)
    assert affinity_checks.moved(STICKY, found, after)["moved"] == 0
    renamed = Balancer(lambda request: "z", "")
    found, after = asked(Balancer(sticky, "SRV={}; path=/"), renamed, STICKY)
    assert affinity_checks.moved(STICKY, found, after)["percent"] == 100.0


def test_a_cookie_for_tls_alone_is_not_sent_in_the_clear():
    assert affinity.kept_cookies(["SRV=a; Secure; path=/", "B=1; path=/"], tls=False) == "B=1"
    assert affinity.kept_cookies(["SRV=a; Secure; path=/", "B=1; path=/"], tls=True) == "SRV=a; B=1"


def test_in_turns_nobody_is_asked_after_the_change():
    turns = iter("ab" * 500)
    _, after = asked(Balancer(lambda _: next(turns)), Balancer(by_address(2)), TURNS)
    assert after is None


def test_the_effect_tells_it_for_the_pool_that_answers_the_class():
    made = world_of({"algorithm": {"kind": "hash", "key": "source"}})
    met = {"class_name": "www:80/default", **before("aabb")}
    found = measured(made, counts(2, 2), counts(3, 1))
    found["before"]["visitors"] = {"guessed": met}
    found["after"]["visitors"] = {"guessed": {**met, "met": list("aaab")}}
    told = effects.effect(made, found)
    assert told["web"]["moved_clients"] == {"clients": 4, "moved": 1, "percent": 25.0}
    assert "1 of 4 clients (25.0 %) are answered by another server" in effects.lines(told)[0]


@pytest.mark.parametrize(("limit", "verdict"), [(None, None), (25, "pass"), (20, "fail")])
def test_a_guardrail_makes_it_a_verdict(limit, verdict):
    guardrails = {"pools": {"web": {"most_moved_clients_percent": limit}}} if limit else {}
    made = world_of({"algorithm": {"kind": "hash", "key": "source"}}, guardrails=guardrails)
    found = measured(made, counts(2, 2), counts(3, 1))
    clients = {"moved_clients": {"clients": 4, "moved": 1, "percent": 25.0}}
    effect = effects.effect(made, found)["web"] | clients
    checks = {one["id"]: one for one in pool_checks("web", made, found, effect)}
    assert checks.get("moved:web", {}).get("verdict") == verdict


def test_in_turns_a_few_clients_are_enough_to_see_it():
    turns = iter("abc" * 500)
    balancer = Balancer(lambda _: next(turns))
    asked(balancer, Balancer(by_address(2)), TURNS)
    assert len(balancer.asked) == 2 * affinity.FIRST_CLIENTS


def test_only_pools_that_answered_everything_are_asked():
    balancer = Balancer(by_address(2))
    clients = affinity.AffinityClients(5)
    lost = {"c": {"sent": 9, "answered": 8}}
    assert asyncio.run(clients.before(balancer, [kind(80)], lost)) == {}
    assert balancer.asked == []
