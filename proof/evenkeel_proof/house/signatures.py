"""Signatures that hide what they take or give behind an untyped dict."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from evenkeel_proof.house.imports import bindings, module_of
from evenkeel_proof.house.tree import PRODUCT, Figure, Function, Source, Tree

DICTS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict"}
# Ends the line of a public function whose signature says no reason.
UNARGUED = "; public, no reason on the line"
SHAPELESS = {"Any", "object"}


def untyped_signatures_percent(tree: Tree, room: str) -> Figure:
    """Give the percentage of functions of `room` with an untyped dict in their signature.

    That is a dict or mapping whose values are Any or object, itself, inside another type or by an
    alias; and Any, which may be one. Methods and inner functions count.
    """
    names = Names(tree)
    sources = tree.python(f"{PRODUCT}/{room}")
    functions = sum(len(source.functions) for source in sources)
    causes = [
        f"{source.path}:{node.lineno}: {node.name}: {', '.join(parts)}"
        + (UNARGUED if not node.name.startswith("_") and not _has_reason(source, node) else "")
        for source in sources
        for node in source.functions
        if (parts := list(names.untyped(source, node)))
    ]
    return Figure(round(100 * len(causes) / functions, 1) if functions else 0, causes)


def _has_reason(source: Source, function: Function) -> bool:
    """Say whether a comment follows on a line of the signature."""
    last = max(function.lineno, function.body[0].lineno - 1)
    signature = source.text.splitlines()[function.lineno - 1 : last]
    return any(re.search(r"\S  # ", line) for line in signature)


class Names:
    """What names of types mean in each module of the product."""

    def __init__(self, tree: Tree) -> None:
        self._sources = {module_of(one.path): one for one in tree.python(PRODUCT)}
        self._aliases = {name: dict(_aliases(one)) for name, one in self._sources.items()}
        self._imported = {name: bindings(one) for name, one in self._sources.items()}

    def untyped(self, source: Source, function: Function) -> Iterator[str]:
        """Give each parameter that is or holds an untyped dict, and `return` if the result does."""
        module = module_of(source.path)
        given = function.args
        rest = [one for one in (given.vararg, given.kwarg) if one]
        for one in [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]:
            if one.annotation and self._is_untyped(module, one.annotation):
                yield one.arg
        if function.returns and self._is_untyped(module, function.returns):
            yield "return"

    def _is_untyped(self, module: str, node: ast.AST) -> bool:
        if _last(_unquoted(node)) == "Any":
            return True
        for part, at in self._parts(module, node):
            name = _last(part)
            if name in DICTS:
                return True
            if isinstance(part, ast.Subscript) and _last(part.value) in DICTS:
                values = part.slice.elts[-1] if isinstance(part.slice, ast.Tuple) else part.slice
                if any(_last(inner) in SHAPELESS for inner, _ in self._parts(at, values)):
                    return True
        return False

    def _parts(
        self, module: str, node: ast.AST, seen: frozenset[str] = frozenset()
    ) -> Iterator[tuple[ast.AST, str]]:
        """Give `node`, every part of it and of the aliases in it, each with its module.

        The name of a generic type with parameters is no part of its own.
        """
        node = _unquoted(node)
        yield node, module
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        home, meaning = self._meaning(module, name)
        if meaning and f"{home}.{name}" not in seen:
            yield from self._parts(home, meaning, seen | {f"{home}.{name}"})
        for one in _inner(node):
            yield from self._parts(module, one, seen)

    def _meaning(self, module: str, name: str) -> tuple[str, ast.AST | None]:
        """Give where alias `name` of `module` is made and what it means there, or None."""
        for _ in self._sources:
            if name in self._aliases[module]:
                return module, self._aliases[module][name]
            first, dot, rest = name.partition(".")
            full = self._imported[module].get(first, "") + dot + rest
            home, _, name = full.rpartition(".")
            if home not in self._sources:
                break
            module = home
        return module, None


def _unquoted(node: ast.AST) -> ast.AST:
    """Give the type that is written as a string; anything else as it is."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        with suppress(SyntaxError):
            return ast.parse(node.value, mode="eval").body
    return node


def _inner(node: ast.AST) -> Iterable[ast.AST]:
    """Give the types that `node` is made of. What Literal and Annotated add are no types."""
    if not isinstance(node, ast.Subscript):
        return ast.iter_child_nodes(node)
    name = _last(node.value)
    if name == "Annotated" and isinstance(node.slice, ast.Tuple):
        return node.slice.elts[:1]
    return () if name == "Literal" else (node.slice,)


def _last(node: ast.AST) -> str:
    """Give the last part of the dotted name that `node` is, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _aliases(source: Source) -> Iterator[tuple[str, ast.AST]]:
    """Give what each name of a module is assigned, where that may be a type."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
