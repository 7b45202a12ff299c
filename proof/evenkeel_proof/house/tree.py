"""The Python files of a checkout, each read and parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from evenkeel.errors import Refused

PRODUCT = "src/evenkeel"
PROOF = "proof/evenkeel_proof"
ROLES = "roles"
TESTS = "tests"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Figure(NamedTuple):
    """A measured value, and what makes it up: a line each, to be read."""

    value: float
    causes: list[str]


class Source:
    """One Python file: its path from the root of the checkout, its text and its syntax tree."""

    def __init__(self, root: Path, file: Path) -> None:
        self.path = file.relative_to(root).as_posix()
        # What is not UTF-8 is no Python either, and fails there.
        self.text = file.read_text("utf-8", "surrogateescape")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree. Raises Refused for a file that is not Python."""
        try:
            return ast.parse(self.text)
        except (SyntaxError, ValueError) as error:
            raise Refused(
                "A file is not Python",
                where=self.path,
                got=str(error),
                next_step="mend it, then measure again",
            ) from None

    @cached_property
    def elements(self) -> list[ast.AST]:
        """Every element of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, inner ones too."""
        return [element for element in self.elements if isinstance(element, Function)]


class Tree:
    """A checkout. A folder that is missing in it holds no files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[Path, Source] = {}

    def python(self, *folders: str) -> list[Source]:
        """Give the Python files in `folders` and below, in the order of their paths."""
        found = {file for folder in folders for file in (self.root / folder).rglob("*.py")}
        return [self._source(file) for file in sorted(found)]

    def role_files(self) -> list[Source]:
        """Give the Python files of the roles, without their tests."""
        return [one for one in self.python(ROLES) if "/files/" in one.path]

    def shipped(self) -> list[Source]:
        """Give the code that users run: the product and the files of its roles."""
        return self.python(PRODUCT) + self.role_files()

    def texts(self, place: str, *suffixes: str) -> Iterator[tuple[str, str]]:
        """Give path and text of file `place`, or of each file below it with one of `suffixes`."""
        start = self.root / place
        for file in [start] if start.is_file() else sorted(start.rglob("*")):
            if file.suffix in suffixes and file.is_file():
                yield file.relative_to(self.root).as_posix(), file.read_text("utf-8", "replace")

    def _source(self, file: Path) -> Source:
        if file not in self._read:
            self._read[file] = Source(self.root, file)
        return self._read[file]
