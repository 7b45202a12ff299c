"""scripts/learn_profile as it is called: files in, one small file out."""

import gzip

import pytest

from evenkeel.commands import learn_profile
from evenkeel.errors import Refused
from evenkeel.profile.traffic_profile import read_profile

LINE = '10.0.0.{n} - - [06/Feb/2026:12:14:01 +0000] "GET /a?n={n} HTTP/1.1" 200 612 "-" "curl"\n'


def log(lines=30):
    return "".join(LINE.format(n=n) for n in range(lines)).encode()


def learnt(tmp_path, *logs, options=()):
    out = tmp_path / "profile.json"
    assert learn_profile.main([*map(str, logs), "--output", str(out), *options]) == 0
    return read_profile(out)[0]


def test_plain_and_gzip_logs_are_learnt_together(tmp_path, capsys):
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(log() + b"not a request\n")
    packed.write_bytes(gzip.compress(log()))
    assert learnt(tmp_path, plain, packed).source.lines == 60
    assert "1 lines not understood" in capsys.readouterr().err


def test_a_line_without_an_end_is_one_bad_line(tmp_path):
    file = tmp_path / "a.log"
    file.write_bytes(log() + b"x" * 300_000 + b"\n" + log())
    assert learnt(tmp_path, file).source.bad_lines == 1


def test_a_damaged_archive_and_a_missing_log_are_refused_in_words(tmp_path):
    damaged = tmp_path / "a.gz"
    damaged.write_bytes(gzip.compress(log())[:-20])
    for path in (damaged, tmp_path / "none.log"):
        with pytest.raises(Refused, match="cannot be read"):
            learnt(tmp_path, path)


def test_a_short_key_is_refused(tmp_path):
    file, key = tmp_path / "a.log", tmp_path / "key"
    file.write_bytes(log())
    key.write_text("short")
    with pytest.raises(Refused, match="of no use"):
        learnt(tmp_path, file, options=["--key-file", str(key)])
