"""Claims about scripts/judge_bench: every part prints, and the same seeds give the same figures."""

import json

import pytest
from evenkeel_proof.commands import judge_bench


def test_a_part_is_printed_and_written_and_comes_out_the_same_again(tmp_path, capsys):
    values = []
    for name in ("one.json", "two.json"):
        arguments = ["--only", "incident", "--runs", "20", "--jobs", "1"]
        assert judge_bench.main([*arguments, "--json", str(tmp_path / name)]) == 0
        values.append(json.loads((tmp_path / name).read_text()))
    assert values[0]["incidents"] == values[1]["incidents"]
    assert values[0]["incident_requests"] < 40
    assert "Requests to fail (at most 39)" in capsys.readouterr().out


def test_false_alarms_show_what_counting_requests_would_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judge_bench, "REQUESTS", 1500)
    file = tmp_path / "judge.json"
    judge_bench.main(["--only", "false_alarms", "--runs", "20", "--jobs", "1", "--json", str(file)])
    assert set(json.loads(file.read_text())["false_alarm_rates"].values()) == {0.0}
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    assert rows["round_robin"].split()[2] == "0.0"
    for kind in ("sticky", "keep_alive", "one_large_client"):
        assert rows[kind].split()[2] == "0.0"
        assert float(rows[kind].split()[6]) >= 10.0


@pytest.mark.parametrize(("under", "code"), [(0, 0), (1, 1)])
def test_a_figure_beyond_its_bound_ends_with_1_and_is_named(under, code, monkeypatch, capsys):
    monkeypatch.setitem(judge_bench.PARTS, "incident", lambda *_: {"incident_requests": 39 + under})
    assert judge_bench.main(["--only", "incident", "--jobs", "1"]) == code
    assert ("missed: incident_requests is 40" in capsys.readouterr().err) == bool(code)


def test_too_few_runs_are_refused():
    with pytest.raises(SystemExit):
        judge_bench.main(["--runs", "3"])
