"""How many words a comment has, and which file names mean more than one file."""

from __future__ import annotations

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator

from evenkeel_proof.house.code import Source

# These speak to a tool, not to a reader.
_FOR_TOOLS = re.compile(r"#!|#\s*(noqa|type:|fmt:|pragma|ruff:|mypy:)")


def comments(file: Source) -> Iterator[tuple[int, str]]:
    """Give (line, text) of each comment; lines of comment that follow each other are one."""
    last, first, text = -1, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
        if token.type != tokenize.COMMENT or _FOR_TOOLS.match(token.string):
            continue
        line, words = token.start[0], token.string.lstrip("#").strip()
        alone = file.lines[line - 1].lstrip().startswith("#")
        if text and alone and line == last + 1:
            last, text = line, f"{text} {words}"
            continue
        if text:
            yield first, text
        first, text = line, words
        last = line if alone else -1
    if text:
        yield first, text


def names_used_twice(files: Iterable[Source]) -> dict[str, list[str]]:
    """Give {name: paths} of the file names that two or more files have."""
    by_name = defaultdict(list)
    for file in files:
        if not file.name.startswith("__"):
            by_name[file.name].append(file.path)
    return {name: paths for name, paths in sorted(by_name.items()) if len(paths) > 1}
