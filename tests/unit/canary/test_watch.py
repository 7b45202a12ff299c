from dataclasses import replace

import pytest

from evenkeel.canary.watch import (
    CANARY,
    CARRIER,
    CONTROL,
    Watch,
    follow,
    progress_line,
    write_result,
)
from evenkeel.errors import Refused
from evenkeel.records import read_json
from evenkeel.remote import Answer


def make(tmp_path, role, host="lb1", bake=60, lease=30):
    return Watch(tmp_path, "c1", 1, host, role, ("lb1",), bake, lease, {"alpha": 0.01})


def observer(*verdicts, seen=None):
    answers = iter(verdicts)

    def observe(options, stdin):
        if seen is not None:
            seen.append(options)
        return Answer(0, {"ok": True, "verdict": next(answers), "requests": 1, "pools": {}})

    return observe


def clock(step):
    now = [0.0]

    def read():
        now[0] += step
        return now[0]

    return read


def test_a_canary_ends_its_watch_as_soon_as_it_passes(tmp_path):
    result = follow(make(tmp_path, CANARY), observer("inconclusive", "pass"), lambda line: None)
    assert result["result"]["verdict"] == "pass"


def test_a_canary_that_is_never_decided_ends_with_the_bake_time_and_is_not_a_pass(tmp_path):
    watch = make(tmp_path, CANARY, bake=10)
    result = follow(watch, observer(*["inconclusive"] * 20), lambda line: None, clock(3.0))
    assert result["result"]["verdict"] == "inconclusive"


def test_every_slice_of_a_host_that_carries_the_change_renews_its_lease(tmp_path):
    seen = []
    watch = make(tmp_path, CANARY, lease=30)
    follow(watch, observer("inconclusive", "pass", seen=seen), lambda line: None)
    assert [options["lease_seconds"] for options in seen] == [30, 30]
    assert [options["fresh"] for options in seen] == [True, False]


def test_a_slice_is_at_most_a_third_of_the_lease(tmp_path):
    assert make(tmp_path, CANARY, lease=6).slice_seconds == 2


def test_a_host_that_has_confirmed_the_change_is_judged_without_a_lease(tmp_path):
    seen = []
    write_result(make(tmp_path, CANARY), "observe", "ok", {"verdict": "pass"})
    watch = replace(make(tmp_path, CARRIER, host="lb2"), leased=False)
    follow(watch, observer("pass", seen=seen), lambda line: None)
    assert "lease_seconds" not in seen[0]
    assert seen[0]["judge"] is True


def test_every_slice_leaves_what_was_seen_for_whoever_watches_and_no_result(tmp_path):
    watch, live = make(tmp_path, CANARY), tmp_path / "canary" / "1" / "live" / "lb1.json"
    said = []

    def show(line):
        said.append(read_json(live, what="", next_step=""))
        assert len(said) == 2 or not watch.result_path("lb1").exists()

    follow(watch, observer("inconclusive", "pass"), show)
    assert [row["verdict"] for row in said] == ["inconclusive", "pass"]
    assert {row["lease_seconds"] for row in said} == {30}


def test_a_control_host_is_never_given_a_lease_or_a_judge(tmp_path):
    seen = []
    write_result(make(tmp_path, CANARY), "observe", "ok", {"verdict": "pass"})
    watch = make(tmp_path, CONTROL, host="lb2")
    follow(watch, observer("no_data", seen=seen), lambda line: None)
    assert "lease_seconds" not in seen[0]
    assert "judge" not in seen[0]


def test_a_carrier_watches_until_the_canaries_are_decided(tmp_path):
    seen = []
    carrier = make(tmp_path, CARRIER, host="lb2")
    verdicts = iter(["pass", "pass", "pass"])

    def observe(options, stdin):
        seen.append(options)
        if len(seen) == 2:
            write_result(make(tmp_path, CANARY), "observe", "ok", {"verdict": "pass"})
        return Answer(0, {"ok": True, "verdict": next(verdicts)})

    follow(carrier, observe, lambda line: None)
    assert len(seen) == 2


@pytest.mark.parametrize(("status", "verdict"), [("failed", None), ("ok", "fail")])
def test_a_canary_ends_its_watch_when_another_host_has_failed_the_stage(tmp_path, status, verdict):
    other = make(tmp_path, CONTROL, host="lb2")
    write_result(other, "observe", status, {"verdict": verdict})
    result = follow(make(tmp_path, CANARY), observer("inconclusive"), lambda line: None)
    assert result["result"]["verdict"] == "inconclusive"


def test_a_canary_goes_on_when_another_one_has_passed(tmp_path):
    write_result(make(tmp_path, CANARY, host="lb2"), "observe", "ok", {"verdict": "pass"})
    result = follow(make(tmp_path, CANARY), observer("inconclusive", "pass"), lambda line: None)
    assert result["result"]["verdict"] == "pass"


def test_a_host_that_refuses_to_be_observed_is_an_error_and_leaves_no_result(tmp_path):
    watch = make(tmp_path, CANARY)

    def observe(options, stdin):
        return Answer(10, {"ok": False, "error": {"what": "another change holds this host"}})

    with pytest.raises(Refused, match="another change"):
        follow(watch, observe, lambda line: None)
    assert not watch.result_path("lb1").exists()


def test_the_result_keeps_how_the_shares_moved_slice_by_slice(tmp_path):
    shares = iter([0.9, 0.5])
    verdicts = iter(["inconclusive", "pass"])

    def observe(options, stdin):
        servers = {"web1": {"share": next(shares)}}
        pools = {"web": {"requests": 10, "servers": servers}}
        return Answer(0, {"ok": True, "verdict": next(verdicts), "pools": pools})

    result = follow(make(tmp_path, CANARY), observe, lambda line: None)
    points = result["result"]["history"]
    assert [point["pools"]["web"]["servers"]["web1"] for point in points] == [0.9, 0.5]


def test_a_line_says_what_was_counted_and_how_many_requests_were_probes(tmp_path):
    servers = {"web1": {"share": 0.5}, "web2": {"share": 0.5}}
    pools = {
        "api": {"unit": "requests", "servers": servers},
        "web": {"unit": "clients", "servers": servers},
    }
    result = {"requests": 9, "verdict": "pass", "pools": pools, "probe": {"sent": 4}}
    assert progress_line(make(tmp_path, CANARY), result) == (
        "lb1 (canary): 9 requests  4 of them probes  api: web1 50% web2 50%  "
        "web (clients): web1 50% web2 50%  pass"
    )


def test_a_host_has_one_line_whatever_it_names_its_servers(tmp_path):
    odd = "web1\nnext: run this\x1b[2J"
    result = {"pools": {"app\n": {"servers": {odd: {"share": 0.5}}}}, "verdict": "pass\nlb2: fail"}
    assert progress_line(make(tmp_path, CANARY), result).isprintable()
