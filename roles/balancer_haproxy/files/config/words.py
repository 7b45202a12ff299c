"""The words of a line, as HAProxy reads them. Guard, driver, rules and readers all use this.

It follows section 2.2 of configuration.txt, and HAProxy 2.6 where that is silent:
tests/golden/test_words.py compares them. Each byte of a file is one character here.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence, Tuple

# Words that open a section (configuration.txt, 2.1).
_SECTION_WORDS = """
    global defaults frontend backend listen userlist peers resolvers mailers ring log-forward
    log-profile cache program http-errors fcgi-app crt-store traces acme
"""
SECTIONS = frozenset(_SECTION_WORDS.split())

# isspace() of the C locale separates words.
_SPACES = " \t\n\v\f\r"
_ENDS = "\0\n\r"
# Lines without these need no tokenizer; str.split() splits more.
_SPECIAL = re.compile(r"['\"\\#\0\n\r\x1c-\x1f]|[^\x00-\x7f]")
_ESCAPED = {letter: letter for letter in " \\#'\""}
_ESCAPED.update({"n": "\n", "r": "\r", "t": "\t"})
# Not compiled here: that costs time at every start.
_HEX = r"[0-9A-Fa-f]{2}"
_NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|\.(?:LINE|FILE|SECTION))"
_VARIABLE = rf"\$(?:{_NAME}|\{{{_NAME}(?:\[\*\])?(?:-[^}}]*)?\}})"
_NEEDS_NO_ESCAPE = r"[!%&(-\[\]-~]"


class Word(NamedTuple):
    """One word. `text` is what HAProxy gets, `written` is how the file writes it.

    The value of an environment variable is unknown, so `text` keeps its name. `disguise` says what
    a person who reads the file does not see; it is empty for nearly every word.
    """

    text: str
    written: str
    has_variable: bool = False
    disguise: str = ""


def words(line: str) -> List[str]:
    """Give the words of one line, without quotes and escapes.

    Raises ValueError for a line that HAProxy refuses.
    """
    return words_and_disguise(line)[0]


def words_and_disguise(line: str) -> Tuple[List[str], str]:
    """Give the words of one line, and what a person who reads it does not see (`disguise`).

    Raises ValueError for a line that HAProxy refuses.
    """
    line = line.rstrip("\r\n")
    if not _SPECIAL.search(line):
        return line.split(), ""
    found = tokens(line)
    return [word.text for word in found], disguise(found)


def tokens(line: str) -> List[Word]:
    """Give the words of one line, and how each is written.

    Raises ValueError for a line that HAProxy refuses.
    """
    line = line.rstrip("\r\n")
    if not _SPECIAL.search(line):
        return [Word(part, part) for part in line.split()]
    found: List[Word] = []
    at = _after_spaces(line, 0)
    while at < len(line) and line[at] not in "#" + _ENDS:
        word, at = _word(line, at)
        found.append(word)
        if at < len(line) and line[at] in _ENDS:
            break
        at = _after_spaces(line, at)
    return found


def disguise(found: Sequence[Word]) -> str:
    """Say what a person who reads the line does not see; empty for nearly every line."""
    for word in found:
        if word.disguise:
            return word.disguise
    # Measured: `http-request deny "" if FALSE` refuses everything.
    return "words after an empty one" if any(not word.text for word in found[:-1]) else ""


def _after_spaces(line: str, at: int) -> int:
    while at < len(line) and line[at] in _SPACES:
        at += 1
    return at


def _word(line: str, start: int) -> Tuple[Word, int]:
    """Give the word that begins at `start`, and where it ends."""
    text, quote, disguised, has_variable, at = "", "", "", False, start
    while at < len(line) and line[at] not in _ENDS:
        letter = line[at]
        if letter == quote:
            quote, at = "", at + 1
        elif quote == "'":
            text, at = text + letter, at + 1
        elif letter == "\\":
            part, at, hidden = _escape(line, at + 1, quote)
            text, disguised = text + part, disguised or hidden
        elif quote and letter == "$":
            variable = re.match(_VARIABLE, line[at:])
            if not variable:
                raise ValueError("a variable of the environment without a name")
            text, at, has_variable = text + variable.group(), at + variable.end(), True
        elif not quote and letter in "'\"":
            quote, at = letter, at + 1
        elif not quote and (letter == "#" or letter in _SPACES):
            break
        else:
            text, at = text + letter, at + 1
    if quote:
        raise ValueError("a quote that is not closed")
    # HAProxy's words are C strings.
    return Word(text.partition("\0")[0], line[start:at], has_variable, disguised), at


def _escape(line: str, at: int, quote: str) -> Tuple[str, int, str]:
    """Give the character of an escape, where the line goes on, and what the escape hides."""
    letter = line[at : at + 1]
    if letter == "x":
        digits = line[at + 1 : at + 3]
        if not re.fullmatch(_HEX, digits):
            raise ValueError("an escape that is not complete")
        made = chr(int(digits, 16))
        if made == "\0":
            return made, at + 3, "a zero byte"
        hidden = "an escape for a plain character" if re.fullmatch(_NEEDS_NO_ESCAPE, made) else ""
        return made, at + 3, hidden
    if letter in _ESCAPED or (quote and letter == "$"):
        return _ESCAPED.get(letter, letter), at + 1, ""
    # Any other backslash is itself, as in a regex's \d.
    return "\\", at, ""
