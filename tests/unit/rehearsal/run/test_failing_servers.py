"""Servers that fail: which, how, what their clients meet, and whether the change is to blame."""

import asyncio
from collections import Counter

import pytest
from unit.rehearsal.changes import servers
from unit.rehearsal.load.test_load_client import HERE, free_port, kind, stubs_at
from unit.rehearsal.measured import world_of

from evenkeel.rehearsal.checks import failures
from evenkeel.rehearsal.load import load_client as client
from evenkeel.rehearsal.load.paced import Paced, Trickle
from evenkeel.rehearsal.plan.failure_plan import check_facts, plan, refusing_at_first
from evenkeel.rehearsal.protocol import http
from evenkeel.rehearsal.stubs.control import obey
from evenkeel.rehearsal.stubs.failure_modes import ERRORS, HANG, REFUSE, WELL

HTTP = {"check": {"kind": "http", "path": "/health"}}


def planned(count, *, asked=True, **pool):
    world = {**world_of({"servers": servers(count), **HTTP, **pool}), "seed": 7}
    ends = list(world["pools"]["web"]["endpoints"].values())
    return world, plan(world, ends, ["web"], ends if asked else [])


@pytest.mark.parametrize(("count", "victims"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (200, 24)])
def test_so_many_of_a_pool_fail_at_first_and_every_server_fails_once(count, victims):
    _, made = planned(count)
    assert len(made["pools"]["web"]["victims"]) == victims == len(made["first"])
    assert len({**made["first"], **made["second"]}) == count


def test_a_sample_of_a_large_pool_has_its_ends_and_every_way_to_fail():
    _, made = planned(200)
    assert {"web1", "web200"} <= set(made["pools"]["web"]["victims"])
    assert set(made["first"].values()) == {ERRORS, HANG, REFUSE}
    assert made == planned(200)[1]


def test_where_no_check_looks_at_answers_nobody_is_expected_to_notice_wrong_ones():
    _, made = planned(5, asked=False)
    assert set(made["first"].values()) == {REFUSE}


def test_of_a_hash_one_server_refuses_at_first_since_two_neighbours_leave_no_third():
    world, made = planned(5)
    quick = [here for here, mode in made["first"].items() if mode != HANG]
    assert refusing_at_first(world, made) == quick
    world["pools"]["web"]["algorithm"] = "hash"
    (only,) = refusing_at_first(world, made)
    assert made["first"][only] == REFUSE


def test_a_backup_stays_well():
    pool = [{**one, "backup": n == 2} for n, one in enumerate(servers(3))]
    _, made = planned(3, servers=pool)
    assert made["pools"]["web"]["backups"] == ["web3"]
    assert "10.20.0.3:80" not in {**made["first"], **made["second"]}


def test_a_server_of_two_pools_leaves_enough_in_both():
    world = world_of({"servers": servers(5), **HTTP}) | {"seed": 1}
    world["pools"]["same"] = world["pools"]["web"]
    ends = list(world["pools"]["web"]["endpoints"].values())
    made = plan(world, ends, ["web", "same"], ends)
    assert len(made["first"]) == 3


def test_a_check_that_hangs_takes_twice_as_long_to_notice():
    facts = check_facts({"kind": "http", "interval_seconds": 2.0, "fall": 3, "rise": 2})
    assert (facts["noticed_seconds"], facts["hang_seconds"], facts["back_seconds"]) == (8, 14, 6)


def met(sent=40, **counts):
    zero = dict.fromkeys(("wrong", "lost", "hung", "late"), 0)
    return {"sent": sent, "answered": sent, **zero, "servers": {}, "errors": {}, **counts}


def facts(**more):
    """What a pool of three meets when all goes well."""
    return {
        "victims": ["web1", "web2"],
        "rest": ["web3"],
        "backups": [],
        "noticed": dict.fromkeys(("web1", "web2", "web3"), True),
        "modes": {"web1": ERRORS, "web2": HANG, "web3": ERRORS},
        "refused": met(30),
        "noticing": met(150),
        "noticed_by_clients": met(servers={"10.20.0.3:80": 40}),
        "hanging": 0,
        "down": met(12, answered=0, lost=12),
        "back": {**met(), "away": []},
        **more,
    }


UNNOTICED = {"web1": False, "web2": True, "web3": True}
HARM = {
    "refused": {"refused": met(30, answered=20, lost=10, errors={"status 503": 10})},
    "unnoticed:errors": {"noticed": UNNOTICED},
    "errors": {"noticed_by_clients": met(wrong=13, errors={"status 500 of a server": 13})},
    "late": {"down": met(12, answered=0, hung=12, late=12)},
    "backup": {"backups": ["web9"]},
    "away": {"back": {**met(), "away": ["web1"]}},
    "after": {"back": {**met(lost=9, errors={"status 503": 9}), "away": []}},
}


def judged(ran, base=None, again=None, **pool):
    world = world_of({**HTTP, **pool})
    runs = [one and {"pools": {"web": one}} for one in (ran, base, again)]
    return failures.failing_check("web", world, *runs)


def test_a_pool_that_stands_every_failure_passes_without_a_word():
    found = judged(facts())
    assert (found["verdict"], found["reasons"]) == ("pass", [])
    assert found["numbers"]["noticed"] == found["numbers"]["servers"] == 3


@pytest.mark.parametrize("code", HARM)
def test_new_harm_fails_and_the_same_harm_as_before_is_told(code):
    bad = facts(**HARM[code])
    assert code in failures.harms(world_of()["pools"]["web"], bad)
    new = judged(bad, facts(), bad)
    assert new["verdict"] == "fail"
    old = judged(bad, bad)
    assert old["verdict"] == "pass"
    assert old["reasons"][0].startswith("as before: ")


@pytest.mark.parametrize(
    ("before", "after", "verdict"), [(0, 3, "fail"), (1, 5, "fail"), (1, 4, "pass"), (2, 4, "pass")]
)
def test_of_few_requests_one_or_two_more_lost_than_before_are_no_other_behaviour(
    before, after, verdict
):
    def lost(number):
        return facts(
            refused=met(30, answered=30 - number, lost=number, errors={"status 503": number})
        )

    found = judged(lost(after), base=lost(before), again=lost(after))
    assert found["verdict"] == verdict


def test_bad_luck_that_does_not_come_again_is_no_harm():
    found = judged(facts(**HARM["errors"]), facts(), facts())
    assert (found["verdict"], found["reasons"]) == ("pass", [])
    assert found["numbers"]["repeated"] is True


def test_without_anything_before_a_pool_is_held_to_its_own_checks():
    bad = facts(**HARM["unnoticed:errors"])
    assert judged(bad)["verdict"] == "fail"
    for check in ({"kind": "tcp"}, {"kind": "none"}):
        told = judged(bad, check=check)
        assert told["verdict"] == "pass"
        assert told["reasons"][0].startswith("as it is set up: ")


def test_requests_that_hang_with_a_server_nobody_has_noticed_yet_are_no_other_harm():
    late = met(answered=20, hung=20, late=20, servers={"10.20.0.3:80": 20})
    assert judged(facts(noticed_by_clients=late, hanging=1))["verdict"] == "pass"
    assert judged(facts(noticed_by_clients=late, hanging=0))["verdict"] == "fail"


def test_a_server_that_takes_all_of_what_the_others_leave_is_harm():
    four = {"servers": servers(4)}
    rest = {"rest": ["web3", "web4"], "noticed_by_clients": met(servers={"10.20.0.3:80": 40})}
    assert "web4 gets none" in judged(facts(**rest), facts(), None, **four)["reasons"][0]


def test_only_pools_that_did_worse_than_before_are_tried_again():
    world = world_of()
    bad = {"pools": {"web": facts(**HARM["late"])}}
    assert failures.worse(world, bad, {"pools": {"web": facts()}}) == {"web"}
    assert failures.worse(world, bad, bad) == set()
    assert failures.worse(world, bad, None) == {"web"}


def test_a_pool_that_the_change_leaves_alone_is_told_of_and_not_tried_again():
    world = {**world_of(), "unchanged": ["web"]}
    bad = {"pools": {"web": facts(**HARM["errors"])}}
    assert failures.suspicious(world, bad) == {}
    found = failures.failing_check("web", world, bad, None, None)
    assert found["verdict"] == "pass"
    assert found["reasons"][0].startswith("as before: ")


def test_what_was_before_fails_with_the_servers_that_it_had():
    world = world_of({"servers": servers(5)})
    classes = {"www:80/default": {"servers": {"10.20.0.1:80": 9, "10.20.7.7:80": 9}}}
    pool = failures.as_before(world, classes)["pools"]["web"]
    assert pool["expected_up"] == ["10.20.0.1:80", "10.20.7.7:80"]


def test_a_change_that_takes_the_checks_away_does_not_hurry_what_was_before():
    world = world_of({"check": {"kind": "none"}})
    classes = {"www:80/default": {"servers": {"10.20.0.1:80": 9}}}
    pool = failures.as_before(world, classes)["pools"]["web"]
    assert world["pools"]["web"]["noticed_seconds"] == 0
    assert pool["noticed_seconds"] == failures.USUAL_WAITS["noticed_seconds"]


def test_a_stub_server_refuses_hangs_answers_500_and_is_well_again():
    async def scene():
        port = free_port()
        here, stubs = f"{HERE}:{port}", await stubs_at(port)
        paced, seen = Paced(client.Client(1)), []
        for mode in (WELL, ERRORS, HANG, WELL, REFUSE):
            close = [here] if mode == REFUSE else []
            await obey(stubs, {"order": "fail", "modes": {here: mode}, "close": close})
            await paced.one(kind(port), 0.2)
            counts = paced.take()["web"].as_record()
            seen.append([key for key in ("answered", "wrong", "hung", "lost") if counts[key]])
        back = {"order": "well", "modes": {here: WELL}, "stubs": [[HERE, port]]}
        assert await obey(stubs, back) == {"missing": []}
        await paced.one(kind(port), 1.0)
        return seen, paced.take()["web"].answered

    seen, answered = asyncio.run(scene())
    assert seen == [["answered"], ["wrong"], ["hung"], ["answered"], ["lost"]]
    assert answered == 1


def test_a_trickle_goes_on_past_requests_that_hang():
    async def scene():
        port = free_port()
        stubs = await stubs_at(port)
        stubs.failures.set({f"{HERE}:{port}": HANG})
        paced = Paced(client.Client(1))
        async with Trickle(paced, [kind(port)]) as trickle:
            while not paced.met or paced.met["web"].sent < 5:
                await asyncio.sleep(0.01)
            return Counter(vars(trickle.take()["web"])["servers"]), paced.client.tallies["c"].sent

    servers_seen, sent = asyncio.run(scene())
    assert not servers_seen
    assert sent >= 5


def test_an_endpoint_s_text_is_split_into_address_and_port():
    assert http.split_endpoint("[fd00::1]:80") == ("fd00::1", 80)
    assert http.split_endpoint("10.0.0.1:8080") == ("10.0.0.1", 8080)


def test_a_slow_request_that_was_answered_before_has_to_be_answered():
    world = world_of()
    bad = {"pools": {"web": facts(slow=met(1, answered=0, lost=1, errors={"status 504": 1}))}}
    well = {"pools": {"web": facts(slow=met(1))}}
    assert failures.slow_check("web", world, bad, well, bad)["verdict"] == "fail"
    assert failures.failing_check("web", world, bad, well, bad)["verdict"] == "pass"
    told = failures.slow_check("web", world, bad, bad, None)
    assert (told["verdict"], told["reasons"]) == (
        "pass",
        ["as before: 1 of 1 slow requests fail (1 x status 504)"],
    )


def test_a_slow_answer_is_not_cut_off_by_the_failure_of_its_server():
    async def scene():
        port = free_port()
        stubs = await stubs_at(port)
        paced = Paced(client.Client(1))
        asking = asyncio.create_task(paced.slow([kind(port)], 0.3))
        here = f"{HERE}:{port}"
        while not any(one.head for one in stubs.failures.connections.get(here, ())):
            await asyncio.sleep(0.01)
        await obey(stubs, {"order": "fail", "modes": {here: REFUSE}, "close": [here]})
        return await asking

    assert asyncio.run(scene())["web"]["answered"] == 1
