"""Read Python files once, as text, as a tree and as a module of ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One Python file: its path below the checkout `root`, and its content."""

    root: Path
    path: str

    @cached_property
    def text(self) -> str:
        """The content."""
        return (self.root / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """The lines."""
        return self.text.splitlines()

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folder below the checkout."""
        return self.path.rpartition("/")[0]

    @property
    def module(self) -> str:
        """The dotted name by which a file below src/ is imported."""
        parts = self.path.removeprefix("src/").removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Give every function, methods and inner ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def sources(root: Path, *patterns: str) -> list[Source]:
    """Give the Python files of the checkout `root` that match, sorted by path."""
    paths = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return [Source(root, path.relative_to(root).as_posix()) for path in sorted(paths)]


def product(root: Path) -> list[Source]:
    """Give the files of the product's package."""
    return sources(root, "src/evenkeel/**/*.py")


def with_roles(root: Path) -> list[Source]:
    """Give the files of the product's package and of every role."""
    return sources(root, "src/evenkeel/**/*.py", "roles/*/files/**/*.py")
