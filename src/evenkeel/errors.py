"""The errors of Evenkeel, each with five parts: what, where, wanted, got, next step.

Every refusal and failure is one of these classes. Each has the exit code of scripts and playbooks
(docs/reference/exit-codes.md), so only the place that finds an error chooses its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_REFUSED = 10
EXIT_ROLLED_BACK = 11
EXIT_ROLLBACK_FAILED = 12
EXIT_INCONCLUSIVE = 13
EXIT_SPLIT_FLEET = 14

# Errors from reading data of an unexpected shape.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
MOST_PROBLEMS_SHOWN = 50
# The column of a part's text.
_PART = 10

# Commands as in our messages.
_PLAYBOOK = re.compile(r"\bansible-playbook(?= playbooks/)")
_SCRIPT = re.compile(r"\bscripts/(?:rollback|approve)\b")

# Gravest first; a command ends with its gravest code.
_GRAVITY = (
    EXIT_ROLLBACK_FAILED,
    EXIT_SPLIT_FLEET,
    EXIT_ROLLED_BACK,
    EXIT_INCONCLUSIVE,
    EXIT_REFUSED,
    EXIT_USAGE,
)


def gravest(exit_codes: Iterable[int]) -> int:
    """Give the gravest of `exit_codes`; 0 when all are 0 or there are none."""
    codes = {code for code in exit_codes if code}
    return next((code for code in _GRAVITY if code in codes), max(codes, default=EXIT_OK))


def printable(text: str) -> str:
    """Give `text` with unprintable characters replaced, line breaks aside."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """Give `text` as `printable` does, on one line, so it cannot imitate a line of ours."""
    return printable(text).replace("\n", " ")


def indented(text: str, columns: int) -> str:
    """Indent all lines of `text` but the first, so they cannot imitate a line of ours."""
    return text.replace("\n", "\n" + " " * columns)


def for_inventory(text: str, given: str, default: str) -> str:
    """Give `text` with the inventory added to every command in it.

    `given` is the option `-i PATH` of this run; scripts use the inventory `default` without it.
    """
    text = _PLAYBOOK.sub(lambda found: f"{found[0]} {given}", text)
    return text if given == default else _SCRIPT.sub(lambda found: f"{found[0]} {given}", text)


class EvenkeelError(Exception):
    """An error that a person has to know about.

    `what` is one sentence. `where`, `wanted`, `got` and `next_step` each get a line when given.
    None of them may hold a secret or a complete configuration.
    """

    exit_code = EXIT_REFUSED

    def __init__(
        self, what: str, *, where: str = "", wanted: str = "", got: str = "", next_step: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.wanted = wanted
        self.got = got
        self.next_step = next_step

    def __str__(self) -> str:
        """The message for people, with a line for each given part."""
        parts = (
            ("where", self.where),
            ("wanted", self.wanted),
            ("got", self.got),
            ("next", self.next_step),
        )
        said = (f"  {name + ':':<8}{indented(text, _PART)}" for name, text in parts if text)
        lines = [indented(self.what, _PART), *said]
        return printable("\n".join(lines))

    def as_dict(self) -> dict[str, Any]:
        """The parts for machines, with the exit code."""
        return {
            "what": self.what,
            "where": self.where,
            "wanted": self.wanted,
            "got": self.got,
            "next_step": self.next_step,
            "exit_code": self.exit_code,
        }


class UsageError(EvenkeelError):
    """The command got unknown arguments."""

    exit_code = EXIT_USAGE


class Refused(EvenkeelError):
    """Refused before anything live was changed."""

    exit_code = EXIT_REFUSED


@contextmanager
def readable(what: str, where: object) -> Iterator[None]:
    """Raise Refused when reading `what` at `where` fails on its shape."""
    try:
        yield
    except UNREADABLE as error:
        raise Refused(
            f"{what} cannot be read",
            where=str(where),
            got=f"{type(error).__name__}: {str(error)[:300]}",
            next_step="look for an edited file in the change's folder",
        ) from None


class RolledBack(EvenkeelError):
    """The change failed, and every host that it reached was rolled back."""

    exit_code = EXIT_ROLLED_BACK


class RollbackFailed(EvenkeelError):
    """A host could not be rolled back; an operator has to act."""

    exit_code = EXIT_ROLLBACK_FAILED


class Inconclusive(EvenkeelError):
    """Too little was measured for a verdict."""

    exit_code = EXIT_INCONCLUSIVE


@dataclass(frozen=True)
class Problem:
    """One problem of an input: its path, the wanted value, the found value."""

    path: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return indented(f"{self.path}: wanted {self.wanted}; got {self.got}", _PART)


class Problems(Refused):
    """All problems of one input, reported at once."""

    def __init__(
        self, what: str, problems: Sequence[Problem], *, where: str = "", next_step: str = ""
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """The sentence, a line for each problem, then the next step."""
        lines = [indented(self.what, _PART)]
        if self.where:
            lines.append(f"  where:  {indented(self.where, _PART)}")
        lines += [f"  - {problem}" for problem in self.problems[:MOST_PROBLEMS_SHOWN]]
        if len(self.problems) > MOST_PROBLEMS_SHOWN:
            lines.append(f"  and {len(self.problems) - MOST_PROBLEMS_SHOWN} more")
        if self.next_step:
            lines.append(f"  next:   {indented(self.next_step, _PART)}")
        return printable("\n".join(lines))

    def as_dict(self) -> dict[str, Any]:
        """The parts for machines, with the problems that are shown."""
        shown = self.problems[:MOST_PROBLEMS_SHOWN]
        return super().as_dict() | {"faults": [vars(problem) for problem in shown]}
