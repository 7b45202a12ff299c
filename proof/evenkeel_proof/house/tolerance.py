"""How many files name the default of one setting: how far a server's share may be off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from evenkeel.errors import Refused
from evenkeel_proof.house.imports import module_of
from evenkeel_proof.house.signatures import Names
from evenkeel_proof.house.tree import PRODUCT, PROOF, TESTS, Figure, Source, Tree

MODEL = f"{PRODUCT}/intent/model.py"
SETTING = "share_tolerance"
NAME = "tolerance"
# What was decided or changed once keeps the figures of its day.
HISTORY = ("docs/decisions/",)


def files_naming_the_tolerance_default(tree: Tree) -> Figure:
    """Count the files to touch when the default of guardrails.share_tolerance changes.

    They are code of the product, roles and proof with the number (or the percentage) beside a name
    with `tolerance`, the place that sets it among them; tests that compare with it; README and
    pages of docs, the generated ones too, whose text or schema gives it. Inputs of tests, samples
    in code blocks and decision records do not count.
    """
    home, default = _default(tree)
    causes = []
    for source in tree.shipped() + tree.python(PROOF):
        lines = [line for line, _ in _copies(source, default)]
        causes += _first(source.path, [*lines, *([home.line] if home.path == source.path else [])])
    for source in tree.python(TESTS):
        copies = _copies(source, default)
        causes += _first(source.path, [line for line, kind in copies if kind is ast.Compare])
    for place in ("docs", "README.md"):
        for path, text in tree.texts(place, ".md", ".json"):
            if not path.startswith(HISTORY):
                causes += _first(path, _mentions(text, default))
    return Figure(len(causes), causes)


class Place(NamedTuple):
    """A line of a file."""

    path: str
    line: int


def _default(tree: Tree) -> tuple[Place, float]:
    """Give where the default of the model gets its number, and the number.

    Raises Refused when the model has none.
    """
    names = Names(tree)
    model = [source for source in tree.python(PRODUCT) if source.path == MODEL]
    fields = [
        element
        for source in model
        for element in source.elements
        if isinstance(element, ast.AnnAssign) and ast.unparse(element.target) == SETTING
    ]
    for value in (value for field in fields for value in _values(field.value)):
        module, number = names.meaning(module_of(MODEL), ast.unparse(value))
        number = number or value
        if isinstance(number, ast.Constant) and isinstance(number.value, float):
            return Place(names.path_of(module), number.lineno), number.value
    raise Refused(
        f"No default of {SETTING} was found",
        where=MODEL,
        wanted=f"{SETTING}: Tolerance = Field(NUMBER, …)",
        next_step="name its new place in proof/evenkeel_proof/house/tolerance.py",
    )


def _first(path: str, lines: Iterable[int]) -> list[str]:
    """Give the file with the first of `lines`, and how many others it has; nothing for none."""
    found = sorted(set(lines))
    return [f"{path}:{found[0]}: {len(found)} in this file"] if found else []


def _copies(source: Source, default: float) -> Iterator[tuple[int, type[ast.AST]]]:
    """Give line and kind of each place where a name with `tolerance` meets the number."""
    if NAME not in source.text.lower():
        return
    for element in source.elements:
        for named, value in _pairs(element):
            if NAME in named.lower() and any(_is(one, default) for one in _values(value)):
                yield value.lineno, type(element)


def _pairs(element: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Give each name in `element` that is given a value or compared with one, and the value."""
    if isinstance(element, ast.arguments):
        given = [*element.posonlyargs, *element.args]
        named = given[len(given) - len(element.defaults) :]
        yield from ((one.arg, value) for one, value in zip(named, element.defaults, strict=True))
        last = zip(element.kwonlyargs, element.kw_defaults, strict=True)
        yield from ((one.arg, value) for one, value in last if value)
    elif isinstance(element, ast.keyword):
        yield element.arg or "", element.value
    elif isinstance(element, ast.Assign):
        yield from ((ast.unparse(target), element.value) for target in element.targets)
    elif isinstance(element, ast.AnnAssign) and element.value:
        yield ast.unparse(element.target), element.value
    elif isinstance(element, ast.Dict):
        keys = (ast.unparse(key) if key else "" for key in element.keys)
        yield from zip(keys, element.values, strict=True)
    elif isinstance(element, ast.Compare):
        sides = [element.left, *element.comparators]
        yield from ((ast.unparse(one), other) for one in sides for other in sides)
    elif isinstance(element, ast.Call):
        words = [one for one in element.args if isinstance(one, ast.Constant)]
        named_by = " ".join(str(one.value) for one in words)
        yield from ((named_by, one) for one in words)


def _values(element: ast.expr | None) -> Iterator[ast.expr]:
    """Give `element`, or what is in the tuple, list or call that it is."""
    if isinstance(element, ast.Tuple | ast.List):
        for one in element.elts:
            yield from _values(one)
    elif isinstance(element, ast.Call):
        for one in [*element.args, *(keyword.value for keyword in element.keywords)]:
            yield from _values(one)
    elif element is not None:
        yield element


def _is(element: ast.AST, default: float) -> bool:
    """Say whether `element` is the default, or the same as a percentage."""
    if not isinstance(element, ast.Constant) or type(element.value) not in (int, float):
        return False
    return element.value == default or element.value == round(100 * default, 9)


def _mentions(text: str, default: float) -> Iterator[int]:
    """Give each line of a page with `tolerance` or `band` from which the number is not far."""
    # An indented line is a sample in Markdown; in JSON it is the content.
    if not text.startswith("{"):
        text = re.sub(r"(?m)^(?: {4}|\t).*$", "", re.sub(r"(?ms)^```.*?^```", _blank, text))
    number = rf"(?:{re.escape(f'{default:g}')}(?![\d.]|\s?%)|\b{100 * default:g}\s?%)"
    for found in re.finditer(rf"(?i)(?:tolerance|\bband\b)[^.]{{0,50}}?(?<![\d.]){number}", text):
        yield text.count("\n", 0, found.start()) + 1


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")
