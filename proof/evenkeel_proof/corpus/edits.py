"""Edits of an intent or of a rendered file, as a case holds them: data in, data out.

A place in an intent is words with slashes between them, as in `pools/web/servers/web1/weight`. A
word that follows a list is the `name` of one of its items, or its number from 0.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from evenkeel.errors import UsageError

OF_INTENTS = ("set", "delete", "insert")
OF_TEXTS = ("replace", "after")
_KEYS = {
    "set": {"set", "to"},
    "delete": {"delete"},
    "insert": {"insert", "value", "at"},
    "replace": {"replace", "with", "every"},
    "after": {"after", "add"},
}
_NEEDED = {"set": "to", "insert": "value", "replace": "with", "after": "add"}


def checked(edit: object, where: str) -> Mapping[str, Any]:
    """Give `edit` when it is one that we know; raises UsageError otherwise."""
    if isinstance(edit, dict):
        for kind, keys in _KEYS.items():
            if kind in edit and set(edit) <= keys and _NEEDED.get(kind, kind) in edit:
                if isinstance(edit[kind], str) and _texts(edit, kind):
                    return edit
                break
    raise UsageError(
        "This is no edit of a case",
        where=where,
        wanted="set + to, delete, insert + value (+ at), replace + with (+ every), after + add",
        got=repr(edit)[:160],
        next_step="see docs/reference/corpus-cases.md",
    )


def _texts(edit: Mapping[str, Any], kind: str) -> bool:
    return kind not in OF_TEXTS or isinstance(edit[_NEEDED[kind]], str)


def edit_intent(
    intent: Mapping[str, Any], edits: Sequence[Mapping[str, Any]], where: str
) -> dict[str, Any]:
    """Give a copy of `intent` after those of `edits` that are for intents.

    Raises UsageError for a place that is not there.
    """
    result = {"": copy.deepcopy(dict(intent))}
    for edit in edits:
        kind = next((kind for kind in OF_INTENTS if kind in edit), "")
        if not kind:
            continue
        words = ["", *edit[kind].strip("/").split("/")]
        holder: Any = result
        for word in words[:-1]:
            holder = _step(holder, word, edit[kind], where)
        if kind == "insert":
            _insert(_step(holder, words[-1], edit[kind], where, new=[]), edit, where)
        elif kind == "delete":
            if isinstance(holder, dict) and words[-1] not in holder:
                raise _nowhere(edit[kind], words[-1], where)
            _step(holder, words[-1], edit[kind], where)
            del holder[_key(holder, words[-1])]
        elif isinstance(holder, list):
            holder[_key(holder, words[-1])] = copy.deepcopy(edit["to"])
        else:
            _mapping(holder, edit[kind], where)[words[-1]] = copy.deepcopy(edit["to"])
    return result[""]


def _step(holder: Any, word: str, path: str, where: str, new: Any = None) -> Any:
    """Go one word further; a key that is not there begins as `new`, or else as a mapping."""
    if isinstance(holder, dict):
        # Parts with defaults may be absent: timeouts, guardrails, check, extra.
        return holder.setdefault(word, {} if new is None else new)
    try:
        return holder[_key(holder, word)]
    except (LookupError, TypeError, ValueError):
        raise _nowhere(path, word, where) from None


def _key(holder: Any, word: str) -> Any:
    if isinstance(holder, dict):
        return word
    for number, item in enumerate(holder):
        if isinstance(item, dict) and item.get("name") == word:
            return number
    return int(word)


def _mapping(holder: Any, path: str, where: str) -> dict[str, Any]:
    if not isinstance(holder, dict):
        raise _nowhere(path, path.rsplit("/", 1)[-1], where)
    return holder


def _insert(items: Any, edit: Mapping[str, Any], where: str) -> None:
    if not isinstance(items, list):
        raise _nowhere(edit["insert"], edit["insert"].rsplit("/", 1)[-1], where)
    at = edit.get("at", len(items))
    if not isinstance(at, int):
        raise _nowhere(edit["insert"], f"at: {at!r}", where)
    items.insert(at, copy.deepcopy(edit["value"]))


def _nowhere(path: str, word: str, where: str) -> UsageError:
    return UsageError(
        "An edit names a place that the intent does not have",
        where=where,
        wanted="keys, and names or numbers of items of lists, with slashes between them",
        got=f"{word!r} in {path}"[:200],
        next_step="see docs/reference/corpus-cases.md",
    )


def edit_text(text: str, edits: Sequence[Mapping[str, Any]], where: str) -> str:
    """Give `text` after those of `edits` that are for texts.

    Raises UsageError for a text that is not found, or is found more than once without `every`.
    """
    for edit in edits:
        kind = next((kind for kind in OF_TEXTS if kind in edit), "")
        if not kind:
            continue
        old = edit[kind]
        found = text.count(old)
        if not found or (found > 1 and not edit.get("every")):
            raise UsageError(
                "An edit of the text does not say where",
                where=where,
                wanted="a text that stands there once",
                got=f"{old!r} stands there {found} times"[:200],
                next_step="give more of the line, or `every: true` for all places",
            )
        new = edit["with"] if kind == "replace" else f"{old}\n    {edit['add']}"
        text = text.replace(old, new)
    return text
