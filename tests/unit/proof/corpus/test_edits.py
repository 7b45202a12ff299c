"""Edits find their place by name or number, and say so when there is none."""

import pytest
from evenkeel_proof.corpus.edits import checked, edit_intent, edit_text

from evenkeel.errors import UsageError

INTENT = {
    "pools": [
        {"name": "web", "servers": [{"name": "a", "weight": 100}, {"name": "b", "weight": 100}]},
        {"name": "api", "servers": [{"name": "c"}]},
    ],
    "listeners": [{"name": "www", "binds": [{"port": 80}]}],
}


def edited(*edits):
    return edit_intent(INTENT, edits, "here")


def test_a_value_is_set_at_a_place_that_is_named():
    found = edited({"set": "pools/web/servers/b/weight", "to": 1})
    assert found["pools"][0]["servers"][1] == {"name": "b", "weight": 1}


def test_an_item_without_a_name_is_found_by_its_number():
    assert edited({"set": "listeners/www/binds/0/port", "to": 81})["listeners"][0]["binds"] == [
        {"port": 81}
    ]


def test_parts_that_have_defaults_need_not_be_there():
    assert edited({"set": "timeouts/server_seconds", "to": 3})["timeouts"] == {"server_seconds": 3}
    assert edited({"insert": "extra/global", "value": "x"})["extra"] == {"global": ["x"]}


def test_an_item_is_deleted_and_another_put_in_front():
    found = edited({"delete": "pools/web"}, {"insert": "pools", "at": 0, "value": {"name": "new"}})
    assert [pool["name"] for pool in found["pools"]] == ["new", "api"]


def test_what_the_edits_start_from_stays_as_it_is():
    edited({"delete": "pools/web/servers/a"}, {"set": "pools/api/name", "to": "x"})
    assert INTENT["pools"][0]["servers"][0]["name"] == "a"
    assert INTENT["pools"][1]["name"] == "api"


@pytest.mark.parametrize(
    "edit",
    [
        {"set": "pools/nobody/servers/a/weight", "to": 1},
        {"set": "pools/web/servers/9/weight", "to": 1},
        {"delete": "pools/web/servers/z"},
        {"delete": "pools/web/check"},
        {"insert": "pools/web/name", "value": 1},
        {"set": "pools/web/name/deeper", "to": 1},
        {"insert": "pools", "at": "x", "value": 1},
    ],
)
def test_a_place_that_is_not_there_is_an_error_that_names_it(edit):
    with pytest.raises(UsageError) as caught:
        edited(edit)
    assert "here" in str(caught.value)


@pytest.mark.parametrize(
    "edit", [{}, [], "set", {"set": "a"}, {"set": 1, "to": 2}, {"set": "a", "to": 1, "x": 2}]
)
def test_what_is_no_edit_is_refused(edit):
    with pytest.raises(UsageError):
        checked(edit, "here")


def test_a_text_is_replaced_where_it_stands_once():
    assert edit_text("a b\n", [{"replace": "a", "with": "c"}], "") == "c b\n"
    assert edit_text("a\nb\n", [{"after": "a", "add": "x"}], "") == "a\n    x\nb\n"
    assert edit_text("a a", [{"replace": "a", "with": "c", "every": True}], "") == "c c"


@pytest.mark.parametrize("text", ["", "a a"])
def test_a_text_that_is_not_there_once_is_an_error(text):
    with pytest.raises(UsageError, match="does not say where"):
        edit_text(text, [{"replace": "a", "with": "c"}], "here")
