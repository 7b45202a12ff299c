import pytest
from unit.verbs.tasks import fleet

from evenkeel.errors import Refused
from evenkeel.records import Record, read_record, write_record
from evenkeel.verbs.fleet import status_table

HOSTS = ["lb1", "lb2", "lb3"]
BACK = {"outcome": "rolled back", "from": "b" * 64, "to": "a" * 64}
REVERTED = {"outcome": "reverted", "from": "b" * 64, "to": "a" * 64}
STAYED = {"outcome": "untouched"}
CONFIRMED = {"generations": [{"change": "second", "confirmed": "2026-01-01"}]}


def rolled_back(changes, answers, undo="second", to=""):
    given = {"undo": undo, "to": to, "changes_dir": str(changes)}
    return fleet("rollback_outcome", HOSTS, "evenkeel_went", answers, **given)


def choose_rollback(answers, undo, to):
    chosen = fleet("choose_rollback", HOSTS, "evenkeel_live", answers, undo=undo, to=to)
    assert not chosen["changed"]
    return chosen["undo"]


def written(changes):
    (path,) = changes.glob("rollback-*/outcome.json")
    return read_record(path, kind="rollback", next_step="").body


def test_a_rollback_without_a_name_undoes_the_last_change():
    assert choose_rollback({"lb1": CONFIRMED}, "", "") == "second"


@pytest.mark.parametrize(("undo", "to"), [("first", ""), ("", "friday")])
def test_a_rollback_with_a_name_asks_no_host_what_to_undo(undo, to):
    assert choose_rollback({}, undo, to) == undo


def test_a_host_that_went_back_is_reverted_whatever_it_went_back_from(tmp_path):
    result = rolled_back(tmp_path, {"lb1": BACK, "lb2": REVERTED, "lb3": STAYED})
    outcomes = {"lb1": "reverted", "lb2": "reverted", "lb3": "untouched"}
    assert written(tmp_path)["hosts"] == outcomes
    assert result["changed"]
    assert result["evenkeel"]["exit_code"] == 0


def test_the_record_of_a_rollback_names_the_outcome_that_it_undid(tmp_path):
    outcome = Record("outcome", "second", "d" * 64, None, "", "", {}, {})
    sha256 = write_record(tmp_path / "second" / "outcome.json", outcome)
    rolled_back(tmp_path, {"lb1": BACK, "lb2": BACK, "lb3": BACK})
    (path,) = tmp_path.glob("rollback-*/outcome.json")
    record = read_record(path, kind="rollback", next_step="")
    assert (record.previous, record.digest) == (sha256, "d" * 64)


@pytest.mark.parametrize("undo", ["gone", "../second", "altered"])
def test_a_rollback_works_without_the_record_of_what_it_undoes(tmp_path, undo):
    (tmp_path / "altered").mkdir()
    (tmp_path / "altered" / "outcome.json").write_text("{}")
    rolled_back(tmp_path, dict.fromkeys(HOSTS, BACK), undo=undo)
    assert written(tmp_path)["undo"] == undo


def test_a_host_without_an_answer_failed_and_the_next_command_names_what_is_undone(tmp_path):
    result = rolled_back(tmp_path, {"lb1": BACK, "lb3": BACK})
    assert written(tmp_path)["hosts"]["lb2"] == "failed"
    assert result["evenkeel"]["exit_code"] == 12
    assert "scripts/rollback -e undo=second --limit lb2" in result["evenkeel"]["recap"]


def test_the_next_command_of_a_rollback_to_a_snapshot_names_the_snapshot(tmp_path):
    result = rolled_back(tmp_path, {"lb1": BACK}, undo="", to="friday")
    assert "scripts/rollback -e to=friday --limit lb2,lb3" in result["evenkeel"]["recap"]


def test_a_rollback_that_no_host_answered_touched_nothing(tmp_path):
    assert rolled_back(tmp_path, {})["evenkeel"]["exit_code"] == 10


def test_a_rollback_that_found_nothing_to_undo_changed_nothing(tmp_path):
    result = rolled_back(tmp_path, dict.fromkeys(HOSTS, STAYED))
    assert (result["changed"], result["evenkeel"]["exit_code"]) == (False, 0)


def test_there_must_be_a_change_to_undo():
    with pytest.raises(Refused, match="no change to undo"):
        choose_rollback({"lb1": {"generations": []}}, "", "")


def test_the_table_says_what_is_wrong_with_a_host():
    live = {"release": "a" * 64, "change": "first", "confirmed": True}
    good = {"live": live, "running": {"agrees": True}}
    table = status_table(
        ["good", "silent", "edited", "waiting", "stale"],
        {
            "good": good,
            "edited": good | {"drift": True},
            "waiting": good | {"pending": {"remaining_seconds": 7.4}},
            "stale": good | {"running": {"agrees": False}},
        },
    )
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert rows["good"].split()[1:] == ["a" * 12, "first", "confirmed", "as", "rendered", "loaded"]
    assert "no answer" in rows["silent"]
    assert "drifted" in rows["edited"]
    assert "unconfirmed, 7 s left" in rows["waiting"]
    assert "NOT LOADED" in rows["stale"]


def test_drained_servers_stand_below_the_table_with_who_and_why():
    drains = [
        {
            "pool": "web",
            "server": "web2",
            "owner": "ann",
            "reason": "disk full\x1b[2J",
            "since": "2026-12-01T10:00:00.000Z",
            "until": "2026-12-01T11:30:00.000Z",
            "in_force": False,
        },
        {
            "pool": "web",
            "server": "web3",
            "owner": "",
            "reason": "",
            "since": None,
            "until": None,
            "in_force": True,
        },
    ]
    shown = status_table(HOSTS, {"lb1": {"drains": []}, "lb2": {"drains": drains}})
    _, below = shown.split("\n\ndrained servers\n")
    _, first, second = below.splitlines()
    assert first.split()[:3] == ["lb2", "web/web2", "ann"]
    assert "2026-12-01T11:30Z" in first
    assert "NOT IN FORCE" in first
    assert "disk full" in first
    assert "\x1b" not in shown
    assert second.split()[:3] == ["lb2", "web/web3", "-"]
    assert "no end" in second
    assert "by hand" in second


def test_a_fleet_without_drains_has_no_list_of_them():
    assert "drained" not in status_table(HOSTS, {"lb1": {"drains": []}, "lb2": {}})
