from datetime import UTC, datetime

import pytest

from evenkeel.change.windows import require_open
from evenkeel.errors import Problems, Refused

NOW = datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
FREEZE = {"from": "2026-12-20T00:00:00Z", "to": "2027-01-02T00:00:00Z", "reason": "year's end"}


def test_a_change_without_a_window_is_open_when_nothing_is_frozen():
    require_open({"change_id": "c"}, [], NOW)


def test_a_freeze_keeps_a_change_out_and_says_why():
    with pytest.raises(Refused, match="year's end"):
        require_open({"change_id": "c"}, [FREEZE], NOW)


def test_a_freeze_that_is_over_keeps_nothing_out():
    require_open({}, [FREEZE | {"to": "2026-12-24T12:00:00Z"}], NOW)


def test_a_change_before_its_window_is_refused():
    with pytest.raises(Refused, match="not due"):
        require_open({"not_before": "2026-12-24T12:00:01Z"}, [], NOW)


def test_a_change_after_its_window_is_refused():
    with pytest.raises(Refused, match="over"):
        require_open({"not_after": "2026-12-24T12:00:00Z"}, [], NOW)


@pytest.mark.parametrize("windows", [["x"], "x", 7, {"from": "x"}, [None], [[]]])
def test_freezes_that_are_no_list_of_windows_keep_everything_out(windows):
    with pytest.raises(Problems, match="freeze_windows: wanted a list of"):
        require_open({}, windows, NOW)


@pytest.mark.parametrize("text", ["tomorrow", "2026-12-24T12:00:00", None, 7])
def test_a_window_that_cannot_be_read_keeps_everything_out(text):
    with pytest.raises(Problems):
        require_open({}, [FREEZE | {"from": text}], NOW)
