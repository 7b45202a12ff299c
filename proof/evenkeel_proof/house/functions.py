"""Private functions with one use, and functions whose signature says nothing of a dict's shape."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping

from evenkeel_proof.house.code import Source

_DICTS = {"dict", "Dict", "Mapping", "MutableMapping"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def single_use(file: Source) -> list[str]:
    """Give "path:line name" of the private functions that their own module names exactly once."""
    uses = Counter[str]()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name):
            uses[node.id] += 1
        elif isinstance(node, ast.Attribute):
            uses[node.attr] += 1
    return [
        f"{file.path}:{function.lineno} {function.name}"
        for function in file.functions()
        if function.name.startswith("_")
        and not function.name.startswith("__")
        and uses[function.name] == 1
    ]


def aliases(files: Iterable[Source]) -> dict[str, frozenset[str]]:
    """Give {module: names that stand for an untyped dict in it}, imported names too."""
    known: dict[str, frozenset[str]] = {}
    files = list(files)
    for _ in range(3):  # A name may be imported through two more modules.
        for file in files:
            known[file.module] = frozenset(_aliases(file, known))
    return known


def _aliases(file: Source, known: Mapping[str, frozenset[str]]) -> Iterable[str]:
    for node in file.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if is_untyped(node.value, known.get(file.module, frozenset())):
                yield node.targets[0].id
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if alias.name in known.get(node.module, frozenset()):
                    yield alias.asname or alias.name


def is_untyped(annotation: ast.expr, names: frozenset[str] = frozenset()) -> bool:
    """Tell whether an annotation holds a dict of any shape: dict[str, Any], dict, an alias."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return is_untyped(ast.parse(annotation.value, mode="eval").body, names)
        except SyntaxError:
            return False
    if isinstance(annotation, ast.Name):
        return annotation.id in _DICTS or annotation.id in names
    if isinstance(annotation, ast.Subscript):
        base, inner = annotation.value, annotation.slice
        of = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if isinstance(base, ast.Name) and base.id in _DICTS:
            last = of[-1]
            return (isinstance(last, ast.Name) and last.id == "Any") or is_untyped(last, names)
        return any(is_untyped(one, names) for one in of)
    if isinstance(annotation, ast.BinOp):
        return is_untyped(annotation.left, names) or is_untyped(annotation.right, names)
    if isinstance(annotation, ast.List):
        return any(is_untyped(one, names) for one in annotation.elts)
    return False


def written_types(function: _Function) -> list[ast.expr]:
    """Give the annotations of a function's parameters and of its answer."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    found = [one.annotation for one in every if one is not None and one.annotation is not None]
    return [*found, function.returns] if function.returns is not None else found
