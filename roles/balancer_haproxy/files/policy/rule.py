"""What a policy rule is, and what it finds.

A rule is a function of a configuration. It says what no traffic can show, and each finding has a
subject that stays the same from release to release, so that what is live already is known as such.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, NamedTuple, Optional

from ..config.parser import Configuration, Line

# Stops a change that brings it; what is live already is only told.
STOP = "stop"
# Stops a change that makes it so in a place that was otherwise; told in a place that is new.
LOST = "lost"
# Is told, and stops nothing.
TELL = "tell"


class Hit(NamedTuple):
    """One place where a rule is broken. `about` tells two findings at one place apart.

    `grade` is given where this finding weighs more or less than its rule does by default.
    """

    got: str
    line: Optional[Line] = None
    pool: str = ""
    server: str = ""
    listener: str = ""
    about: str = ""
    grade: str = ""

    @property
    def subject(self) -> str:
        """Give what a finding is about: a waiver names it so."""
        named = [("pool", self.pool), ("server", self.server), ("listener", self.listener)]
        parts = [f"{word} {name}" for word, name in named if name]
        return ", ".join([*parts, self.about] if self.about else parts) or "the process"


Find = Callable[[Configuration], Iterator[Hit]]
Compare = Callable[[Configuration, Configuration], Iterator[Hit]]


class Rule(NamedTuple):
    """One rule: its id, its grade, what it looks for, why that hurts, and what to do."""

    id: str
    grade: str
    title: str
    reason: str
    next_step: str
    looks_for: str
    find: Optional[Find]
    compare: Optional[Compare]


RULES: Dict[str, Rule] = {}


def rule(
    name: str, grade: str, *, title: str, reason: str, next_step: str
) -> Callable[[Find], Find]:
    """Enter a function of one configuration as the rule `name`."""

    def enter(find: Find) -> Find:
        _enter(Rule(name, grade, title, reason, next_step, _said(find.__doc__), find, None))
        return find

    return enter


def comparison(
    name: str, grade: str, *, title: str, reason: str, next_step: str
) -> Callable[[Compare], Compare]:
    """Enter a function of a configuration and the one that is live now as the rule `name`."""

    def enter(compare: Compare) -> Compare:
        _enter(Rule(name, grade, title, reason, next_step, _said(compare.__doc__), None, compare))
        return compare

    return enter


def _said(text: Optional[str]) -> str:
    return " ".join((text or "").split())


def _enter(one: Rule) -> None:
    if one.id in RULES:
        raise ValueError(f"two rules are called {one.id}")
    RULES[one.id] = one
