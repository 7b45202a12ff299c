import hashlib
import os

import pytest

from evenkeel import records
from evenkeel.errors import Refused
from evenkeel.records import (
    Record,
    canonical_json,
    check_change_id,
    check_text,
    read_json,
    read_record,
    write_atomically,
    write_record,
)


def record(**changes):
    values = {
        "record": "render",
        "change_id": "c1",
        "digest": "0" * 64,
        "previous": None,
        "started": "2026-01-01T00:00:00.000Z",
        "ended": "2026-01-01T00:00:01.000Z",
        "body": {"b": 1, "a": [1, 2]},
        "versions": {"evenkeel": "0"},
    }
    return Record(**(values | changes))


def test_the_sha256_of_a_record_is_the_sha256_of_its_file(tmp_path):
    path = tmp_path / "render.json"
    sha256 = write_record(path, record())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256 == record().sha256


def test_a_record_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "render.json"
    write_record(path, record())
    assert read_record(path, kind="render", next_step="") == record()


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1})


def test_an_altered_record_is_refused_even_when_it_says_the_same(tmp_path):
    path = tmp_path / "render.json"
    write_record(path, record())
    path.write_bytes(path.read_bytes().replace(b'"previous":null', b'"previous": null'))
    with pytest.raises(Refused, match="altered"):
        read_record(path, kind="render", next_step="")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"record":"render"}', "\x00\xff"])
def test_a_damaged_record_is_refused_with_the_next_step(tmp_path, text):
    path = tmp_path / "render.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(Refused) as caught:
        read_record(path, kind="render", next_step="run render.yml again")
    assert "run render.yml again" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("body", value) for value in (None, [], "x", 7)),
        *(("versions", value) for value in (None, [])),
        *(("digest", value) for value in (None, ["a"])),
        ("previous", 7),
        ("change_id", {}),
        ("started", None),
    ],
)
def test_a_record_with_a_part_of_another_type_is_refused(tmp_path, name, value):
    path = tmp_path / "render.json"
    write_record(path, record(**{name: value}))
    with pytest.raises(Refused, match="not a record of render"):
        read_record(path, kind="render", next_step="")


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\ud800"'])
def test_a_record_with_what_cannot_be_written_again_is_refused(tmp_path, value):
    path = tmp_path / "render.json"
    write_record(path, record())
    path.write_bytes(path.read_bytes().replace(b'"b":1', b'"b":' + value.encode()))
    with pytest.raises(Refused, match="altered"):
        read_record(path, kind="render", next_step="")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "9" * 5000])
def test_json_that_exhausts_its_reader_is_refused_without_a_traceback(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(Refused, match="damaged"):
        read_json(path, what="The file x.json", next_step="")


@pytest.mark.parametrize("text", ["", "Two more servers", "Zwei Server für „app“", "x" * 200])
def test_text_that_a_terminal_shows_is_taken(text):
    assert check_text(text, "change_title") == text


@pytest.mark.parametrize(
    "text", ["\x1b[2Jfine", "a\nb", "a\rb", "a\x9bb", "\u202eevil", "x" * 201, None, 7, ["a"]]
)
def test_text_that_could_rewrite_a_terminal_is_refused_by_name(text):
    with pytest.raises(Refused) as caught:
        check_text(text, "change_title")
    assert caught.value.where == "change_title"
    assert "change_title" in caught.value.next_step
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_record_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "render.json"
    write_record(path, record(record="staging"))
    with pytest.raises(Refused):
        read_record(path, kind="render", next_step="")


def test_a_record_of_a_newer_version_is_refused_and_says_which(tmp_path):
    path = tmp_path / "render.json"
    write_record(path, record(schema_version=2))
    with pytest.raises(Refused, match="another version"):
        read_record(path, kind="render", next_step="")


@pytest.mark.parametrize("name", ["", ".hidden", "../x", "A", "a b", "a\n", "x" * 65, None, 7])
def test_a_change_with_an_unusable_name_is_refused(name):
    with pytest.raises(Refused):
        check_change_id(name)


def test_a_write_that_fails_leaves_the_old_bytes_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomically(path, b"old")

    def broken(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("evenkeel.records.os.fsync", broken)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_record_is_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "x"
    write_atomically(path, b"secret")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_pipe_in_the_place_of_a_record_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="cannot be read") as refused:
        read_json(tmp_path / "pipe", what="The file", next_step="")
    assert "no regular file" in refused.value.got


def test_a_record_and_the_bytes_that_were_checked_are_the_same(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    write_record(path, record(body={"verdict": "fail"}))
    reads = []

    def swapped(name, *more, read=records.read_file):
        reads.append(name)
        data = read(name, *more)
        write_record(path, record(body={"verdict": "pass"}))
        return data

    monkeypatch.setattr(records, "read_file", swapped)
    assert read_record(path, kind="render", next_step="").body == {"verdict": "fail"}
    assert len(reads) == 1
