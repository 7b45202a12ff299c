"""Read an intent: check all of it, report all problems at once, give the model.

`parse_intent` takes the inventory's value. `normalise` gives the same intent as plain data with
every default filled in; changes store and compare that form.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evenkeel.errors import Problem, Problems
from evenkeel.intent.model import Intent
from evenkeel.intent.plain import plain
from evenkeel.intent.rules import broken_rules
from evenkeel.intent.value_types import WANTED

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_GOT_LENGTH = 80


def parse_intent(data: object, *, where: str = "") -> Intent:
    """Give the intent that `data` describes: nested dicts and lists, as from YAML.

    `where` names the source in the message (a host, a file). Raises Problems; each has its path
    (`intent.pools[1].servers[0].address`), the wanted value and the found one.
    """
    problems: list[Problem] = []
    clean = plain(data, "intent", problems)
    seen = {problem.path for problem in problems}
    intent = None
    try:
        intent = Intent.model_validate(clean)
    except ValidationError as error:
        found = (_problem(item) for item in error.errors(include_url=False))
        problems += [problem for problem in found if problem.path not in seen]
    seen = {problem.path for problem in problems}
    problems += [problem for problem in broken_rules(clean) if problem.path not in seen]
    if problems or intent is None:
        raise refusal(problems, where)
    return intent


def refusal(problems: Sequence[Problem], where: str = "") -> Problems:
    """Give the error with all `problems` of an intent."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return Problems(
        f"The intent has {count}",
        problems,
        where=where,
        next_step="correct the variable `intent` in the inventory and render again",
    )


def normalise(intent: Intent) -> dict[str, Any]:
    """Give `intent` as plain JSON data with every default filled in.

    Parsing the result and normalising it again gives the same data.
    """
    data = intent.model_dump(mode="json", by_alias=True)
    for listener in data["listeners"]:
        if listener["forwarded_for"] is None:
            listener["forwarded_for"] = listener["mode"] == "http"
    for pool in data["pools"]:
        algorithm, check = pool["algorithm"], pool["check"]
        if algorithm["kind"] == "hash" and algorithm["consistent"] is None:
            algorithm["consistent"] = True
        if check["kind"] == "http":
            check["path"] = check["path"] or "/"
            check["expect_status"] = check["expect_status"] or [200]
    return data


def _problem(error: ErrorDetails) -> Problem:
    location = [step for step in error["loc"] if step != "[key]"]
    path = "intent" + "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in location)
    kind = error["type"]
    if kind == "extra_forbidden":
        return Problem(path, _known_keys(location), f"the unknown key {str(location[-1])!r}"[:160])
    if kind == "missing":
        return Problem(path, "a value: this key is required", "nothing")
    return Problem(path, _wanted(kind, error), _got(error["input"]))


def _wanted(kind: str, error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]:g}"
    if kind == "string_pattern_mismatch":
        return WANTED[context["pattern"]]
    if kind == "literal_error":
        return "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind == "too_short":
        return f"at least {context['min_length']} in the list"
    return error["msg"]


def _got(value: object) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a boolean)"
    if isinstance(value, str):
        shown = value if len(value) <= _GOT_LENGTH else value[:_GOT_LENGTH] + "…"
        return f"{shown!r} (text)"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (dict, BaseModel)):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"{value!r} ({type(value).__name__})"[:_GOT_LENGTH]


def _known_keys(location: Sequence[int | str]) -> str:
    """Suggest the known key most like the unknown one, or list all keys."""
    model: Any = Intent
    for step in location[:-1]:
        if isinstance(step, str):
            model = _model_of(_fields(model).get(step))
    names = sorted(_fields(model))
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    if near:
        return f"a known key, perhaps {near[0]!r}"
    return "one of " + ", ".join(names)


def _fields(model: Any) -> dict[str, Any]:
    fields = getattr(model, "model_fields", {})
    return {field.alias or name: field.annotation for name, field in fields.items()}


def _model_of(annotation: Any) -> Any:
    """Give the model within `list[X]`, `dict[str, X]`, `X | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_of(part))), None)
