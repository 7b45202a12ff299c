"""Claims about the watch over one host, driven by observations as a driver makes them."""

import copy
import itertools
import json

import pytest

from evenkeel.judge.host_watch import HostWatch


class Balancer:
    """Counters of one balancer, moved by hand."""

    def __init__(self, **pools):
        self.pid = 100
        self.pools = {
            pool: {f"{pool}{n}": self.server() for n in range(1, size + 1)}
            for pool, size in pools.items()
        }

    @staticmethod
    def server(weight=100.0, status="active", backup=False):
        return {
            "address": "192.0.2.1", "port": 80, "weight": weight, "status": status,
            "backup": backup, "requests": 0, "connections": 0, "errors": 0, "retries": 0,
            "queue": 0,
        }  # fmt: skip

    def send(self, pool, *counts, errors=0):
        for row, count in zip(self.pools[pool].values(), counts, strict=False):
            row["requests"] += count
        next(iter(self.pools[pool].values()))["errors"] += errors

    def restart(self):
        self.pid += 1
        for servers in self.pools.values():
            for row in servers.values():
                row["requests"] = row["errors"] = 0

    def seen(self):
        pools = {name: {"servers": copy.deepcopy(rows)} for name, rows in self.pools.items()}
        return {"worker_pid": self.pid, "worker_started": float(self.pid), "pools": pools}


class Run:
    """A watch and a balancer, sampled together."""

    def __init__(self, policy=None, **pools):
        self.balancer = Balancer(**pools)
        self.watch = HostWatch(policy or {})
        self.last = self.balancer.seen()
        self.watch.sample(None, self.last)

    def sample(self):
        now = self.balancer.seen()
        self.watch.sample(self.last, now)
        self.last = now
        return self.watch.result()

    def send(self, pool, *counts, errors=0):
        self.balancer.send(pool, *counts, errors=errors)
        return self.sample()


def test_even_round_robin_passes_and_the_result_has_every_number():
    run = Run(web=3)
    for _ in range(10):
        result = run.send("web", 50, 50, 50)
    assert result["verdict"] == "pass"
    assert result["reasons"] == []
    assert (result["requests"], result["errors"]) == (1500, 0)
    assert result["pools"]["web"]["requests"] == 1500
    row = result["pools"]["web"]["servers"]["web1"]
    assert set(row) >= {"requests", "share", "intended", "low", "high", "status"}
    assert (row["requests"], row["status"]) == (500, "active")
    json.dumps(result, allow_nan=False)


def test_the_counters_of_before_the_watch_do_not_count():
    run = Run(web=3)
    run.balancer.send("web", 90_000, 0, 0)
    run.watch.sample(None, run.balancer.seen())
    assert run.watch.result()["requests"] == 0


def test_all_traffic_on_one_server_fails_within_25_requests():
    run = Run(web=3)
    result = run.send("web", 0, 0, 14)
    assert result["verdict"] == "fail"
    assert "server web3 has 100.0 % of pool web" in result["reasons"][0]


def test_one_request_in_flight_on_each_side_of_a_sample_is_no_failure():
    run = Run(web=3)
    for first, second in itertools.islice(itertools.cycle([(4, 2), (2, 4)]), 100):
        result = run.send("web", first, second, 3)
        assert result["verdict"] != "fail"
    assert result["verdict"] == "pass"


def test_a_silent_server_of_a_large_pool_fails_by_count_alone():
    run = Run({"alpha": 1e-12, "tolerance": 100.0}, web=10)
    result = run.send("web", 0, *[22] * 9)
    assert result["verdict"] != "fail"
    result = run.send("web", 0, *[1] * 9)
    assert result["verdict"] == "fail"
    assert result["reasons"] == [
        "server web1 of pool web was sent nothing, wanted about 20 requests"
    ]


def test_a_server_that_goes_down_is_not_a_skew():
    run = Run(web=3)
    run.send("web", 100, 100, 100)
    run.balancer.pools["web"]["web3"]["status"] = "down"
    run.send("web", 30, 30, 5)
    result = run.send("web", 300, 300, 0)
    assert result["verdict"] == "pass"
    pool = result["pools"]["web"]
    assert pool["unjudged"] == 65
    assert pool["servers"]["web3"]["intended"] == 0.0
    assert pool["servers"]["web3"]["requests"] == 105


def test_a_down_server_that_is_still_sent_requests_fails():
    run = Run(web=3)
    run.balancer.pools["web"]["web3"]["status"] = "down"
    run.sample()
    assert run.send("web", 50, 50, 20)["verdict"] == "fail"


def test_a_draining_server_may_keep_its_clients():
    run = Run(web=3)
    run.balancer.pools["web"]["web3"]["status"] = "draining"
    run.sample()
    assert run.send("web", 300, 300, 150)["verdict"] == "pass"


def test_a_backup_has_no_share_until_no_active_server_is_left():
    run = Run(web=2)
    run.balancer.pools["web"]["web2"]["backup"] = True
    run.sample()
    assert run.send("web", 300, 0)["verdict"] == "pass"
    run.balancer.pools["web"]["web1"]["status"] = "down"
    run.sample()
    result = run.send("web", 0, 300)
    assert result["verdict"] == "pass"
    assert result["pools"]["web"]["servers"]["web2"]["intended"] == 1.0


def test_a_backup_that_is_used_beside_active_servers_fails():
    run = Run(web=3)
    run.balancer.pools["web"]["web3"]["backup"] = True
    run.sample()
    assert run.send("web", 50, 50, 50)["verdict"] == "fail"


def test_several_backups_in_service_are_not_judged_by_shares():
    run = Run(web=3)
    for row in run.balancer.pools["web"].values():
        row["backup"] = True
    run.sample()
    result = run.send("web", 500, 0, 0)
    assert result["verdict"] == "inconclusive"
    assert result["pools"]["web"]["unjudged"] == 500


def test_weights_are_read_from_the_running_balancer():
    run = Run(web=2)
    run.balancer.pools["web"]["web1"]["weight"] = 300.0
    run.sample()
    assert run.send("web", 900, 300)["verdict"] == "pass"


def test_a_worker_change_starts_again_and_does_not_count_the_unknown_interval():
    run = Run(web=3)
    run.send("web", 10, 10, 10)
    run.balancer.restart()
    result = run.send("web", 0, 0, 9)
    assert result["requests"] == 30
    assert result["worker_changes"] == 1
    assert result["pools"]["web"]["share"]["segments"] == 2
    assert any("worker changed" in note for note in result["notes"])
    assert run.send("web", 400, 400, 400)["verdict"] == "pass"


def test_a_new_worker_that_is_ahead_of_the_old_one_is_still_a_new_worker():
    run = Run(web=3)
    run.send("web", 10, 10, 10)
    run.balancer.restart()
    result = run.send("web", 500, 20, 20)
    assert (result["verdict"], result["requests"]) == ("inconclusive", 30)


def test_counters_that_go_backwards_start_again():
    run = Run(web=3)
    run.send("web", 10, 10, 10)
    run.balancer.send("web", -5, 50, 0)
    result = run.sample()
    assert result["requests"] == 30
    assert result["pools"]["web"]["share"]["segments"] == 2


def test_too_few_active_servers_fail_at_once():
    run = Run({"minimum_active_servers": 2}, web=3)
    for name in ("web1", "web2"):
        run.balancer.pools["web"][name]["status"] = "down"
    result = run.sample()
    assert result["verdict"] == "fail"
    assert result["reasons"] == ["pool web has 1 active servers, wanted at least 2"]


def test_errors_beyond_the_budget_fail():
    run = Run(web=3)
    for _ in range(5):
        result = run.send("web", 20, 20, 20, errors=6)
    assert result["verdict"] == "fail"
    assert "of pool web failed" in result["reasons"][0]


def test_a_burst_of_errors_fails_even_after_a_long_good_past():
    run = Run(web=3)
    run.send("web", 100_000, 100_000, 100_000)
    result = run.send("web", 10, 10, 10, errors=15)
    assert result["verdict"] == "fail"
    assert "15 errors in one interval with 30 requests" in result["reasons"][0]


def test_errors_without_a_single_request_are_a_burst():
    run = Run(web=3)
    assert run.send("web", 0, 0, 0, errors=12)["verdict"] == "fail"


def test_silence_everywhere_is_no_data():
    run = Run(web=3)
    result = run.sample()
    assert result["verdict"] == "no_data"
    assert result["reasons"]


def test_an_idle_optional_pool_is_reported_and_does_not_block():
    run = Run(web=3, api=2)
    result = run.send("web", 400, 400, 400)
    assert result["verdict"] == "pass"
    assert result["pools"]["api"]["verdict"] == "no_data"
    assert "pool api was sent no request" in result["notes"]


def test_a_required_pool_without_requests_is_no_data():
    run = Run({"pools": {"api": {"required": True}}}, web=3, api=2)
    result = run.send("web", 400, 400, 400)
    assert result["verdict"] == "no_data"
    assert result["reasons"] == ["pool api was sent no request"]


def test_a_required_pool_that_the_balancer_does_not_have_is_no_data():
    run = Run({"pools": {"shop": {"required": True}}}, web=3)
    result = run.send("web", 400, 400, 400)
    assert result["verdict"] == "no_data"
    assert "pool shop is required" in result["reasons"][0]


def test_a_nearly_idle_optional_pool_does_not_block_but_can_fail():
    run = Run(web=3, api=3)
    run.balancer.send("api", 2, 2, 1)
    assert run.send("web", 400, 400, 400)["verdict"] == "pass"
    result = run.send("api", 40, 0, 0)
    assert result["verdict"] == "fail"
    assert all("api" in reason for reason in result["reasons"])


def test_an_optional_pool_with_enough_requests_blocks_until_it_is_judged():
    run = Run(web=3, api=3)
    run.balancer.send("api", 70, 70, 70)
    assert run.send("web", 400, 400, 400)["verdict"] == "inconclusive"


def test_a_pool_that_is_judged_by_requests_only_may_be_uneven():
    run = Run({"pools": {"web": {"judged": "requests_only"}}}, web=3)
    result = run.send("web", 900, 50, 0)
    assert result["verdict"] == "pass"
    row = result["pools"]["web"]["servers"]["web1"]
    assert row["share"] == pytest.approx(900 / 950)
    assert row["intended"] == pytest.approx(1 / 3)


def test_a_server_that_was_taken_away_keeps_its_requests_and_has_no_share():
    run = Run(web=3)
    run.send("web", 50, 50, 50)
    del run.balancer.pools["web"]["web3"]
    run.sample()
    result = run.send("web", 300, 300)
    assert result["verdict"] == "pass"
    row = result["pools"]["web"]["servers"]["web3"]
    assert (row["requests"], row["segment_requests"], row["intended"]) == (50, 0, 0.0)


def test_connections_can_be_the_unit_that_is_counted():
    run = Run({"pools": {"web": {"unit": "connections"}}}, web=3)
    run.balancer.send("web", 900, 0, 0)
    for row in run.balancer.pools["web"].values():
        row["connections"] += 400
    result = run.sample()
    assert result["verdict"] == "pass"
    assert result["pools"]["web"]["unit"] == "connections"


def test_alpha_is_spent_over_the_pools_and_never_exceeded_by_late_ones():
    run = Run(a=2, b=2, c=2)
    for late in ("d", "e", "f"):
        run.balancer.pools[late] = {"x": Balancer.server(), "y": Balancer.server()}
        run.sample()
    spent = sum(each["pass_alpha"] for each in run.watch.state()["pools"].values())
    assert len(run.watch.state()["pools"]) == 6
    assert spent <= 0.01


def test_hosts_that_are_watched_together_share_the_alpha_of_a_fail_and_each_keeps_that_of_a_pass():
    one, many = Run(web=3), Run({"watched_hosts": 50}, web=3)
    alone, shared = (run.send("web", 120, 120, 120)["pools"]["web"] for run in (one, many))
    assert (alone["verdict"], shared["verdict"]) == ("pass", "pass")
    assert shared["servers"] == alone["servers"]
    for key in ("share", "error_budget"):
        assert shared[key]["alpha"] == pytest.approx(alone[key]["alpha"] / 50)
    assert shared["share"]["pass_alpha"] == alone["share"]["pass_alpha"]


def test_one_host_of_many_needs_more_evidence_for_a_fail_than_one_alone():
    def requests_to_fail(policy):
        run, sent = Run(policy, web=3), 0
        while run.watch.verdict() != "fail":
            run.send("web", 5, 1, 1)
            sent += 7
        return sent

    alone, shared = requests_to_fail({}), requests_to_fail({"watched_hosts": 1000})
    assert alone < shared < 5 * alone


def test_a_watch_that_was_saved_and_resumed_goes_on_as_if_nothing_had_happened():
    run = Run({"pools": {"api": {"judged": "requests_only"}}}, web=3, api=2)
    run.send("web", 20, 21, 19, errors=1)
    resumed = HostWatch.from_state(json.loads(json.dumps(run.watch.state())))
    assert resumed.result() == run.watch.result()
    run.balancer.pools["web"]["web2"]["status"] = "draining"
    for counts in ((10, 5, 10), (200, 3, 200)):
        run.balancer.send("web", *counts)
        now = run.balancer.seen()
        resumed.sample(run.last, now)
        run.watch.sample(run.last, now)
        run.last = now
        assert resumed.result() == run.watch.result()


def test_the_verdict_alone_is_the_verdict_of_the_result():
    run = Run(web=3)
    for counts in ((0, 0, 0), (5, 5, 5), (200, 200, 200), (200, 0, 0)):
        result = run.send("web", *counts)
        assert run.watch.verdict() == result["verdict"]
    assert result["verdict"] == "fail"


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"alpha": 0}, ["alpha"]),
        ({"alpha": "small"}, ["alpha"]),
        ({"tolerances": 0.3}, ["tolerances: unknown key"]),
        ({"minimum_requests": 1.5}, ["minimum_requests: wanted a whole number"]),
        ({"default_required": "yes"}, ["default_required: wanted true or false"]),
        ({"pools": []}, ["pools: wanted an object"]),
        ({"pools": {"web": {"judged": "no"}}}, ["pools.web.judged: wanted share or requests_only"]),
        ({"pools": {"web": {"colour": 1}}}, ["pools.web.colour: unknown key"]),
        ({"alpha": 2, "burst_errors": -1}, ["alpha", "burst_errors"]),
    ],
)
def test_refuses_a_policy_and_names_every_fault(policy, words):
    with pytest.raises(ValueError, match="policy") as caught:
        HostWatch(policy)
    for word in words:
        assert word in str(caught.value)


def test_refuses_an_observation_that_lacks_a_field():
    run = Run(web=3)
    del run.balancer.pools["web"]["web1"]["weight"]
    with pytest.raises(ValueError, match="weight"):
        run.sample()


@pytest.mark.parametrize("state", [{}, {"state_version": 1}, None])
def test_refuses_a_damaged_state(state):
    with pytest.raises(ValueError, match="state"):
        HostWatch.from_state(state)


def test_the_worker_of_before_the_change_fails_the_host_and_stays_a_fault_when_resumed():
    balancer = Balancer(web=3)
    former = balancer.seen()
    watch = HostWatch({}, former)
    watch.sample(None, former)
    again = HostWatch.from_state(json.loads(json.dumps(watch.state())))
    assert again.verdict() == "fail"
    assert "worker 100" in again.result()["reasons"][0]
    balancer.restart()
    fresh = HostWatch({}, former)
    fresh.sample(None, balancer.seen())
    assert fresh.verdict() != "fail"


def test_a_server_that_falls_silent_later_fails_by_count_alone():
    run = Run({"alpha": 1e-12, "tolerance": 100.0}, web=10)
    for _ in range(20):
        run.send("web", *[60] * 10)
    for _ in range(2):
        assert run.send("web", 0, *[19] * 9)["verdict"] != "fail"
    result = run.send("web", 0, *[19] * 9)
    assert "server web1 of pool web was sent nothing" in result["reasons"][0]


def test_where_clients_are_assigned_clients_are_judged_and_requests_have_the_errors():
    run = Run({"pools": {"web": {"unit": "clients"}}}, web=3)
    for rows in (run.balancer.pools["web"], run.last["pools"]["web"]["servers"]):
        for row in rows.values():
            row["clients"] = 0
    for _ in range(10):
        for row in run.balancer.pools["web"].values():
            row["clients"] += 50
        result = run.send("web", 5000, 100, 100, errors=1)
    assert result["verdict"] == "pass"
    assert result["requests"] == 52_000
    assert result["pools"]["web"]["share"]["requests"] == 1500


def test_a_state_of_an_older_shape_is_refused():
    state = HostWatch({}).state()
    with pytest.raises(ValueError, match="state_version 6"):
        HostWatch.from_state({**state, "state_version": 1})
