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
        f"{source.path}:{element.lineno}: {element.name}: {', '.join(parts)}"
        + (
            UNARGUED
            if not element.name.startswith("_") and not _has_reason(source, element)
            else ""
        )
        for source in sources
        for element in source.functions
        if (parts := list(names.untyped(source, element)))
    ]
    return Figure(round(100 * len(causes) / functions, 1) if functions else 0, causes)


def _has_reason(source: Source, function: Function) -> bool:
    """Say whether a comment follows on a line of the signature."""
    last = max(function.lineno, function.body[0].lineno - 1)
    signature = source.text.splitlines()[function.lineno - 1 : last]
    return any(re.search(r"\S  # ", line) for line in signature)


class Names:
    """What names at the top of each module of the product stand for, imported ones too."""

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

    def _is_untyped(self, module: str, element: ast.AST) -> bool:
        if _last(_unquoted(element)) == "Any":
            return True
        for part, at in self._parts(module, element):
            name = _last(part)
            if name in DICTS:
                return True
            if isinstance(part, ast.Subscript) and _last(part.value) in DICTS:
                values = part.slice.elts[-1] if isinstance(part.slice, ast.Tuple) else part.slice
                if any(_last(inner) in SHAPELESS for inner, _ in self._parts(at, values)):
                    return True
        return False

    def _parts(
        self, module: str, element: ast.AST, seen: frozenset[str] = frozenset()
    ) -> Iterator[tuple[ast.AST, str]]:
        """Give `element`, every part of it and of the aliases in it, each with its module.

        The name of a generic type with parameters is no part of its own.
        """
        element = _unquoted(element)
        yield element, module
        name = ast.unparse(element) if isinstance(element, ast.Name | ast.Attribute) else ""
        home, meaning = self.meaning(module, name)
        if meaning and f"{home}.{name}" not in seen:
            yield from self._parts(home, meaning, seen | {f"{home}.{name}"})
        for one in _inner(element):
            yield from self._parts(module, one, seen)

    def path_of(self, module: str) -> str:
        """Give the path of the file of `module`."""
        return self._sources[module].path

    def meaning(self, module: str, name: str) -> tuple[str, ast.expr | None]:
        """Give the module where `name` of `module` gets its value, and the value or None."""
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


def _unquoted(element: ast.AST) -> ast.AST:
    """Give the type that is written as a string; anything else as it is."""
    if isinstance(element, ast.Constant) and isinstance(element.value, str):
        with suppress(SyntaxError):
            return ast.parse(element.value, mode="eval").body
    return element


def _inner(element: ast.AST) -> Iterable[ast.AST]:
    """Give the types that `element` is made of. What Literal and Annotated add are no types."""
    if not isinstance(element, ast.Subscript):
        return ast.iter_child_nodes(element)
    name = _last(element.value)
    if name == "Annotated" and isinstance(element.slice, ast.Tuple):
        return element.slice.elts[:1]
    return () if name == "Literal" else (element.slice,)


def _last(element: ast.AST) -> str:
    """Give the last part of the dotted name that `element` is, or nothing."""
    if isinstance(element, ast.Name):
        return element.id
    return element.attr if isinstance(element, ast.Attribute) else ""


def _aliases(source: Source) -> Iterator[tuple[str, ast.expr]]:
    """Give what each name of a module is assigned, where that may be a type."""
    for element in source.tree.body:
        if isinstance(element, ast.Assign) and isinstance(element.targets[0], ast.Name):
            yield element.targets[0].id, element.value
        elif (
            isinstance(element, ast.AnnAssign)
            and isinstance(element.target, ast.Name)
            and element.value
        ):
            yield element.target.id, element.value
