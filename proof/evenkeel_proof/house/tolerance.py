"""Which files say what the default tolerance of the band is: all are touched when it changes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from evenkeel_proof.house.code import Source, sources

_PERCENT, _SHARE = 30, 0.3
_NEAR = re.compile(r"toleran|\bband\b", re.IGNORECASE)
_SAYS = re.compile(
    r"\b30(?:\.0)? ?%|\b0\.3\b|default[^\n]{0,20}\b30\b|\b30\b[^\n]{0,20}default", re.I
)


def files_naming_it(root: Path) -> list[str]:
    """Give the paths, below the checkout `root`, of code, tests and pages that name the default.

    Code names it by a number beside a name with `tolerance`: a default, an argument, a key. A page
    names it in a line, or the one before, that speaks of a tolerance or a band. Decision records
    keep what was decided then, and a test with a tolerance of its own needs no default: neither
    of them counts.
    """
    code = sources(root, *(f"{top}/**/*.py" for top in ("src", "proof", "roles", "tests")))
    pages = [
        path
        for path in sorted((root / "docs").rglob("*"))
        if path.suffix in (".md", ".json") and "decisions" not in path.parts
    ]
    found = [file.path for file in code if _has_default(file) or _gives_it(file)]
    return found + [path.relative_to(root).as_posix() for path in pages if _says_it(path)]


def _gives_it(file: Source) -> bool:
    """Tell whether an argument or a key says it, outside of tests."""
    if file.path.startswith("tests/"):
        return False
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            words = [ast.unparse(one) for one in node.args]
            words += [f"{one.arg} {ast.unparse(one.value)}" for one in node.keywords]
            values = [*node.args, *(one.value for one in node.keywords)]
            if "tolerance" in " ".join(words) and any(_is_it(one) for one in values):
                return True
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            if any(_says_tolerance(key) and _holds_it(one) for key, one in pairs):
                return True
    return False


def _has_default(file: Source) -> bool:
    """Tell whether a parameter, a field or a constant has it as its value."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args]
            defaults = list(zip(reversed(given), reversed(node.args.defaults), strict=False))
            defaults += [
                (arg, value)
                for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                if value is not None
            ]
            if any("tolerance" in arg.arg and _is_it(value) for arg, value in defaults):
                return True
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any("tolerance" in ast.unparse(target).lower() for target in targets)
            if named and any(_is_it(one) for one in ast.walk(node.value)):
                return True
    return False


def _says_tolerance(key: ast.expr | None) -> bool:
    return key is not None and "tolerance" in ast.unparse(key)


def _holds_it(value: ast.expr) -> bool:
    return any(_is_it(node) for node in ast.walk(value))


def _is_it(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in (_PERCENT, _SHARE)


def _says_it(page: Path) -> bool:
    lines = page.read_text(encoding="utf-8").splitlines()
    if page.suffix == ".json":
        text = "\n".join(lines)
        near = re.search(r'tolerance[^}]*"default": (?:30|0\.3)\b', text, re.DOTALL)
        return near is not None or re.search(r'"default": 30[^}]*tolerance', text) is not None
    pairs = zip(["", *lines], lines, strict=False)
    return any(_SAYS.search(line) and _NEAR.search(f"{before} {line}") for before, line in pairs)
