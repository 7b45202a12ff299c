"""Words of a line, by examples. tests/golden/test_words.py compares with the real balancer."""

import sys

import pytest
from unit.balancer_haproxy.driver_parts import config, part
from unit.balancer_haproxy.files import DIALECT

WORDS = sys.modules[f"{DIALECT.view.__module__}.config.words"]
read, tokens = WORDS.words, WORDS.tokens


def test_quotes_and_escapes_are_removed():
    assert read("a  'b \"c' \"d 'e\" f\\ g #h") == ["a", 'b "c', "d 'e", "f g"]
    assert read(r"\x61\tb a\q '' 'it'\''s'") == ["a\tb", r"a\q", "", "it's"]
    assert read(r'\$a "\$a"') == [r"\$a", "$a"]


@pytest.mark.parametrize("line", ["'a", '"a', r"\xg0", r"a\x4", '"$"', '"$1"', '"${A"', '"${A }"'])
def test_a_line_that_haproxy_refuses_is_refused(line):
    with pytest.raises(ValueError):
        read(line)


def test_only_the_spaces_of_haproxy_separate_words():
    assert read("a\tb\v\fc") == ["a", "b", "c"]
    assert read("a\xa0b c\x1cd e\x85f") == ["a\xa0b", "c\x1cd", "e\x85f"]


def test_a_carriage_return_ends_a_line_unless_a_space_is_before_it():
    assert read("a\rb") == ["a"]
    assert read("a \rb") == ["a", "b"]
    assert read("\ra b\r\n") == ["a", "b"]


def test_a_zero_byte_ends_a_word():
    assert read(r"a\x00b c") == ["a", "c"]


def test_a_variable_keeps_its_name_since_its_value_is_not_known():
    (one, two) = tokens("\"a${B-c d}\" '$B'")
    assert (one.text, one.has_variable) == ("a${B-c d}", True)
    assert (two.text, two.has_variable) == ("$B", False)


@pytest.mark.parametrize(
    "line",
    [r"http-request den\x79", r"server a b max\x63onn 1", r"a\x00b", 'http-request deny "" if X'],
)
def test_what_a_reader_of_the_line_does_not_see_is_said(line):
    assert WORDS.disguise(tokens(line))


@pytest.mark.parametrize("line", [r'send "PING\x0d\x0a\x22\x20"', "a 'b c' \\#", 'a ""', "a \xe9"])
def test_quotes_and_escapes_that_a_line_needs_hide_nothing(line):
    assert not WORDS.disguise(tokens(line))


def test_the_guard_and_the_rules_have_the_same_tokenizer():
    assert part("guard").tokens is config("words").tokens
    assert config("words").__file__ == WORDS.__file__


def test_what_a_release_may_hold_is_said_of_sections_that_there_are():
    assert set(part("allowlist").ALLOWED) <= WORDS.SECTIONS
