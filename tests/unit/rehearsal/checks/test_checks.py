import subprocess
import sys

import pytest
from unit.rehearsal.changes import servers
from unit.rehearsal.measured import counts, measured, reloads, switch, tally, world_of
from unit.rehearsal.measured import peak as peak_of

from evenkeel.rehearsal.checks import effect, verdicts

EVEN = counts(100, 100, 100)


def judged(world, found, back=None):
    return {one["id"]: one for one in verdicts.judge(world, found, back or reloads())}


def failed(found):
    return {name for name, check in found.items() if check["verdict"] != "pass"}


def skewed():
    pool = servers(3)
    pool[1]["weight"] = pool[2]["weight"] = 1
    return world_of({"servers": pool})


def test_an_even_pool_passes_every_check():
    world = world_of()
    assert failed(judged(world, measured(world, EVEN, EVEN))) == set()


def test_a_weight_typo_fails_though_the_shares_are_what_the_weights_say():
    world = skewed()
    found = judged(world, measured(world, EVEN, counts(294, 3, 3)))
    assert found["share:web"]["verdict"] == "pass"
    assert failed(found) == {"spread:web", "shift:web"}
    assert "server web1 of pool web: 33.3 % → 98.0 %" in found["spread:web"]["reasons"][0]


def test_a_weight_typo_fails_without_anything_to_compare_with():
    world = skewed()
    found = judged(world, measured(world, None, counts(294, 3, 3)))
    assert failed(found) == {"spread:web"}


def test_two_servers_more_are_no_jump():
    world = world_of({"servers": servers(5)})
    found = judged(world, measured(world, EVEN, counts(60, 60, 60, 60, 60)))
    assert failed(found) == set()
    assert found["shift:web"]["numbers"] == {"largest_shift_points": 0.0, "compared": 3}


def test_the_second_server_of_a_pool_is_no_jump():
    world = world_of({"servers": servers(2)})
    assert failed(judged(world, measured(world, counts(300), counts(150, 150)))) == set()


def test_a_drained_server_is_no_jump_for_the_others():
    pool = servers(3)
    pool[2]["state"] = "draining"
    world = world_of({"servers": pool})
    assert failed(judged(world, measured(world, EVEN, counts(150, 150)))) == set()


def test_a_server_that_gets_less_than_round_robin_gives_it_fails():
    world = world_of()
    found = judged(world, measured(world, EVEN, counts(140, 20, 140)))
    assert "share:web" in failed(found)
    assert "(33.3 % → 6.7 %)" in found["share:web"]["reasons"][0]


def test_a_server_without_traffic_is_named():
    world = world_of()
    found = judged(world, measured(world, EVEN, counts(150, 150)))
    assert found["idle:web"]["reasons"] == [
        "server web3 of pool web got no request, intended 33.3 %"
    ]


def test_fill_first_fails_by_the_fair_share_since_it_intends_none():
    world = world_of({"algorithm": {"kind": "first"}})
    assert failed(judged(world, measured(world, EVEN, counts(300)))) == {"spread:web", "shift:web"}


def test_backup_on_all_but_one_server_fails():
    pool = [{**one, "backup": n > 0} for n, one in enumerate(servers(4))]
    world = world_of({"servers": pool})
    found = judged(world, measured(world, counts(75, 75, 75, 75), counts(300)))
    assert failed(found) == {"spread:web"}


def test_one_active_server_with_one_backup_is_a_pattern_and_passes():
    pool = [{**one, "backup": n > 0} for n, one in enumerate(servers(2))]
    world = world_of({"servers": pool})
    assert failed(judged(world, measured(world, counts(300), counts(300)))) == set()


def test_a_pool_whose_spread_is_not_judged_is_still_reached_and_answered():
    pool = {"servers": servers(3)}
    world = world_of(pool, guardrails={"pools": {"web": {"judged": "requests_only"}}})
    found = judged(world, measured(world, EVEN, counts(300)))
    assert failed(found) == set()
    assert "share:web" not in found


def test_hashing_within_luck_and_tolerance_passes_and_on_a_constant_fails():
    world = world_of({"algorithm": {"kind": "hash", "key": "source"}})
    assert failed(judged(world, measured(world, EVEN, counts(110, 85, 105)))) == set()
    assert "share:web" in failed(judged(world, measured(world, EVEN, counts(300))))


def test_a_pool_that_is_never_reached_is_no_data_and_never_a_pass():
    world = world_of()
    found = measured(world, EVEN, {})
    found["after"]["classes"] = {"www:80/default": tally({}, failed=97)}
    assert judged(world, found)["share:web"]["verdict"] == "no_data"
    assert verdicts.verdict_of(judged(world, found).values()) == "fail"


def test_requests_that_another_pool_s_servers_answer_fail():
    world = world_of()
    found = judged(world, measured(world, EVEN, {**EVEN, "10.20.9.9:80": 5}))
    assert (
        "5 requests for pool web were answered by 10.20.9.9:80"
        in (found["share:web"]["reasons"][0])
    )


def test_a_server_that_the_balancer_holds_for_down_is_named_with_its_endpoint():
    world = world_of()
    health = {"web": {"web1": "active", "web2": "down", "web3": "active"}}
    found = judged(world, measured(world, EVEN, counts(150, 0, 150), health=health))
    assert "server web2 of pool web is down" in found["servers:web"]["reasons"][0]
    assert "10.20.0.2:80" in found["servers:web"]["reasons"][0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 200, "pools": ["api"]}, "port 80: status 200 from api, wanted pool web"),
        ({"status": None, "pools": []}, "port 80: no answer"),
        ({"status": 503, "pools": []}, "port 80: status 503 from no pool, wanted pool web"),
    ],
)
def test_a_route_test_says_what_came_and_what_was_wanted(answer, reason):
    world = world_of()
    tests = [{"name": "front", "answers": [{"port": 80, "server": "", **answer}]}]
    found = judged(world, measured(world, EVEN, EVEN, route_tests=tests))
    assert found["route:front"]["reasons"] == [reason]


def test_returning_clients_on_another_server_fail():
    sticky = {"web": {"clients": 9, "visits": 18, "moved": {"10.20.0.2:80": 6}, "lost": 0}}
    world = world_of({"stickiness": {"cookie": "SRV"}})
    assert "sticky:web" in failed(judged(world, measured(world, EVEN, EVEN, sticky=sticky)))


def test_a_sticky_pool_that_sets_no_cookie_fails():
    sticky = {"web": {"clients": 0, "visits": 0, "moved": {}, "lost": 0}}
    world = world_of({"stickiness": {"cookie": "SRV"}})
    assert "sticky:web" in failed(judged(world, measured(world, EVEN, EVEN, sticky=sticky)))


def test_a_pool_that_suddenly_serves_few_requests_at_one_time_fails():
    world = world_of({"servers": [{**one, "max_connections": 1} for one in servers(3)]})
    peak = {"web": peak_of(32, 3)}
    assert failed(judged(world, measured(world, EVEN, EVEN, peak=peak))) == {"room:web"}


def test_a_limit_that_was_there_before_and_is_declared_passes():
    world = world_of({"servers": [{**one, "max_connections": 4} for one in servers(3)]})
    peak = {"web": peak_of(32, 12)}
    found = measured(world, EVEN, EVEN, peak=peak)
    found["before"]["peak"] = peak
    assert failed(judged(world, found)) == set()


def test_a_limit_that_nobody_declared_is_told_by_what_was_before():
    world = world_of()
    peak = {"web": peak_of(32, 12)}
    found = measured(world, EVEN, EVEN, peak=peak)
    assert failed(judged(world, found)) == {"room:web"}
    found["before"]["peak"] = peak
    assert failed(judged(world, found)) == set()


def test_requests_that_wait_and_are_lost_fail_unless_it_was_so_before():
    world = world_of()
    peak = {"web": peak_of(32, 32, 20, status_503=12)}
    found = measured(world, EVEN, EVEN, peak=peak)
    assert failed(judged(world, found)) == {"queue:web"}
    found["before"]["peak"] = peak
    assert failed(judged(world, found)) == set()


def test_one_request_lost_on_the_way_back_fails_and_says_which_way():
    world = world_of()
    found = judged(world, measured(world, EVEN, EVEN), reloads(failed=1))
    assert found["reload"]["reasons"] == ["new to old: 1 of 101 failed (1 x status 503)"]


def test_a_refused_release_fails_with_the_balancer_s_own_words():
    world = world_of()
    found = measured(world, EVEN, EVEN)
    error = {"what": "The balancer's own check refuses the release", "got": "line 16: what?"}
    found |= {
        "prepare": {"ok": False, "exit": 10, "error": error},
        "switch": None,
        "after": None,
    }
    result = judged(world, found, {"reloads": []})
    assert "line 16: what?" in result["native_check"]["reasons"][0]
    assert result["activation"]["verdict"] == "no_data"


def test_a_candidate_that_reverts_fails_with_its_reason():
    world = world_of()
    found = measured(world, EVEN, EVEN)
    gone = {"ok": False, "exit": 11, "error": {"what": "The new worker did not start", "got": ""}}
    found |= {"switch": switch(activate=gone), "after": None}
    assert judged(world, found)["activation"]["reasons"] == [
        "activate: The new worker did not start"
    ]


def test_no_check_at_all_is_no_data():
    assert verdicts.verdict_of([]) == "no_data"


def test_the_effect_names_servers_that_only_the_old_configuration_has():
    world = world_of({"servers": servers(2)})
    shown = effect.effect(world, measured(world, EVEN, counts(150, 150)))["web"]["servers"]
    assert shown["10.20.0.3:80"] == {"before": 0.33333, "after": None, "intended": None}
    assert shown["web1"] == {"before": 0.33333, "after": 0.5, "intended": 0.5}


def test_the_effect_in_words_shows_the_largest_move_first():
    found = effect.effect(skewed(), measured(skewed(), EVEN, counts(294, 3, 3)))
    assert effect.lines(found) == [
        "pool web: web1 33.3 % → 98.0 %, web2 33.3 % → 1.0 %, web3 33.3 % → 1.0 %"
    ]


def test_the_effect_of_a_large_pool_in_words_stays_short():
    world = world_of({"servers": servers(200)})
    (line,) = effect.lines(effect.effect(world, measured(world, None, counts(*[2] * 200))))
    assert line.endswith("and 192 more servers")


@pytest.mark.parametrize(
    ("declared", "passes"),
    [
        ({"points": 20.0, "to_percent": None}, True),
        ({"points": 10.0, "to_percent": None}, False),
        ({"points": None, "to_percent": 50.0}, True),
        ({"points": None, "to_percent": 40.0}, False),
    ],
)
def test_a_declared_shift_passes_up_to_what_was_declared(declared, passes):
    weights = servers(3)
    weights[0]["weight"] = 200
    world = world_of({"servers": weights}, guardrails={
        "largest_shift_points": 10, "largest_fair_ratio": 1.4})  # fmt: skip
    found = measured(world, EVEN, counts(200, 100, 100))
    assert failed(judged(world, found)) == {"shift:web", "spread:web"}
    world["pools"]["web"]["declared_shifts"] = {"web1": declared}
    assert failed(judged(world, found)) == (set() if passes else {"shift:web", "spread:web"})
    world["pools"]["web"]["declared_shifts"] = {"web2": declared}
    assert failed(judged(world, found)) == {"shift:web", "spread:web"}


def test_who_judges_needs_no_library_of_the_load_client():
    told = "import sys; sys.modules['pycurl'] = None; import evenkeel.verbs.validate"
    subprocess.run([sys.executable, "-c", told], check=True)


@pytest.mark.parametrize("last", [0, 1, 2])
@pytest.mark.parametrize(("weight", "verdict"), [(1, "fail"), (2, "pass")])
def test_at_the_bound_the_weights_decide_and_not_a_request_more_or_less(last, weight, verdict):
    # Of 40 requests to servers of 20 + 20 + weight; the bound is a tenth of a third.
    pool = [
        one | {"weight": number} for one, number in zip(servers(3), (20, 20, weight), strict=True)
    ]
    world = world_of({"servers": pool, "algorithm": {"kind": "round_robin"}})
    found = measured(world, None, counts(20, 20 - last, last))
    assert judged(world, found)["spread:web"]["verdict"] == verdict


def test_where_turns_are_not_those_of_the_weights_the_guardrails_go_by_what_was_counted():
    world = world_of()
    found = judged(world, measured(world, EVEN, counts(150, 150, 0)))
    assert {"share:web", "spread:web", "shift:web"} <= failed(found)


def test_where_turns_are_exact_a_request_more_or_less_is_no_shift():
    world = world_of(guardrails={"largest_shift_points": 1})
    found = measured(world, counts(20, 20, 20), counts(21, 20, 19))
    assert judged(world, found)["shift:web"]["verdict"] == "pass"
