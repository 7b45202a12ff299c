"""Functions that are cut off from their only caller, and signatures that hide what they take."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable

from evenkeel_proof.house.tree import Figure, Function, Tree


def single_use_private_percent(tree: Tree) -> Figure:
    """Give the percentage of shipped functions that are private and used once in their module.

    Private is a name with an underscore, and one that no other file of code, templates or tests
    has. To be called or named is a use; to call itself is none. Methods and inner functions count.
    Decorated functions without an underscore and names such as __init__ are called by others.
    """
    causes = []
    functions = 0
    files = _files_with(tree)
    for source in tree.shipped():
        uses = _uses(source.elements)
        functions += len(source.functions)
        for element in source.functions:
            if uses[element.name] - _uses(ast.walk(element))[element.name] == 1 and (
                _is_private(element.name) or _is_alone(element, files)
            ):
                lines = (element.end_lineno or element.lineno) - element.lineno + 1
                causes.append(
                    (lines, f"{source.path}:{element.lineno}: {element.name}, {lines} lines")
                )
    # The shortest first: they go into their callers with the least work.
    causes.sort()
    return Figure(
        round(100 * len(causes) / functions, 1) if functions else 0, [text for _, text in causes]
    )


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _is_alone(element: Function, files: Counter[str]) -> bool:
    return (
        not element.name.startswith("__")
        and not element.decorator_list
        and files[element.name] == 1
    )


def _files_with(tree: Tree) -> Counter[str]:
    """Count the files that each word is in."""
    files: Counter[str] = Counter()
    for folder in ("src", "proof", "roles", "plugins", "scripts", "tests"):
        for _, text in tree.texts(folder, ".py", ".j2", ".yml", ""):
            files.update(set(re.findall(r"\w+", text)))
    return files


def _uses(elements: Iterable[ast.AST]) -> Counter[str]:
    """Count where each name is read, on its own or behind a dot."""
    uses: Counter[str] = Counter()
    for element in elements:
        if isinstance(element, ast.Name) and isinstance(element.ctx, ast.Load):
            uses[element.id] += 1
        elif isinstance(element, ast.Attribute):
            uses[element.attr] += 1
    return uses
