"""How many files name the default of one setting: how far a server's share may be off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from evenkeel.errors import Refused
from evenkeel_proof.house.tree import PRODUCT, PROOF, TESTS, Figure, Source, Tree

HOME = f"{PRODUCT}/intent/model.py"
SETTING = "share_tolerance"
NAME = "tolerance"
# What was decided or changed once keeps the figures of its day.
HISTORY = ("docs/decisions/",)


def files_naming_the_tolerance_default(tree: Tree) -> Figure:
    """Count the files to touch when the default of guardrails.share_tolerance changes.

    They are the model that sets it; code of the product, roles and proof with the same number
    beside a name with `tolerance`; tests that compare with it; README and pages of docs, the
    generated ones too, whose text or schema gives it. Inputs of tests, samples in code blocks and
    decision records do not count.
    """
    default = _default(tree)
    causes = []
    for source in tree.shipped() + tree.python(PROOF):
        causes += _first(source.path, (line for line, _ in _copies(source, default)))
    for source in tree.python(TESTS):
        kinds = (ast.Compare,)
        causes += _first(source.path, (n for n, kind in _copies(source, default) if kind in kinds))
    for folder in ("docs", "README.md"):
        for path, text in tree.texts(folder, ".md", ".json"):
            if not path.startswith(HISTORY):
                causes += _first(path, _mentions(text, default))
    return Figure(len(causes), causes)


def _default(tree: Tree) -> float:
    """Give the default that the model sets. Raises Refused when it sets none."""
    for source in tree.python(PRODUCT):
        for node in source.nodes if source.path == HOME else []:
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == SETTING:
                numbers = [value for value in _numbers(node.value) if isinstance(value, float)]
                if numbers:
                    return numbers[0]
    raise Refused(
        f"No default of {SETTING} was found",
        where=HOME,
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
    for node in source.nodes:
        for named, value in _pairs(node):
            if value is not None and default in _numbers(value) and NAME in named.lower():
                yield value.lineno, type(node)


def _pairs(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Give each name in `node` that is given a value or compared with one, and the value."""
    if isinstance(node, ast.arguments):
        given = [*node.posonlyargs, *node.args]
        named = given[len(given) - len(node.defaults) :]
        yield from ((one.arg, value) for one, value in zip(named, node.defaults, strict=True))
        last = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        yield from ((one.arg, value) for one, value in last)
    elif isinstance(node, ast.keyword):
        yield node.arg or "", node.value
    elif isinstance(node, ast.Assign):
        yield from ((ast.unparse(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign):
        yield ast.unparse(node.target), node.value
    elif isinstance(node, ast.Dict):
        keys = (ast.unparse(key) if key else "" for key in node.keys)
        yield from zip(keys, node.values, strict=True)
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        yield from ((ast.unparse(one), other) for one in sides for other in sides)
    elif isinstance(node, ast.Call):
        words = [one for one in node.args if isinstance(one, ast.Constant)]
        named_by = " ".join(str(one.value) for one in words)
        yield from ((named_by, one) for one in words)


def _numbers(node: ast.AST | None) -> Iterator[object]:
    """Give the number that `node` is, or those in the tuple, list or call that it is."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.List):
        for one in node.elts:
            yield from _numbers(one)
    elif isinstance(node, ast.Call):
        for one in [*node.args, *(keyword.value for keyword in node.keywords)]:
            yield from _numbers(one)


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
