import json

from unit.host.fakes import FIRST, SECOND, THIRD, FakeClock, Host

POLICY = json.dumps(
    {
        "alpha": 0.01,
        "tolerance": 0.3,
        "minimum_requests": 200,
        "error_budget_percent": 1.0,
        "minimum_active_servers": 1,
        "pools": {"web": {"required": True, "judged": "share"}},
        "default_required": False,
    }
).encode()
JUDGE = ("--judge", "--revert-on-fail")


def let_traffic_flow(host: Host, each_second: dict[str, int]) -> None:
    """Every second that the program waits, the servers get these requests."""

    def sleep(seconds: float) -> None:
        FakeClock.sleep(host.clock, seconds)
        host.driver.count(each_second)

    host.clock.sleep = sleep


def observe(host: Host, *words: str, change: str = "c1", seconds: str = "20"):
    words = ("observe", "--change", change, "--seconds", seconds, *words)
    return host.program(*words, stdin=POLICY)


def test_an_even_spread_passes(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    let_traffic_flow(host, {"a": 100, "b": 100, "c": 100})
    code, answer = observe(host, *JUDGE)
    assert (code, answer["verdict"], answer["reverted"]) == (0, "pass", False)
    assert answer["requests"] >= 5000 and set(answer["pools"]["web"]["servers"]) == {"a", "b", "c"}


def test_an_uneven_spread_reverts_at_once(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    let_traffic_flow(host, {"a": 300, "b": 0, "c": 0})
    code, answer = observe(host, *JUDGE)
    assert (code, answer["verdict"], answer["reverted"]) == (11, "fail", True)
    assert answer["ok"] and answer["seconds"] < 10 and answer["reasons"]
    assert host.live() == host.driver.running() == FIRST


def test_an_uneven_spread_without_orders_to_revert_only_says_so(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    let_traffic_flow(host, {"a": 300, "b": 0, "c": 0})
    code, answer = observe(host, "--judge")
    assert (code, answer["verdict"], answer["reverted"]) == (0, "fail", False)
    assert host.live() == SECOND


def test_no_traffic_is_no_pass(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    code, answer = observe(host, *JUDGE)
    assert (code, answer["verdict"]) == (0, "no_data")


def test_one_judgement_runs_through_many_calls(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    let_traffic_flow(host, {"a": 10, "b": 10, "c": 10})
    first = observe(host, *JUDGE, seconds="5")[1]["requests"]
    host.driver.count({"a": 10, "b": 10, "c": 10})
    second = observe(host, *JUDGE, seconds="5")[1]
    assert second["requests"] > first and second["seconds"] > 9
    fresh = observe(host, *JUDGE, "--fresh", seconds="5")[1]
    assert fresh["requests"] <= first


def test_a_control_host_counts_and_does_not_judge(host: Host) -> None:
    let_traffic_flow(host, {"a": 300, "b": 0})
    code, answer = observe(host, change="elsewhere")
    assert code == 0 and answer["verdict"] is None and answer["requests"] > 1000
    assert not answer["judged"] and host.live() == FIRST


def test_a_lease_is_renewed_at_the_start(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.clock.moved += 50
    observe(host, *JUDGE, "--lease-seconds", "300", seconds="5")
    assert host.status()["pending"]["remaining_seconds"] > 280


def test_a_change_that_went_back_is_not_observed_as_if_it_were_live(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.must("rollback")
    code, answer = observe(host, *JUDGE)
    assert (code, answer["outcome"]) == (11, "reverted")
    assert observe(host, *JUDGE, change="other")[0] == 10


def test_a_balancer_that_died_fails_and_the_host_goes_back(host: Host) -> None:
    host.deploy("c1", THIRD, confirm=False)
    host.driver.die()
    code, answer = observe(host, *JUDGE)
    assert (code, answer["verdict"], answer["reverted"]) == (11, "fail", True)
    assert host.driver.running() == FIRST


def test_a_policy_that_is_none_is_refused(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    words = ("observe", "--change", "c1", "--seconds", "1", "--judge")
    assert host.program(*words, stdin=b"[]")[0] == 10
    assert host.program(*words, stdin=b'{"alpha": 7}')[0] == 10
