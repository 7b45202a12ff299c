"""Claims about the forms of the rehearsal."""

import random

import pytest

from evenkeel.judge.fixed import clients_to_judge, diverse_share, exact_share

THREE = {"web1": 100, "web2": 100, "web3": 100}


def test_exact_round_robin_passes_within_two_requests():
    assert exact_share({"web1": 101, "web2": 99, "web3": 100}, THREE)["verdict"] == "pass"
    assert exact_share({"web1": 102, "web2": 100, "web3": 98}, THREE)["verdict"] == "pass"


def test_exact_round_robin_fails_beyond_its_slack_and_names_the_server():
    result = exact_share({"web1": 103, "web2": 100, "web3": 97}, THREE, pool="web")
    assert result["verdict"] == "fail"
    assert "server web1 has 34.3 % of pool web, wanted 32.7 to 34.0 %" in result["reasons"]
    assert "server web3 has 32.3 % of pool web, wanted 32.7 to 34.0 %" in result["reasons"]


def test_a_narrow_band_is_told_with_the_decimals_that_it_needs():
    result = exact_share({"web1": 10_005, "web2": 9_997, "web3": 9_998}, THREE)
    assert result["reasons"][0] == (
        "server web1 has 33.350 % of the requests, wanted 33.327 to 33.340 %"
    )


def test_unequal_weights_are_allowed_one_request_more():
    weights = {"web1": 50, "web2": 25, "web3": 25}
    assert exact_share({"web1": 203, "web2": 98, "web3": 99}, weights)["verdict"] == "pass"
    assert exact_share({"web1": 204, "web2": 98, "web3": 98}, weights)["verdict"] == "fail"


def test_the_incident_fails_in_the_rehearsal():
    result = exact_share({"web1": 294, "web2": 3, "web3": 3}, THREE, pool="web")
    assert result["verdict"] == "fail"
    assert result["servers"]["web1"]["share"] == pytest.approx(0.98)


@pytest.mark.parametrize("rule", [exact_share, diverse_share])
def test_no_request_is_no_data(rule):
    result = rule({}, THREE)
    assert result["verdict"] == "no_data"
    assert result["requests"] == 0


@pytest.mark.parametrize("rule", [exact_share, diverse_share])
def test_a_server_without_a_share_must_get_nothing(rule):
    weights = {"web1": 1, "web2": 1, "web3": 0}
    assert rule({"web1": 300, "web2": 300}, weights)["verdict"] == "pass"
    result = rule({"web1": 300, "web2": 300, "web3": 1}, weights)
    assert result["verdict"] == "fail"
    assert "web3" in result["reasons"][0]


@pytest.mark.parametrize("rule", [exact_share, diverse_share])
def test_all_traffic_on_a_server_without_a_share_fails(rule):
    result = rule({"web3": 40}, {"web1": 1, "web2": 1, "web3": 0})
    assert result["verdict"] == "fail"
    assert result["servers"]["web3"]["share"] == 1.0


@pytest.mark.parametrize("rule", [exact_share, diverse_share])
def test_refuses_a_server_that_is_not_in_the_pool(rule):
    with pytest.raises(ValueError, match="web9"):
        rule({"web9": 1}, THREE)


@pytest.mark.parametrize("servers", [2, 3, 10, 40])
def test_random_assignment_of_enough_clients_hardly_ever_fails(servers):
    weights = {f"web{n}": 1 for n in range(servers)}
    clients = clients_to_judge(weights)
    draw, verdicts = random.Random(servers), []
    for _ in range(60):
        chosen = draw.choices(list(weights), k=clients)
        verdicts.append(
            diverse_share({name: chosen.count(name) for name in weights}, weights)["verdict"]
        )
    assert verdicts.count("pass") == 60


def test_the_measured_shares_of_a_hash_with_default_weights_fail_a_narrow_band():
    weights = {f"web{n}": 1 for n in range(5)}
    counts = {"web0": 1410, "web1": 1800, "web2": 2000, "web3": 2300, "web4": 2490}
    assert diverse_share(counts, weights, 0.15)["verdict"] == "fail"
    assert diverse_share(counts, weights, 0.3)["verdict"] == "pass"


def test_one_client_says_nothing_about_a_hash_but_three_hundred_on_one_server_do():
    assert diverse_share({"web1": 1}, THREE)["verdict"] == "inconclusive"
    assert diverse_share({"web1": 300}, THREE)["verdict"] == "fail"


def test_too_few_clients_are_inconclusive_and_the_reason_says_how_many_are_wanted():
    result = diverse_share({"web1": 20, "web2": 21, "web3": 19}, THREE, pool="api")
    assert result["verdict"] == "inconclusive"
    assert str(clients_to_judge(THREE)) in result["reasons"][0]
