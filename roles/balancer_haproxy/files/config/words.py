"""The words of a line of HAProxy's configuration, and those that open a section.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

from typing import List, Optional

# A word that opens a section, wherever it stands (configuration.txt, 2.1).
_SECTION_WORDS = """
    global defaults frontend backend listen userlist peers resolvers mailers ring log-forward
    log-profile cache program http-errors fcgi-app crt-store traces acme
"""
SECTIONS = frozenset(_SECTION_WORDS.split())

# What a backslash may stand before (configuration.txt, 2.2); tab and line ends become a space here.
_ESCAPED = {letter: letter for letter in " \\#\"'$"}
_ESCAPED.update({"t": " ", "n": " ", "r": " "})


def words(line: str) -> List[str]:
    """Give the words of one line as HAProxy reads them, quotes and escapes removed.

    Raises ValueError for a quote that is not closed.
    """
    if not any(letter in line for letter in "'\"\\#"):
        return line.split()
    result: List[str] = []
    word: Optional[str] = None
    closing, at = "", 0
    while at < len(line):
        letter = line[at]
        at += 1
        if closing and letter == closing:
            closing = ""
        elif closing == "'":
            word = (word or "") + letter
        elif letter == "\\" and at < len(line):
            # HAProxy knows these alone; before anything else (a regex's \d) a \ is itself.
            escaped = _ESCAPED.get(line[at])
            word = (word or "") + (letter + line[at] if escaped is None else escaped)
            at += 1
        elif closing == '"':
            word = (word or "") + letter
        elif letter in "'\"":
            closing, word = letter, word or ""
        elif letter == "#":
            break
        elif letter in " \t":
            if word is not None:
                result.append(word)
            word = None
        else:
            word = (word or "") + letter
    if closing:
        raise ValueError("a quote is not closed")
    return result if word is None else [*result, word]
