"""How deep and how wide modules import one another when they are imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from evenkeel_proof.house.code import Source

Graph = Mapping[str, frozenset[str]]


def graph(files: Iterable[Source]) -> Graph:
    """Give {module: the modules of `files` that it imports at its top level}."""
    by_name = {file.module: file for file in files}
    return {name: frozenset(_imported(file, by_name)) - {name} for name, file in by_name.items()}


def _imported(file: Source, known: Mapping[str, Source]) -> Iterator[str]:
    for node in _top_level(file.tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known:
                    yield full
                elif node.module in known:
                    yield node.module


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements that run at import; what is for a type checker alone does not run."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _top_level(getattr(node, inner, []))


def longest_chain(imports: Graph) -> list[str]:
    """Give the longest chain of modules in which each imports the next. A circle ends a chain."""
    best: dict[str, list[str]] = {}

    def chain(name: str, above: frozenset[str]) -> list[str]:
        if name not in best:
            tails = [chain(one, above | {name}) for one in sorted(imports[name] - above - {name})]
            best[name] = [name, *max(tails, key=len, default=[])]
        return best[name]

    return max((chain(name, frozenset()) for name in sorted(imports)), key=len, default=[])


def reach(imports: Graph, name: str) -> frozenset[str]:
    """Give the modules that are imported, in the end, when `name` is."""
    found: set[str] = set()
    new = {name}
    while new:
        found |= new
        new = {other for one in new for other in imports[one]} - found
    return frozenset(found - {name})


def widest(imports: Graph) -> tuple[str, frozenset[str]]:
    """Give the module that reaches most others, and these."""
    return max(
        ((name, reach(imports, name)) for name in sorted(imports)), key=lambda one: len(one[1])
    )
