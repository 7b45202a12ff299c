"""Canary hosts against the hosts that still run the old release."""

from evenkeel.canary import compare
from evenkeel.canary.plan import Stage
from evenkeel.canary.stage import judge_results

STAGE = Stage(1, ("lb1",), (), 60, 200, 60)
LIMITS = {"web": {"slow_response_seconds": 0.5, "slow_budget_percent": 1.0}}


def answer(requests=2000, errors=0, slow=None, verdict="pass", **more):
    pool = {"answers": None if slow is None else {"timed": requests, "slow": slow}}
    return {
        **{"requests": requests, "errors": errors, "verdict": verdict, "pools": {"web": pool}},
        **more,
    }


def stage(ours, *controls, limits=LIMITS):
    results = {"lb1": {"host": "lb1", "status": "ok", "result": ours}}
    for number, one in enumerate(controls, 2):
        results[f"lb{number}"] = {"host": f"lb{number}", "status": "ok", "result": one}
    return judge_results(STAGE, results, limits)


def test_a_canary_that_is_slower_than_its_controls_fails_the_stage():
    body = stage(answer(slow=300), answer(slow=40), answer(slow=50))
    assert body["verdict"] == "fail"
    assert "took longer than 0.5" in body["reasons"][0]


def test_a_canary_that_is_as_slow_as_its_controls_passes():
    assert stage(answer(slow=150), answer(slow=150), answer(slow=160))["verdict"] == "pass"


def test_without_a_control_that_counts_slow_answers_over_the_budget_are_no_pass():
    body = stage(answer(slow=60), answer())
    assert body["verdict"] == "inconclusive"
    assert "no control host" in body["reasons"][0]
    assert stage(answer(slow=10), answer())["verdict"] == "pass"


def test_where_nobody_counts_slow_answers_they_decide_nothing():
    for ours, limits in ((answer(), LIMITS), (answer(slow=900), {})):
        body = stage(ours, answer(), limits=limits)
        assert (body["verdict"], body["latency"]) == ("pass", {})


def test_probes_do_not_hide_the_errors_of_real_requests():
    probe = {"probe": {"sent": 1900, "failed": 0}}
    ours = answer(requests=2000, errors=50)
    controls = [answer(requests=2000, errors=100)]
    assert compare.errors([ours], controls)["verdict"] != "fail"
    alone = compare.errors([ours | probe], controls)
    assert (alone["canary_requests"], alone["canary_errors"]) == (100, 50)
    assert alone["verdict"] == "fail"


def test_the_record_says_how_many_requests_were_probes_and_what_was_counted():
    pools = {"web": {"unit": "clients", "assumption": "each client once"}}
    ours = answer(pools=pools, probe={"sent": 7, "failed": 1})
    row = stage(ours)["hosts"]["lb1"]
    assert row["probe"] == {"sent": 7, "failed": 1}
    assert row["counted"] == {"web": {"unit": "clients", "assumption": "each client once"}}


def test_connections_that_the_traffic_does_not_explain_fail_the_stage():
    held = stage(answer(open_connections=900), answer(open_connections=200))
    assert held["verdict"] == "fail" and "connections are open" in held["reasons"][0]
    twice = stage(answer(4000, open_connections=900), answer(1000, open_connections=200))
    assert twice["verdict"] == "pass"
    nobody = stage(answer(open_connections=900))
    assert nobody["verdict"] == "pass"


def test_the_limit_of_a_pool_goes_before_that_of_all():
    intent = {
        "pools": [{"name": "web"}, {"name": "api"}],
        "guardrails": {
            "slow_response_seconds": None,
            "slow_budget_percent": 2.0,
            "pools": {"api": {"slow_response_seconds": 0.2}},
        },
    }
    limits = compare.slow_limits(intent)
    assert limits["web"]["slow_response_seconds"] is None
    assert limits["api"] == {"slow_response_seconds": 0.2, "slow_budget_percent": 2.0}
