"""Convert values from YAML and Ansible to plain types, and find unsafe text.

Ansible's values are subclasses of str, int, dict and list; the model gets the plain types. No text
in an intent, keys included, may hold a line break or an unprintable character.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.errors import Problem

# No intent nests deeper; more could exhaust the stack.
_DEEPEST = 20
# Python cannot print integers of thousands of digits.
_LARGEST_NUMBER = 2**63


def plain(value: object, path: str, problems: list[Problem]) -> Any:
    """Give `value` as plain dict, list, str, int, float, bool or None; `path` names it in problems.

    Adds to `problems` each text with an unprintable character, each whole number out of range, and
    each key that is not text. Values of other types stay: the model refuses them.
    """
    if isinstance(value, str):
        text = str.__str__(value)
        if not text.isprintable():
            problems.append(_unprintable(text, path))
        return text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
        problems.append(Problem(path, "a number of at most 18 digits", "more digits"))
        return None
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if path.count(".") + path.count("[") > _DEEPEST:
        problems.append(Problem(path[:80], "a value that is not nested so deeply", "more levels"))
        return None
    if isinstance(value, Mapping):
        return _plain_mapping(value, path, problems)
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    return value


def _plain_mapping(value: Mapping[object, object], path: str, problems: list[Problem]) -> Any:
    result: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            hint = " (YAML reads on, off, yes and no as booleans)" if isinstance(key, bool) else ""
            long = isinstance(key, int) and abs(key) >= _LARGEST_NUMBER
            shown = "that is a long number" if long else repr(key)
            problems.append(Problem(path, "keys that are text", f"the key {shown}"[:80] + hint))
            continue
        name = str.__str__(key)
        if not name.isprintable():
            problems.append(_unprintable(name, f"{path}.{name!r}"[:160]))
            continue
        result[name] = plain(item, f"{path}.{name}", problems)
    return result


def _unprintable(text: str, path: str) -> Problem:
    position = next(index for index, letter in enumerate(text) if not letter.isprintable())
    what = "a line break" if text[position] in "\n\r" else "an unprintable character"
    return Problem(
        path,
        "text on one line, of printable characters",
        f"{what} ({text[position]!r}) at character {position + 1}",
    )
