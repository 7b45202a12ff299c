"""The figures of the code, each with its target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from evenkeel_proof.house.comments import words_per_comment
from evenkeel_proof.house.files import (
    file_names_used_twice,
    files_most_in_a_folder,
    product_lines,
)
from evenkeel_proof.house.functions import single_use_private_percent
from evenkeel_proof.house.imports import import_depth, import_reach
from evenkeel_proof.house.signatures import untyped_signatures_percent
from evenkeel_proof.house.tolerance import files_naming_the_tolerance_default
from evenkeel_proof.house.tree import Figure, Tree


class Target(NamedTuple):
    """The most that a figure may be; where `below`, it has to be less."""

    most: float
    below: bool = False

    def holds(self, value: float) -> bool:
        """Say whether `value` is within the target."""
        return value < self.most if self.below else value <= self.most

    def __str__(self) -> str:
        return f"{'<' if self.below else '<='} {self.most:g}"


class Measure(NamedTuple):
    """One row: what is counted, how, and the target."""

    words: str
    figure: Callable[[Tree], Figure]
    target: Target


def _untyped(room: str) -> Callable[[Tree], Figure]:
    return partial(untyped_signatures_percent, room=room)


# The part of a key after its dot is a key of its own in an object.
MEASURES: Mapping[str, Measure] = {
    "product_lines": Measure("lines of src/evenkeel", product_lines, Target(29_500)),
    "files_most_in_a_folder": Measure(
        "Python files in the fullest folder", files_most_in_a_folder, Target(20)
    ),
    "import_depth": Measure("modules in the longest chain of imports", import_depth, Target(12)),
    "import_reach": Measure("most modules reached from one", import_reach, Target(90)),
    "single_use_private_percent": Measure(
        "private functions used once, %", single_use_private_percent, Target(15, below=True)
    ),
    "untyped_signatures_percent.rehearsal": Measure(
        "untyped signatures in rehearsal, %", _untyped("rehearsal"), Target(15, below=True)
    ),
    "untyped_signatures_percent.verbs": Measure(
        "untyped signatures in verbs, %", _untyped("verbs"), Target(25, below=True)
    ),
    "file_names_used_twice": Measure(
        "file names used more than once", file_names_used_twice, Target(12)
    ),
    "words_per_comment": Measure("words in a comment", words_per_comment, Target(9)),
    "files_naming_the_tolerance_default": Measure(
        "files to touch to change the tolerance", files_naming_the_tolerance_default, Target(4)
    ),
}


def measured(tree: Tree) -> dict[str, float]:
    """Give every figure of `tree`, by key. Raises Refused for a file that is not Python."""
    return {key: measure.figure(tree).value for key, measure in MEASURES.items()}


def as_json(values: Mapping[str, float]) -> dict[str, float | dict[str, float]]:
    """Give `values` with keys of one object together: `a.b` is `b` of the object `a`."""
    grouped: dict[str, float | dict[str, float]] = {}
    for key, value in values.items():
        name, dot, part = key.partition(".")
        inner = grouped.setdefault(name, {}) if dot else None
        if isinstance(inner, dict):
            inner[part] = value
        else:
            grouped[name] = value
    return grouped


def missed(values: Mapping[str, float]) -> list[str]:
    """Give the keys of `values` that miss their targets."""
    return [key for key, value in values.items() if not MEASURES[key].target.holds(value)]


def lines(values: Mapping[str, float]) -> Iterator[str]:
    """Give the table of `values` beside their targets, a line at a time."""
    width = max(len(measure.words) for measure in MEASURES.values())
    yield f"{'figure':<{width}}  {'today':>8}  {'target':>8}"
    for key, value in values.items():
        words, _, target = MEASURES[key]
        mark = "" if target.holds(value) else "  missed"
        yield f"{words:<{width}}  {value:>8g}  {target!s:>8}{mark}"
