"""The table counts what happened, and what was not looked at is never counted as well."""

import pytest
from evenkeel_proof.commands import faults
from evenkeel_proof.fault_injection.tally import Stranded, Tally, demand, rows


@pytest.fixture
def tally():
    return Tally(say=lambda line: None)


def ended(tally, wrong=None, seconds=None):
    with tally.fault("lease", "network cut") as note:
        note.outcome, note.seconds = "went back", seconds
        if wrong:
            raise wrong


def test_an_outcome_is_what_the_fault_itself_noted(tally):
    ended(tally, seconds=1.5)
    assert tally.report({})["outcomes"] == {"went back": 1}
    assert tally.report({})["slowest_revert_seconds"] == 1.5


@pytest.mark.parametrize("wrong", [Stranded("two releases"), OSError("podman is gone")])
def test_whatever_goes_wrong_while_a_host_is_looked_at_counts_as_stranded(tally, wrong):
    ended(tally)
    ended(tally, wrong)
    report = tally.report({})
    assert (report["injected"], report["stranded"]) == (2, 1)
    assert str(wrong) in tally.stranded[0].detail


def test_a_demand_that_holds_says_nothing(tally):
    demand("web1", "nobody answers")
    with pytest.raises(Stranded, match="nobody answers"):
        demand("", "nobody answers")


def test_the_table_shows_every_figure_of_the_report(tally):
    tally.points = 40
    tally.traffic = {"requests": 900, "lost": 2, "reloads": 8, "retried": 3, "drained": 0}
    ended(tally, seconds=2.25)
    table = dict(rows(tally.report({})))
    assert table["fault points found"] == "40" and table["faults injected"] == "1"
    assert table["requests"] == "900" and table["requests lost"] == "2"
    assert table["slowest revert, s"] == "2.25" and table["stranded hosts"] == "0"


@pytest.mark.parametrize(
    ("wrong", "lost", "wanted"),
    [(None, 0, 0), (Stranded("no answer"), 0, 1), (None, 1, 1)],
)
def test_the_command_ends_with_0_only_when_nobody_is_stranded_and_nothing_lost(
    monkeypatch, capsys, wrong, lost, wanted
):
    def part(host, tally, fast):
        ended(tally, wrong)
        tally.traffic = {"requests": 9, "lost": lost, "reloads": 1, "retried": 0, "drained": 0}

    monkeypatch.setattr(faults, "PARTS", {"traffic": part})
    monkeypatch.setattr(faults, "bring_up", lambda kind: None)
    monkeypatch.setattr(faults.lab, "stop", lambda: None)
    monkeypatch.setenv("EVENKEEL_LAB", "unit")
    assert faults.main(["--fast"]) == wanted
    assert "stranded hosts" in capsys.readouterr().out
