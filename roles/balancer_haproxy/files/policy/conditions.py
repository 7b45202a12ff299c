"""Reads conditions: alternatives, each a list of tests that must all be met."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..config.parser import Configuration, Proxy

Words = Tuple[str, ...]
_OR = ("or", "OR", "||")
_AND = ("and", "AND", "&&")


class Part(NamedTuple):
    """One word of a condition. Any of its `tests` meets it; `negated` means that none may.

    Without tests it is a name that the section does not define: HAProxy's own, or a mistake.
    """

    negated: bool
    tests: Tuple[Words, ...]


Alternatives = List[List[Part]]


def condition(parts: Sequence[str]) -> Words:
    """Give the words from `if` or `unless` on; nothing for a line without a condition."""
    for at, word in enumerate(parts):
        if word in ("if", "unless"):
            return tuple(parts[at:])
    return ()


def is_always(parts: Sequence[str]) -> bool:
    """Whether a line has no condition, or one that is always met (`if TRUE`, `unless FALSE`)."""
    found = condition(parts)
    return not found or found in (("if", "TRUE"), ("unless", "FALSE"), ("unless", "!TRUE"))


def alternatives(words: Sequence[str], proxy: Proxy) -> Optional[Alternatives]:
    """Give the alternatives of the words after `if`; None where a brace is not closed."""
    found: Alternatives = [[]]
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in _OR:
            found.append([])
            continue
        if word in _AND:
            continue
        negated = word.startswith("!")
        name = word[1:] if negated else word
        if name == "{":
            if "}" not in words[at:]:
                return None
            end = words.index("}", at)
            tests = [tuple(words[at:end])]
            at = end + 1
        else:
            tests = [one.words[2:] for one in proxy.all("acl") if one.value(1) == name]
        found[-1].append(Part(negated, tuple(test for test in tests if test)))
    return found


def of_line(words: Sequence[str], proxy: Proxy) -> Tuple[str, Optional[Alternatives]]:
    """Give ("if", "unless" or "", alternatives) of a line; "" always applies."""
    found = condition(words)
    return (found[0], alternatives(found[1:], proxy)) if found else ("", [])


def split(test: Words) -> Tuple[str, Dict[str, str], List[str]]:
    """Give a test's sample, its flags ({flag: value or ""}) and its values."""
    flags: Dict[str, str] = {}
    at = 1
    while at < len(test) and test[at].startswith("-"):
        flag = test[at]
        at += 1
        if flag == "--":
            break
        flags[flag] = ""
        if flag in ("-m", "-f", "-u") and at < len(test):
            flags[flag] = test[at]
            at += 1
    return test[0], flags, list(test[at:])


def listed(now: Configuration, path: str) -> Optional[List[str]]:
    """Give the rows of a list or map of the release; None for one on the host."""
    text = now.data.get(path, now.data.get(path.rsplit("/", 1)[-1]))
    if text is None:
        return None
    rows = [row.strip() for row in text.splitlines()]
    return [row for row in rows if row and not row.startswith("#")]
