"""The reference of an intent: `python -m evenkeel_proof.pages.intent_reference` rewrites it.

It has a section for each part of the model and a line for each key: its type, default and meaning.
It is made from the model, and a test holds it up to date.
"""

from __future__ import annotations

import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from evenkeel.intent import value_types
from evenkeel.intent.model import Intent, Part

REFERENCE_FILE = Path("docs/reference/intent.md")
WIDTH = 118

_HEAD = """\
# The keys of an intent

Made from the model by `python -m evenkeel_proof.pages.intent_reference`; do not edit. A guide with
an example is [write-an-intent.md](../how-to/write-an-intent.md). Every key of every part is here,
with its type, and its default where it has one. A key that is not here is refused. Editors read
[intent.schema.json](intent.schema.json).
"""
# Each value type's name and its further rules.
_CALLED = {
    "Address": ("an address", "an IP address or a host name"),
    "BindAddress": ("an address to listen on", "`*` or an IP address"),
    "CheckPath": ("a URL path with or without a query", ""),
    "Count": ("a count", ""),
    "Date": ("a date", "a day such as `2026-12-31`, until its end in UTC"),
    "ExtraLine": ("a line", ""),
    "FilePath": ("a file path", ""),
    "HeaderValue": ("a header's value", ""),
    "HostMatch": ("a host name or its end", ""),
    "HostName": ("a host name", ""),
    "Name": ("a name", ""),
    "Percent": ("a percentage", ""),
    "Port": ("a port", ""),
    "Seconds": ("seconds", ""),
    "StatusCode": ("an HTTP status", ""),
    "StatusCodes": ("one HTTP status or a list", ""),
    "Title": ("a title", ""),
    "Token": ("a token", ""),
    "UrlPath": ("a URL path", ""),
}
_PLAIN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def text() -> str:
    """Give the text of the reference's file."""
    parts = [_HEAD]
    for path, model in _models("intent", Intent):
        parts.append("\n".join([f"## `{path}`", "", *_about(model), *_keys(model), ""]))
    parts.append("\n".join(["## Values", "", *_values(), ""]))
    return "\n".join(parts)


def _models(path: str, model: type[Part]) -> Iterator[tuple[str, type[Part]]]:
    """Give each part of the model once, with its first path, outermost first."""
    seen: dict[type[Part], str] = {model: path}
    queue = [model]
    while queue:
        here = queue.pop(0)
        yield seen[here], here
        inner = []
        for key, hint, _ in _fields(here):
            for suffix, part in _parts(hint):
                if part not in seen:
                    seen[part] = f"{seen[here]}.{key}{suffix}"
                    inner.append(part)
        queue = inner + queue


def _fields(model: type[Part]) -> Iterator[tuple[str, Any, FieldInfo]]:
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        yield field.alias or name, hints[name], field


def _parts(hint: Any, suffix: str = "") -> Iterator[tuple[str, type[Part]]]:
    """Give the models within a type, each with its path's suffix: `[]` in a list."""
    if isinstance(hint, type) and issubclass(hint, Part):
        yield suffix, hint
        return
    origin = get_origin(hint)
    more = "[]" if origin is list else ".<name>" if origin is dict else ""
    for inner in get_args(hint):
        yield from _parts(inner, suffix + more)


def _about(model: type[Part]) -> Iterator[str]:
    paragraphs = textwrap.dedent(model.__doc__ or "").strip().split("\n\n")
    for paragraph in paragraphs:
        yield from textwrap.wrap(" ".join(paragraph.split()), WIDTH)
        yield ""


def _keys(model: type[Part]) -> Iterator[str]:
    for key, hint, field in _fields(model):
        facts = ", ".join([_type(hint), *_default(field)])
        about = f": {field.description}" if field.description else ""
        yield from textwrap.wrap(
            f"- `{key}` ({facts}){about}", WIDTH, subsequent_indent="  ", break_on_hyphens=False
        )


def _default(field: FieldInfo) -> Iterator[str]:
    if field.is_required():
        yield "required"
    elif field.default is PydanticUndefined or isinstance(field.default, Part):
        return
    elif field.default is None:
        yield "optional"
    elif isinstance(field.default, bool):
        yield f"default `{str(field.default).lower()}`"
    elif field.default not in ([], {}):
        yield f"default `{field.default}`"


def _type(hint: Any) -> str:
    """Say a type in words."""
    name = next((name for name, value in vars(value_types).items() if value is hint), None)
    if name:
        return _CALLED[name][0]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in inner if one is not type(None))
    if origin is list:
        each = _type(inner[0])
        return "a list of parts" if each == "a part" else f"a list, each {each}"
    if origin is dict:
        return f"a mapping, {_type(inner[0])} to {_type(inner[1])}"
    if origin is Annotated:
        return f"{_type(inner[0])}{_bounds(hint)}"
    if isinstance(hint, type) and issubclass(hint, Part):
        return "a part"
    return _PLAIN[hint]


def _bounds(hint: Any) -> str:
    schema = TypeAdapter(hint).json_schema()
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    above = "above " if "exclusiveMinimum" in schema else ""
    if least is not None and most is not None:
        return f", {above}{least:,g} to {most:,.0f}"
    if least is not None:
        return f", {above}{least:g} or more"
    if schema.get("minItems"):
        return f", at least {schema['minItems']}"
    return ""


def _values() -> Iterator[str]:
    """Describe each named value type by its pattern in words or its bounds."""
    for name, (called, words) in sorted(_CALLED.items(), key=lambda item: item[1]):
        value = getattr(value_types, name)
        pattern = TypeAdapter(value).json_schema().get("pattern")
        said = (
            words
            or value_types.WANTED.get(str(pattern))
            or f"{_type(get_args(value)[0])}{_bounds(value)}"
        )
        line = f"- **{called}**: {said}"
        yield from textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    REFERENCE_FILE.parent.mkdir(parents=True, exist_ok=True)
    REFERENCE_FILE.write_text(text(), encoding="utf-8")
