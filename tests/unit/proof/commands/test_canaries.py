"""Claims about scripts/canaries: its changes are what it says, and its table tells the truth."""

import json
import re
import subprocess

import pytest
from evenkeel_proof.commands import canaries
from evenkeel_proof.commands.canary_changes import FAST, FAULTY, HARMLESS, intent
from evenkeel_proof.commands.canary_runs import Runs, go

from evenkeel.change.bundle import render_fleet
from evenkeel.change.declarations import Declared
from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT
from evenkeel.intent import parse_intent
from evenkeel.terminal import plain
from evenkeel.verbs.host_facts import Host
from evenkeel.verbs.render import Request, render

ROLE = ROOT / "roles" / "balancer_haproxy"
EVERY = (*FAULTY, *HARMLESS)


def edited(edit):
    value = intent()
    edit.edit(value)
    return re.sub(r"\{\{ lab\.web\.web(\d) \}\}", r"10.0.0.\1", json.dumps(value))


def test_there_are_ten_faulty_changes_and_twenty_harmless_ones_and_all_differ():
    assert (len(FAULTY), len(HARMLESS)) == (10, 20)
    assert len({edited(edit) for edit in EVERY} | {json.dumps(intent())}) == 31
    assert len({edit.name for edit in EVERY}) == 30
    assert set(FAST) <= {edit.name for edit in EVERY}


@pytest.mark.parametrize("edit", EVERY, ids=lambda edit: edit.name)
def test_every_change_is_valid_by_itself(edit):
    parse_intent(json.loads(edited(edit)))


@pytest.mark.parametrize("edit", EVERY, ids=lambda edit: edit.name)
def test_no_rule_of_render_stops_a_change_that_the_canary_is_for(edit, tmp_path):
    before = json.loads(re.sub(r"\{\{ lab\.web\.web(\d) \}\}", r"10.0.0.\1", json.dumps(intent())))
    live = render_fleet({"lb1": before}, role_dir=ROLE, fleet=("lb1",)).files["lb1"]
    request = Request(
        folder=ChangeFolder(tmp_path / edit.name),
        author="ann",
        title=edit.words,
        balancer_kind="haproxy",
        role_dir=ROLE,
        fleet=("lb1",),
        declared=Declared(),
    )
    render(request, {"lb1": Host(json.loads(edited(edit)), live, None)}, write=True)


def row(name, *, as_wanted=True, touched=None):
    seen = {"verdict": "fail", "by": "the host", "seconds": 1.04, "requests": 99}
    more = {} if touched is None else {"hosts_touched": touched}
    return {"name": name, "what": "", "as_wanted": as_wanted, "reasons": [], **seen, **more}


def test_the_table_names_what_did_not_go_as_it_should():
    value = {
        "faulty": [row("nat", touched=0), row("firewall", as_wanted=False, touched=2)],
        "harmless": [row("weight", as_wanted=False)],
        "seconds": 7,
        "rate": 150.0,
    }
    text = plain(*canaries.drawn(value))
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["nat"][1:] == ["fail", "the", "host", "1.0", "99", "0"]
    assert lines["firewall"][-1] == "2"
    assert lines["weight"][-2:] == ["NOT", "CONFIRMED"]
    assert "not as wanted: firewall, weight" in text


class Broken:
    """Runs whose second deploy does not end in time."""

    def __init__(self):
        self.said = []

    def render(self, edit):
        pass

    def rehearse(self, edit):
        return (10, "refused") if edit is EVERY[0] else (0, "")

    rehearsed = Runs.rehearsed

    def say(self, line):
        self.said.append(line)

    def deploy(self, edit):
        if edit is EVERY[2]:
            raise subprocess.TimeoutExpired("podman", 60)
        return row(edit.name)


def test_a_run_that_breaks_tells_what_it_had_and_calls_the_rest_not_as_wanted():
    runs = Broken()
    rows = go(runs, EVERY[:4], runs.deploy)
    assert [one["name"] for one in rows] == [edit.name for edit in EVERY[:4]]
    assert [one["as_wanted"] for one in rows] == [False, True, False, False]
    assert rows[0]["by"] == "staging"
    assert "the run broke" in runs.said[-1]


def test_an_unknown_change_is_refused():
    with pytest.raises(SystemExit):
        canaries.main(["--only", "nothing"])
