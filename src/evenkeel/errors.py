"""What went wrong, said so that a person can act: what, where, wanted, got, next step.

Every refusal and failure of Evenkeel is one of these classes. Each carries the exit code that
scripts and playbooks end with (docs/reference/exit-codes.md), so that the decision is made where
the fault is known and nowhere else.
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

# What a file or an answer of a shape that nothing of ours writes can lead to.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
# More than a person reads at once; the rest is counted.
MOST_FAULTS_SHOWN = 50
# The column at which the text of a part begins.
_PART = 10

# Commands as our messages write them.
_PLAYBOOK = re.compile(r"\bansible-playbook(?= playbooks/)")
_SCRIPT = re.compile(r"\bscripts/(?:rollback|approve)\b")

# Gravest first: when several things went wrong, the command ends with the code of the gravest.
_GRAVITY = (
    EXIT_ROLLBACK_FAILED,
    EXIT_SPLIT_FLEET,
    EXIT_ROLLED_BACK,
    EXIT_INCONCLUSIVE,
    EXIT_REFUSED,
    EXIT_USAGE,
)


def gravest(exit_codes: Iterable[int]) -> int:
    """Give the code of the gravest of `exit_codes`; 0 when there is none or all are 0."""
    codes = {code for code in exit_codes if code}
    return next((code for code in _GRAVITY if code in codes), max(codes, default=EXIT_OK))


def printable(text: str) -> str:
    """Give `text` with what could move a terminal's cursor replaced; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """Give `text` as `printable` does, and on one line: no part passes for a line of ours."""
    return printable(text).replace("\n", " ")


def indented(text: str, columns: int) -> str:
    """Give `text` with all lines but the first set in: none of them passes for one of ours."""
    return text.replace("\n", "\n" + " " * columns)


def for_inventory(text: str, given: str, default: str) -> str:
    """Give `text` with the inventory named in every command that a person is told to type.

    `given` are the words `-i PATH` of this run; scripts take the inventory `default` by themselves.
    """
    text = _PLAYBOOK.sub(lambda found: f"{found[0]} {given}", text)
    return text if given == default else _SCRIPT.sub(lambda found: f"{found[0]} {given}", text)


class EvenkeelError(Exception):
    """Something went wrong that a person has to know about.

    `what` is one sentence. `where`, `wanted`, `got` and `next_step` are shown on lines of their own
    when they are given. None of them may hold a secret or a whole configuration.
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
        """The message as a person reads it, one line for each part that is known."""
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
        """The same parts for machines, with the exit code."""
        return {
            "what": self.what,
            "where": self.where,
            "wanted": self.wanted,
            "got": self.got,
            "next_step": self.next_step,
            "exit_code": self.exit_code,
        }


class UsageError(EvenkeelError):
    """The command was called with words it does not know."""

    exit_code = EXIT_USAGE


class Refused(EvenkeelError):
    """Refused before anything live was touched."""

    exit_code = EXIT_REFUSED


@contextmanager
def readable(what: str, where: object) -> Iterator[None]:
    """Raise Refused, `what` cannot be read, for a file of a shape that nothing of ours writes."""
    try:
        yield
    except UNREADABLE as fault:
        raise Refused(
            f"{what} cannot be read",
            where=str(where),
            got=f"{type(fault).__name__}: {str(fault)[:300]}",
            next_step="look for an edited file in the change's folder",
        ) from None


class RolledBack(EvenkeelError):
    """The change went wrong and everything it reached went back."""

    exit_code = EXIT_ROLLED_BACK


class RollbackFailed(EvenkeelError):
    """A host could not be taken back: a person is needed."""

    exit_code = EXIT_ROLLBACK_FAILED


class Inconclusive(EvenkeelError):
    """Too little was measured to tell."""

    exit_code = EXIT_INCONCLUSIVE


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in an input: where it stands, what was wanted, what was found."""

    path: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return indented(f"{self.path}: wanted {self.wanted}; got {self.got}", _PART)


class Faults(Refused):
    """Everything that is wrong in one input, reported at once."""

    def __init__(
        self, what: str, faults: Sequence[Fault], *, where: str = "", next_step: str = ""
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        """The sentence, each fault on a line of its own, then the next step."""
        lines = [indented(self.what, _PART)]
        if self.where:
            lines.append(f"  where:  {indented(self.where, _PART)}")
        lines += [f"  - {fault}" for fault in self.faults[:MOST_FAULTS_SHOWN]]
        if len(self.faults) > MOST_FAULTS_SHOWN:
            lines.append(f"  and {len(self.faults) - MOST_FAULTS_SHOWN} more")
        if self.next_step:
            lines.append(f"  next:   {indented(self.next_step, _PART)}")
        return printable("\n".join(lines))

    def as_dict(self) -> dict[str, Any]:
        """The parts for machines, with every fault."""
        shown = self.faults[:MOST_FAULTS_SHOWN]
        return super().as_dict() | {"faults": [vars(fault) for fault in shown]}
