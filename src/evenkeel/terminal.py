"""Output for people: drawn by rich on a terminal, plain lines everywhere else.

rich is imported where something is drawn: most verbs of a playbook draw nothing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

from evenkeel.errors import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

# rich never wraps or cuts a plain line.
UNLIMITED = 1_000_000


def draws(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """Whether `stream` gets bars and colours; a pipe, CI, NO_COLOR and a dumb terminal do not."""
    plain_wanted = (
        environment.get("TERM") == "dumb"
        or environment.get("CI", "") not in ("", "false")
        or environment.get("NO_COLOR", "") != ""
    )
    return stream.isatty() and not plain_wanted


def console(stream: IO[str], *, drawing: bool, width: int | None = None) -> Console:
    """Give rich's console on `stream`; without `drawing` it writes text alone, of any width.

    Markup and emoji codes are off: names from hosts are printed as they are.
    """
    from rich.console import Console

    return Console(
        file=stream,
        force_terminal=drawing,
        color_system="auto" if drawing else None,
        width=width or (None if drawing else UNLIMITED),
        markup=False,
        emoji=False,
        highlight=False,
        force_jupyter=False,
        legacy_windows=False,
    )


def text(words: object, style: str = "") -> Text:
    """Give one line of text; control characters and line breaks in it are replaced."""
    from rich.text import Text

    return Text(one_line(str(words)), style)


def grid(
    head: Sequence[str], rows: Sequence[Sequence[str | Text]], *, numbers: bool = False
) -> Table:
    """Give a table without lines; with `numbers` all columns but the first align right."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for at, name in enumerate(head):
        drawn.add_column(text(name), justify="right" if numbers and at else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(text(cell) if isinstance(cell, str) else cell for cell in row))
    return drawn


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table as plain lines, one for each row."""
    return plain(grid(head, rows))


def plain(*parts: RenderableType) -> str:
    """Give `parts` as plain lines: no escape codes, nothing wrapped, no spaces at the end."""
    buffer = io.StringIO()
    _print(console(buffer, drawing=False), parts)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def show(*parts: RenderableType) -> None:
    """Print `parts` on standard output: drawn for a person, or as plain lines."""
    if draws(sys.stdout, os.environ):
        _print(console(sys.stdout, drawing=True), parts)
    else:
        say(plain(*parts))


def _print(on: Console, parts: Sequence[RenderableType]) -> None:
    from rich.text import Text

    for part in parts:
        if isinstance(part, str):
            # The terminal wraps it, so a copied command stays one line.
            on.print(Text(printable(part)), soft_wrap=True)
        else:
            on.print(part)


def say(words: str, stream: IO[str] | None = None) -> None:
    """Print a line at once, on standard output by default; control characters are replaced."""
    print(printable(words), file=stream, flush=True)
