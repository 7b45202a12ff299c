import json

import pytest
from unit.change.build import Sample, observed, result

from evenkeel.canary.plan import load
from evenkeel.canary.stage import judge, judge_results, refusal, require_previous
from evenkeel.errors import Inconclusive, Refused, RolledBack


@pytest.fixture
def change(tmp_path):
    made = Sample(tmp_path).rendered().rehearsed().approved_without_signature()
    return made.planned(sizes=(1, 2))


def judged(change, stage, *results):
    change.saw(stage, *results)
    return judge(change.folder, load(change.folder), stage)


def test_a_stage_passes_when_every_planned_host_passed(change):
    body = judged(change, 1, result("lb1"), result("lb2", "control"), result("lb3", "control"))
    assert (body["stage"], body["verdict"], body["reasons"]) == (1, "pass", [])
    assert list(body["hosts"]) == ["lb1"]
    assert list(body["controls"]) == ["lb2", "lb3"]
    assert body["pools"]["app"]["servers"]["web1"]["requests"] == 200


def test_a_planned_host_without_a_result_fails_the_stage_by_name(change):
    body = judged(change, 2, result("lb1", "carrier"), result("lb2"))
    assert body["verdict"] == "fail"
    assert body["reasons"] == ["lb3: it gave no result"]
    assert body["hosts"]["lb3"]["status"] == "missing"


def test_a_host_of_an_earlier_stage_that_fell_silent_fails_the_stage(change):
    body = judged(change, 2, result("lb2"), result("lb3"))
    assert body["verdict"] == "fail"
    assert body["reasons"] == ["lb1: it gave no result"]


def test_a_missing_control_host_does_not_fail_the_stage(change):
    assert judged(change, 1, result("lb1"))["verdict"] == "pass"


@pytest.mark.parametrize("verdict", ["fail", "no_data", "inconclusive"])
def test_one_host_that_did_not_pass_decides_with_its_reasons(change, verdict):
    bad = result("lb3", verdict=verdict, reasons=["server web1 of pool app has 0 %"])
    body = judged(change, 2, result("lb1", "carrier"), result("lb2"), bad)
    assert body["verdict"] == verdict
    assert "lb3: server web1 of pool app has 0 %" in body["reasons"]


def test_a_carrier_for_which_the_stage_was_too_short_does_not_hold_it_up(change):
    # Few requests, and not even: nothing that it saw proves its shares, or those of the sum.
    few = {"web1": 9, "web2": 2}
    carrier = result("lb1", "carrier", verdict="inconclusive", reasons=["too few"], counts=few)
    body = judged(change, 2, carrier, result("lb2"), result("lb3"))
    assert (body["verdict"], body["reasons"]) == ("pass", [])
    assert body["carriers"]["lb1"]["verdict"] == "inconclusive"


def test_a_carrier_that_was_asked_by_probes_alone_is_asked_by_nobody(change):
    answer = observed(verdict="inconclusive", reasons=["too few"], counts={"web1": 9, "web2": 2})
    carrier = result("lb1", "carrier", answer=answer | {"probe": {"sent": 11}})
    body = judged(change, 2, carrier, result("lb2"), result("lb3"))
    assert (body["verdict"], body["reasons"]) == ("inconclusive", ["lb1: too few"])


@pytest.mark.parametrize("verdict", ["fail", "no_data"])
def test_a_carrier_that_fails_or_that_nobody_asks_any_more_decides(change, verdict):
    carrier = result("lb1", "carrier", verdict=verdict, reasons=["see there"])
    body = judged(change, 2, carrier, result("lb2"), result("lb3"))
    assert body["verdict"] == verdict
    assert body["reasons"] == ["lb1: see there"]


@pytest.mark.parametrize("status", ["failed", "unreachable", None])
def test_a_verb_that_did_not_end_well_is_a_fail_even_with_a_good_verdict(change, status):
    body = judged(change, 1, result("lb1", status=status))
    assert body["verdict"] == "fail"


def test_a_host_that_went_back_by_itself_is_a_fail(change):
    body = judged(change, 1, result("lb1", reverted=True))
    assert body["verdict"] == "fail"
    assert body["reasons"] == ["lb1: it went back by itself"]


def test_a_refused_activation_is_told_in_the_hosts_own_words(change):
    answer = {"ok": False, "error": {"what": "The release does not load"}, "reverted": True}
    body = judged(change, 1, result("lb1", verb="activate", status="failed", answer=answer))
    assert body["reasons"] == ["lb1: The release does not load"]


@pytest.mark.parametrize("answer", [{}, {"verdict": "good"}, {"verdict": None}])
def test_an_answer_without_a_verdict_never_passes(change, answer):
    assert judged(change, 1, result("lb1", answer={"ok": True, **answer}))["verdict"] != "pass"


def test_balancers_that_agree_on_one_victim_fail_although_each_alone_passed(change):
    # Each host is 25 % under on web1: inside its own band, and too few requests to say more.
    counts = {f"web{n}": 130 for n in range(1, 9)} | {"web1": 80}
    hosts = [result("lb1", "carrier", counts=counts)]
    hosts += [result(host, counts=counts) for host in ("lb2", "lb3")]
    body = judged(change, 2, *hosts)
    assert all(row["verdict"] == "pass" for row in body["hosts"].values())
    assert body["pools"]["app"]["verdict"] != "pass"
    assert body["verdict"] != "pass"
    assert any("over all hosts" in reason or "share" in reason for reason in body["reasons"])


def test_the_sum_fails_a_pool_that_no_host_has_to_pass(change):
    answer = observed(counts={"web1": 900, "web2": 100})
    answer["pools"]["app"]["required"] = False
    hosts = [result("lb1", "carrier", answer=answer)]
    hosts += [result(host, answer=answer) for host in ("lb2", "lb3")]
    assert judged(change, 2, *hosts)["verdict"] == "fail"


def test_a_carrier_that_was_cut_short_does_not_unsettle_the_sum_of_those_that_passed(change):
    uneven = {"web1": 450, "web2": 150}
    carrier = result("lb1", "carrier", verdict="inconclusive", counts=uneven)
    body = judged(change, 2, carrier, result("lb2"), result("lb3"))
    assert body["pools"]["app"]["verdict"] == "inconclusive"
    assert body["verdict"] == "pass"


def test_the_fleets_sum_weighs_what_each_host_intends(change):
    # lb1 knows two servers, the others three: the sum is not even, and it is as intended.
    two = {"web1": 300, "web2": 300}
    three = {"web1": 200, "web2": 200, "web3": 200}
    body = judged(
        change,
        2,
        result("lb1", "carrier", counts=two),
        result("lb2", counts=three),
        result("lb3", counts=three),
    )
    assert body["verdict"] == "pass"
    assert body["pools"]["app"]["servers"]["web3"]["intended"] == pytest.approx(400 / 1800)


def test_more_errors_than_the_control_hosts_at_that_time_fail(change):
    counts = {"web1": 2000, "web2": 2000}
    body = judged(
        change,
        1,
        result("lb1", counts=counts, errors=200),
        result("lb2", "control", counts=counts),
        result("lb3", "control", counts=counts),
    )
    assert body["verdict"] == "fail"
    assert body["errors"]["canary_errors"] == 200
    assert body["errors"]["control_requests"] == 8000


def test_pools_without_a_share_and_without_traffic_do_not_disturb(change):
    answer = observed()
    answer["pools"]["by_first"] = answer["pools"]["app"] | {"share": None}
    idle = observed(counts={"web1": 0, "web2": 0})["pools"]["app"]
    answer["pools"]["idle"] = idle | {"verdict": "no_data", "required": False}
    hosts = [result("lb1", "carrier", answer=answer)]
    hosts += [result(host, answer=answer) for host in ("lb2", "lb3")]
    body = judged(change, 2, *hosts)
    assert body["verdict"] == "pass"
    assert "by_first" not in body["pools"]
    assert body["pools"]["idle"]["verdict"] == "no_data"


def test_a_pool_with_every_server_down_is_judged_without_a_traceback(change):
    answer = observed(counts={"web1": 0, "web2": 0}, verdict="fail", reasons=["no server"])
    for server in answer["pools"]["app"]["servers"].values():
        server.update(intended=0.0, low=0.0, high=0.0, status="down")
    assert judged(change, 1, result("lb1", answer=answer))["verdict"] == "fail"


def test_the_record_names_the_bytes_of_every_result(change):
    one = judged(change, 1, result("lb1"))["hosts"]["lb1"]["sha256"]
    other = judged(change, 1, result("lb1", seconds=13))["hosts"]["lb1"]["sha256"]
    assert one != other


@pytest.mark.parametrize("text", ["", "[]", '{"host":"lb9"}'])
def test_a_damaged_result_is_refused_by_name(change, text):
    path = change.folder.stage_results(1) / "lb1.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(Refused, match="result of lb1 in stage 1"):
        judge(change.folder, load(change.folder), 1)


PASSED = {"verdict": "pass", "hosts": {"lb1": {}}, "reasons": []}


def test_the_first_stage_needs_a_rehearsal(change):
    assert require_previous(change.folder, 1)
    (change.path / "staging.json").unlink()
    with pytest.raises(Refused, match=r"staging\.json is missing"):
        require_previous(change.folder, 1)


def test_a_stage_begins_on_the_passed_record_of_the_one_before(change):
    change.closed(1, PASSED)
    assert require_previous(change.folder, 2).canary[0].body["stage"] == 1


def test_a_stage_does_not_begin_without_the_record_of_the_one_before(change):
    with pytest.raises(Refused, match=r"1\.json is missing"):
        require_previous(change.folder, 2)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "no_data", None])
def test_a_stage_does_not_begin_after_one_that_did_not_pass(change, verdict):
    change.closed(1, PASSED | {"verdict": verdict})
    with pytest.raises(Refused, match="Nothing goes on from the record of stage 1") as caught:
        require_previous(change.folder, 2)
    assert "rollback.yml -e undo=" in caught.value.next_step


@pytest.mark.parametrize("hosts", [{}, {"lb9": {}}, {"lb1": {}, "lb9": {}}])
def test_a_stage_does_not_begin_when_a_host_of_the_one_before_is_unaccounted_for(change, hosts):
    change.closed(1, PASSED | {"hosts": hosts})
    with pytest.raises(Refused, match="wanted: hosts lb1"):
        require_previous(change.folder, 2)


def test_a_stage_does_not_begin_on_an_altered_record(change):
    change.closed(1, PASSED | {"verdict": "fail"})
    path = change.folder.stage_json(1)
    path.write_text(json.dumps(json.loads(path.read_text().replace('"fail"', '"pass"'))))
    with pytest.raises(Refused, match="altered"):
        require_previous(change.folder, 2)


def test_the_error_of_a_failed_stage_says_rolled_back_and_why(change):
    body = judge_results(load(change.folder).stage(1), {})
    error = refusal(change.folder, body)
    assert isinstance(error, RolledBack)
    assert "lb1: it gave no result" in str(error)


@pytest.mark.parametrize("verdict", ["inconclusive", "no_data"])
def test_the_error_of_an_undecided_stage_says_inconclusive(change, verdict):
    body = judged(change, 1, result("lb1", verdict=verdict))
    assert isinstance(refusal(change.folder, body), Inconclusive)
