"""What a person reads in a line is what HAProxy reads, or a rule says so."""

import pytest
from unit.balancer_haproxy.files import edited, findings, stopped

REFUSES = "    default_backend app\n"
WEAK = "app1 10.0.0.1:8080 cookie a1 maxconn 200"


def refusing(line):
    return edited((REFUSES, f"    {line}\n{REFUSES}"))


@pytest.mark.parametrize("line", [r"http-request den\x79", r"\x68ttp-request deny"])
def test_a_word_that_is_written_with_escapes_is_judged_as_it_is_read_and_named(line):
    assert {"everybody-refused", "disguised-line"} <= stopped(refusing(line))


def test_an_option_that_is_written_with_escapes_is_judged_as_it_is_read_and_named():
    text = edited((WEAK, r"app1 10.0.0.1:8080 cookie a1 max\x63onn 1"))
    assert {"tiny-server-maxconn", "disguised-line"} <= stopped(text)


def test_words_after_an_empty_one_are_named_since_haproxy_does_not_read_them():
    assert "disguised-line" in stopped(refusing('http-request deny "" if FALSE'))
    assert "disguised-line" in stopped(refusing('"" http-request deny'))


def test_a_line_that_is_live_already_is_told_alone():
    text = refusing(r"http-request set-header a\x62c d")
    (found,) = (one for one in findings(text, text) if one["rule"] == "disguised-line")
    assert (found["severity"], found["live_already"]) == ("tell", True)
    assert found["text"] == "http-request set-header abc d"


@pytest.mark.parametrize(
    "line", [r'http-request set-header X "a\x20b"', "http-request set-header X 'a b' # c"]
)
def test_quotes_and_escapes_that_are_needed_are_no_finding(line):
    assert "disguised-line" not in stopped(refusing(line))
