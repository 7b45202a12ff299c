"""Make plain data of what YAML and Ansible hand over, and find unsafe text on the way.

Ansible's values are subclasses of str, int, dict and list; the model sees only the plain types. No
text anywhere in an intent, not even a key, may hold a character that ends a line or is not printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.errors import Fault

# Deeper than any intent: what nests further is no intent, and must not exhaust the stack.
_DEEPEST = 20
# Python refuses to print a whole number of thousands of digits, so such a one cannot be reported.
_LARGEST_NUMBER = 2**63


def plain(value: object, path: str, faults: list[Fault]) -> Any:
    """Give `value` as plain dict, list, str, int, float, bool or None; `path` names it in faults.

    Adds to `faults` each text with a character that is not printed, each whole number that is far
    beyond any, and each key that is no text.
    A value of another type is given back as it is: the model says what it wanted there.
    """
    if isinstance(value, str):
        text = str.__str__(value)
        if not text.isprintable():
            faults.append(_unprintable(text, path))
        return text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
        faults.append(Fault(path, "a number of at most 18 digits", "a longer one"))
        return None
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if path.count(".") + path.count("[") > _DEEPEST:
        faults.append(Fault(path[:80], "a value that is not nested so deeply", "more levels"))
        return None
    if isinstance(value, Mapping):
        return _plain_mapping(value, path, faults)
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{path}[{index}]", faults) for index, item in enumerate(value)]
    return value


def _plain_mapping(value: Mapping[object, object], path: str, faults: list[Fault]) -> Any:
    result: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            hint = " (YAML reads on, off, yes and no so)" if isinstance(key, bool) else ""
            faults.append(Fault(path, "keys that are text", f"the key {_key(key)}"[:80] + hint))
            continue
        name = str.__str__(key)
        if not name.isprintable():
            faults.append(_unprintable(name, f"{path}.{name!r}"[:160]))
            continue
        result[name] = plain(item, f"{path}.{name}", faults)
    return result


def _key(key: object) -> str:
    long = isinstance(key, int) and abs(key) >= _LARGEST_NUMBER
    return "that is a long number" if long else repr(key)


def _unprintable(text: str, path: str) -> Fault:
    position = next(index for index, letter in enumerate(text) if not letter.isprintable())
    what = "a line break" if text[position] in "\n\r" else "a character that is not printed"
    return Fault(
        path,
        "text on one line, of characters that are printed",
        f"{what} ({text[position]!r}) at character {position + 1}",
    )
