import json
import os
from dataclasses import replace

import pytest
from unit.change.build import Sample, result

from evenkeel.canary.plan import load
from evenkeel.change import rollout
from evenkeel.errors import Refused
from evenkeel.records import canonical_json, write_record
from evenkeel.remote import Answer
from evenkeel.verbs import watch

POLICY = {
    "minimum_requests": 200,
    "pools": {
        "web": {"required": True, "minimum_requests": 300},
        "idle": {"required": False, "minimum_requests": 300},
    },
}


@pytest.fixture
def change(tmp_path):
    sample = Sample(tmp_path).rendered().planned((1, 2))
    groups = [{"hosts": list(sample.hosts), "forecast": {}, "policy": POLICY}]
    body = {"hosts": list(sample.hosts), "groups": groups}
    write_record(sample.folder.render_json, sample.record("render", None, body, 1))
    return sample


def stage(change, **more):
    return load(change.folder).stage(1).as_dict() | {"leased": ["lb1"]} | more


def look(change, observe, host="lb1", **more):
    return watch.watch_host(change.folder, stage(change, **more), host, observe, lambda line: None)


def left(change, host="lb1"):
    return json.loads((change.folder.stage_results(1) / f"{host}.json").read_text())


@pytest.mark.parametrize(("wanted", "binding"), [(500, 500), (100, 300)])
def test_the_stages_minimum_of_requests_binds_every_pool_that_a_canary_must_pass(
    change, wanted, binding
):
    policies = []

    def observe(options, policy):
        policies.append(json.loads(policy))
        return Answer(0, {"ok": True, "verdict": "pass"})

    look(change, observe, minimum_requests=wanted)
    (policy,) = policies
    assert policy["pools"]["web"]["minimum_requests"] == binding
    assert policy["pools"]["idle"]["minimum_requests"] == 300


def test_the_hosts_that_carry_the_change_share_one_risk_of_a_false_alarm(change):
    policies = []

    def observe(options, policy):
        policies.append(json.loads(policy))
        return Answer(0, {"ok": True, "verdict": "pass"})

    look(change, observe, hosts=["lb1", "lb2"], carriers=["lb3"])
    assert policies[0]["watched_hosts"] == 3


@pytest.mark.parametrize(("host", "probed"), [("lb1", True), ("lb2", False)])
def test_the_probe_that_was_approved_goes_to_the_host_with_the_change_and_to_no_control(
    change, host, probed
):
    probe = {"listener": "web", "path": "/", "host": "shop.example", "requests_per_second": 5}
    bound = rollout.load(change.folder)
    change.folder.write_json(rollout.FILE, replace(bound, canary_probe=probe).as_dict())
    policies = []

    def observe(options, policy):
        policies.append(json.loads(policy))
        change.folder.write_json("canary/1/lb1.json", result("lb1"))
        return Answer(0, {"ok": True, "verdict": "pass"})

    look(change, observe, host)
    assert policies[0].get("probe") == (probe if probed else None)


@pytest.mark.parametrize("host", ["lb1", "lb2"])
def test_a_host_that_falls_silent_leaves_a_failed_result_at_once(change, host):
    def observe(options, policy):
        raise ConnectionError("the host is gone\nand more")

    with pytest.raises(ConnectionError):
        look(change, observe, host)
    result = left(change, host)
    assert result["status"] == "failed"
    assert result["result"]["error"]["what"] == "the host is gone"


def test_a_worker_whose_controller_died_leaves_nothing_and_renews_nothing(change, monkeypatch):
    calls = []

    def observe(options, policy):
        calls.append(options)
        # The process that started this one is gone, and another has adopted it.
        monkeypatch.setattr(os, "getppid", lambda: 1)
        return Answer(0, {"ok": True, "verdict": "inconclusive"})

    with pytest.raises(SystemExit):
        look(change, observe)
    assert len(calls) == 1
    assert not (change.folder.stage_results(1) / "lb1.json").exists()


def test_a_canary_that_was_not_activated_is_not_watched(change):
    change.folder.write_json("canary/1/lb1.json", {"host": "lb1", "status": "failed"})
    before = canonical_json(left(change))
    assert look(change, None)["verdict"] == "fail"
    assert canonical_json(left(change)) == before


def test_a_host_without_a_policy_is_refused(change):
    with pytest.raises(Refused, match="no policy for lb9"):
        look(change, None, "lb9")
