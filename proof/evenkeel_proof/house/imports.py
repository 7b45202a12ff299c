"""Which module imports which: the longest chain, and the most that one module brings with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from evenkeel_proof.house.tree import PRODUCT, Figure, Source, Tree

Graph = Mapping[str, set[str]]


def import_depth(tree: Tree) -> Figure:
    """Count the modules in the longest chain of imports in src/evenkeel; a circle counts as one.

    An import inside a function counts too; one for the type checker alone does not.
    """
    graph = _graph(tree)
    reached = {name: _reached(graph, name) for name in graph}
    chains: dict[str, list[str]] = {}
    # A module comes after all that it reaches; those of one circle reach the same.
    for name in sorted(graph, key=lambda name: len(reached[name] | {name})):
        circle = {one for one in reached[name] if name in reached[one]} | {name}
        below = {other for one in circle for other in graph[one]} - circle
        longest = max((chains[one] for one in sorted(below)), key=len, default=[])
        chains[name] = [" = ".join(sorted(circle)), *longest]
    longest = max(chains.values(), key=len, default=[])
    return Figure(len(longest), longest)


def import_reach(tree: Tree) -> Figure:
    """Count the modules of src/evenkeel that one of them imports, itself or through others.

    An import inside a function counts too; one for the type checker alone does not.
    """
    graph = _graph(tree)
    counts = {name: len(_reached(graph, name) - {name}) for name in graph}
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return Figure(max(counts.values(), default=0), [f"{count} {name}" for name, count in rows])


def _graph(tree: Tree) -> Graph:
    modules = {module_of(one.path): one for one in tree.python(PRODUCT)}
    return {
        name: {_known(other, modules) for other in imported(one)} & modules.keys() - {name}
        for name, one in modules.items()
    }


def _known(name: str, modules: Mapping[str, Source]) -> str:
    """Give the module that `name`, of a module or of something in it, belongs to."""
    return name if name in modules else name.rpartition(".")[0]


def _reached(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def module_of(path: str) -> str:
    """Give the module of the file at `path`, as an import names it."""
    name = path.partition("/")[2].removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


def imported(source: Source) -> Iterator[str]:
    """Give each name that `source` imports, with the name of the module it comes from.

    What is imported for the type checker alone is left out.
    """
    typed = _for_the_type_checker(source)
    for element in source.elements:
        if element not in typed:
            yield from (full for _, full in _names(source, element))


def bindings(source: Source) -> dict[str, str]:
    """Give what each imported name of `source` stands for; the type checker's are among them."""
    return {name: full for element in source.elements for name, full in _names(source, element)}


def _names(source: Source, element: ast.AST) -> Iterator[tuple[str, str]]:
    """Give each name that the import `element` binds, and its full name; for others none."""
    if isinstance(element, ast.Import):
        for alias in element.names:
            yield alias.asname or alias.name, alias.name
    elif isinstance(element, ast.ImportFrom):
        package = module_of(source.path).split(".")
        if not source.path.endswith("/__init__.py"):
            package.pop()
        above = package[: len(package) - element.level + 1] if element.level else []
        base = ".".join([*above, *([element.module] if element.module else [])])
        for alias in element.names:
            yield alias.asname or alias.name, f"{base}.{alias.name}"


def _for_the_type_checker(source: Source) -> set[ast.AST]:
    return {
        inner
        for element in source.elements
        if isinstance(element, ast.If) and ast.unparse(element.test).endswith("TYPE_CHECKING")
        for statement in element.body
        for inner in ast.walk(statement)
    }
