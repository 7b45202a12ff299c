"""How long comments are."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from evenkeel_proof.house.tree import Figure, Source, Tree

# What tools read: it is no comment, but a reason behind it is.
FOR_TOOLS = re.compile(r"^(!|-\*-|\s*(noqa\b|type: ignore|fmt:|pragma:|pylint:|mypy:|ruff:))")


def words_per_comment(tree: Tree) -> Figure:
    """Divide the words of all comments of shipped code by the number of comments.

    Lines of comment that follow each other are one comment. Suppressions of tools do not count.
    """
    found = [(one.path, *row) for one in tree.shipped() for row in comments(one)]
    counts = [(len(text.split()), f"{path}:{line}: {text}") for path, line, text in found]
    total = sum(count for count, _ in counts)
    most = sorted((row for row in counts if row[0] > 9), key=lambda row: -row[0])
    causes = [f"{count} {where}" for count, where in most]
    return Figure(round(total / len(counts), 1) if counts else 0, causes)


def comments(source: Source) -> Iterator[tuple[int, str]]:
    """Give the first line of each comment in `source`, and its text on one line."""
    if "#" not in source.text:
        return
    begun, text, last = 0, "", (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT or FOR_TOOLS.match(token.string[1:]):
            continue
        alone = not token.line[: token.start[1]].strip()
        said = token.string.lstrip("#").strip()
        if alone and last == (token.start[0] - 1, token.start[1]):
            text = f"{text} {said}"
        else:
            if text:
                yield begun, text
            begun, text = token.start[0], said
        last = token.start
    if text:
        yield begun, text
