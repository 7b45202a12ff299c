import json

import pytest

from evenkeel.errors import Problems, Refused
from evenkeel.profile.traffic_profile import DEFAULT, parse_profile, read_profile


def test_every_problem_of_a_profile_is_reported_at_once():
    with pytest.raises(Problems) as refused:
        parse_profile({"concurrency": 0, "slowest_seconds": -1, "colour": "red"})
    paths = {problem.path for problem in refused.value.problems}
    assert paths == {"profile.concurrency", "profile.slowest_seconds", "profile.colour"}


@pytest.mark.parametrize("path", ["/a?token=1", "no-slash", "/a b", "/a%20b"])
def test_a_row_holds_no_query_and_no_escape(path):
    with pytest.raises(Problems):
        parse_profile({"rows": [{"path": path, "share": 0.5}]})


def test_an_empty_profile_is_the_documented_default():
    assert parse_profile({}) == DEFAULT


def test_what_is_written_reads_back_as_it_was(tmp_path):
    file = tmp_path / "profile.json"
    file.write_text(DEFAULT.model_dump_json())
    found, data = read_profile(file)
    assert (found, data) == (DEFAULT, file.read_bytes())


@pytest.mark.parametrize("text", ["", "no json", "[" * 100_000, json.dumps("x" * 2**20)])
def test_a_file_that_is_no_profile_is_refused_in_words(tmp_path, text):
    file = tmp_path / "profile.json"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        read_profile(file)
    assert str(file) in str(refused.value)


def test_a_missing_file_is_refused_in_words(tmp_path):
    with pytest.raises(Refused, match="cannot be read"):
        read_profile(tmp_path / "none.json")
