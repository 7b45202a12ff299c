import argparse
from pathlib import Path

import pytest
from evenkeel_proof.commands import bench, bench_alone
from evenkeel_proof.commands.bench_lab import MARK, cold_connections, marked

from evenkeel.intent.parse import parse_intent
from evenkeel.terminal import plain

OF = {"cores": 2, "memory_gib": 4.0, "hosts": 10}
SECONDS = {
    "deploy": [2.0, 4.0, 3.0],
    "ssh_deploy": [1.0, 1.0, 1.0],
    "rollback": [6.0, 2.0, 2.0],
    "ssh_rollback": [2.0, 1.0, 1.0],
    "conventional": [20.0, 20.0, 30.0],
    "conventional_least": [10.0, 10.0, 10.0],
    "validate": [46.0],
    "validate_200_servers": [90.0],
}


def test_a_ratio_is_the_median_of_runs_side_by_side_not_the_ratio_of_medians() -> None:
    seconds = {"a": [10.0, 1.0, 1.0], "b": [10.0, 0.5, 1.0]}
    assert bench.figure_of(seconds, "a", "b") == 1.0
    seconds = {"a": [8.0, 1.0, 3.0], "b": [4.0, 1.0, 1.0]}
    assert bench.figure_of(seconds, "a", "b") == 2.0


def test_the_json_has_every_figure_and_names_the_targets_that_were_missed() -> None:
    value = bench.report(SECONDS, OF)
    assert value["deploy_over_ssh"] == 3.0
    assert value["rollback_over_ssh"] == 2.0
    assert value["conventional_over_deploy"] == 10.0
    assert value["validate_seconds"] == 46.0
    assert value["validate_200_servers_seconds"] == 90.0
    assert value["render_10000_servers_seconds"] is None
    assert value["render_100_hosts_seconds"] is None
    assert value["missed"] == ["validate_seconds"]
    assert value["raw"]["deploy"] == 3.0 and value["runs"]["deploy"] == [2.0, 4.0, 3.0]


def test_the_table_says_on_what_it_was_measured_and_what_was_missed() -> None:
    lines = plain(*bench.drawn(bench.report(SECONDS, OF))).splitlines()
    assert lines[1] == "10 hosts on one machine of 2 cores, 4.0 GiB"
    rows = {line.split("  ")[0]: line.split() for line in lines if "  " in line}
    assert rows["deploy / bare ssh"][-4:] == ["3.00", "<=", "3", "met"]
    assert rows["validate.yml, s"][-4:] == ["46.00", "<=", "45", "missed"]


@pytest.mark.parametrize(
    ("figure", "target", "met"),
    [(3.0, "<= 3", True), (3.01, "<= 3", False), (7.0, ">= 7", True), (6.9, ">= 7", False)],
)
def test_a_target_is_met_up_to_its_limit(figure: float, target: str, met: bool) -> None:
    assert bench.is_met(figure, target) is met


@pytest.mark.parametrize("wrong", [["--hosts", "0"], ["--runs", "x"], ["--only", "nothing"]])
def test_wrong_arguments_end_with_the_code_for_usage(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_every_figure_and_every_timed_thing_has_a_name_to_print() -> None:
    timed = {name for _, above, below, _ in bench.RESULTS.values() for name in (above, below)}
    assert timed - {""} == set(bench.TIMED) | set(bench.PER_SECOND)


def test_requests_a_second_have_a_table_of_their_own() -> None:
    rates = {"load_kept": [4100.0, 4000.0], "wrk_kept": [5000.0, 8000.0]}
    value = bench.report({**SECONDS, **rates}, OF)
    assert (value["load_over_wrk_kept"], value["load_over_wrk_new"]) == (0.66, None)
    lines = plain(*bench.drawn(value)).splitlines()
    (load,) = [line for line in lines if line.startswith("load client, kept connections")]
    assert load.split()[-3:] == ["4050", "4100", "4000"]
    assert bench.is_met(value["load_over_wrk_kept"], ">= 0.5")


def test_a_mark_is_on_every_answer_and_the_intent_stays_valid() -> None:
    intent = bench_alone.large_intent(2, 3)
    other = marked(intent, "run-1")
    assert f"{MARK} run-1" in other["listeners"][0]["extra"][0]
    assert "extra" not in intent["listeners"][0]
    parse_intent(other, where="lb1")


@pytest.mark.parametrize(("pools", "servers"), [(1, 10_000), (10, 10)])
def test_the_large_intents_have_as_many_servers_as_they_say(pools: int, servers: int) -> None:
    intent = bench_alone.large_intent(pools, servers)
    assert [len(pool["servers"]) for pool in intent["pools"]] == [servers] * pools
    addresses = {s["address"] for pool in intent["pools"] for s in pool["servers"]}
    assert len(addresses) == pools * servers


def test_the_folder_of_control_sockets_is_empty_at_first_and_gone_at_the_end() -> None:
    with cold_connections() as folder:
        assert list(folder.iterdir()) == []
        (folder / "left-behind").touch()
    assert not folder.exists()


def test_the_bench_has_a_lab_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []

    def start(hosts: int, *, fresh: bool) -> None:
        seen.append((bench.lab_name(), hosts, fresh))
        raise KeyboardInterrupt

    monkeypatch.setenv("EVENKEEL_LAB", "someone-elses")
    monkeypatch.setattr(bench.lab, "start", start)
    monkeypatch.setattr(bench.lab, "stop", lambda: seen.append(bench.lab_name()))
    with pytest.raises(KeyboardInterrupt):
        bench.main(["--hosts", "4", "--only", "validate"])
    assert seen == [("someone-elses-bench", 4, True), "someone-elses-bench"]


def test_a_count_below_one_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        bench._at_least_one("-1")
