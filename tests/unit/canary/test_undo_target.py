import pytest

from evenkeel.canary.undo_target import change_to_undo
from evenkeel.errors import Refused


def confirmed(change, when):
    return {
        "generations": [{"change": None, "confirmed": "0"}, {"change": change, "confirmed": when}]
    }


def test_the_change_that_was_confirmed_last_on_any_host_is_undone():
    answers = {"lb1": confirmed("older", "2026-01-01"), "lb2": confirmed("newer", "2026-02-01")}
    assert change_to_undo(answers) == "newer"


def test_an_unconfirmed_change_goes_before_a_confirmed_one():
    answers = {
        "lb1": confirmed("old", "2026-02-01") | {"pending": {"change": "under-way"}},
        "lb2": confirmed("newer", "2026-03-01"),
    }
    assert change_to_undo(answers) == "under-way"


def test_a_fleet_that_was_never_changed_has_nothing_to_undo():
    with pytest.raises(Refused, match="no change to undo"):
        change_to_undo({"lb1": {"generations": [{"change": None, "confirmed": "0"}]}, "lb2": {}})


@pytest.mark.parametrize(
    "odd",
    [
        7,
        {"pending": 7},
        {"pending": {"change": "; rm -rf ~"}},
        {"pending": {"change": ["newer"]}},
        {"generations": {}},
        {"generations": [7]},
        {"generations": [{"change": "newest"}]},
    ],
)
def test_a_host_that_answers_what_no_program_of_ours_does_has_no_say(odd):
    assert change_to_undo({"lb1": confirmed("newer", "2026-02-01"), "lb2": odd}) == "newer"
