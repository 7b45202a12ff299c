"""The engine of a role's policy rules: what a rule is, what it finds, and what is live already.

A rule is a function of a configuration. It finds what no traffic shows. Nothing here knows a
balancer: a role makes one `RuleBook` for its own type of configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from evenkeel.balancer.types import CatalogueEntry, Finding, Grade, Severity

# Stops a change that brings it; what is live already is only told.
STOP = "stop"
# Stops a change that makes it so in a place that was otherwise; told in a place that is new.
LOST = "lost"
# Stops nothing.
TELL = "tell"

_EVERY = "every server: "


class Line(Protocol):
    """One line of a configuration."""

    @property
    def file(self) -> str:
        """Give the name of its file in the release."""

    @property
    def number(self) -> int:
        """Give its number, from 1."""

    @property
    def words(self) -> Sequence[str]:
        """Give its words."""


class Listener(Protocol):
    """A place where clients arrive."""

    name: str


class Pool(Protocol):
    """A pool of a configuration."""

    name: str

    @property
    def servers(self) -> Sequence[object]:
        """Give its servers."""


class Configuration(Protocol):
    """A configuration, in which the engine looks for the place of a finding."""

    def back(self, name: str) -> Pool | None:
        """Give the pool of this name."""

    def front(self, name: str) -> Listener | None:
        """Give the listener of this name."""


class Hit(NamedTuple):
    """One place where a rule is broken. `about` tells two findings at one place apart.

    `grade` is given where this finding weighs more or less than its rule does by default.
    """

    got: str
    line: Line | None = None
    pool: str = ""
    server: str = ""
    listener: str = ""
    about: str = ""
    grade: str = ""

    @property
    def subject(self) -> str:
        """Give what a finding is about; a waiver names it."""
        named = [("pool", self.pool), ("server", self.server), ("listener", self.listener)]
        parts = [f"{word} {name}" for word, name in named if name]
        return ", ".join([*parts, self.about] if self.about else parts) or "the process"


C = TypeVar("C", bound=Configuration)
Find = Callable[[C], Iterator[Hit]]
Compare = Callable[[C, C], Iterator[Hit]]
Key = tuple[str, str]


class Rule(NamedTuple, Generic[C]):
    """One rule: its id, its grade, what it looks for, why that hurts, and what to do.

    A rule has `find`, a comparison with what is live has `compare`.
    """

    id: str
    grade: str
    title: str
    reason: str
    next_step: str
    looks_for: str
    module: str
    find: Find[C] | None
    compare: Compare[C] | None


class RuleBook(Generic[C]):
    """All rules of a role.

    `server_before(now, before, pool, server)` gives the name that a server had in what is live.
    """

    def __init__(self, server_before: Callable[[C, C, str, str], str]) -> None:
        self.rules: dict[str, Rule[C]] = {}
        self._server_before = server_before

    def rule(
        self, name: str, grade: str, *, title: str, reason: str, next_step: str
    ) -> Callable[[Find[C]], Find[C]]:
        """Enter a function of one configuration as the rule `name`. Its docstring is shown.

        Raises ValueError for a name that is taken.
        """

        def enter(find: Find[C]) -> Find[C]:
            looks_for = _one_line(find.__doc__)
            module = find.__module__
            self._enter(Rule(name, grade, title, reason, next_step, looks_for, module, find, None))
            return find

        return enter

    def comparison(
        self, name: str, grade: str, *, title: str, reason: str, next_step: str
    ) -> Callable[[Compare[C]], Compare[C]]:
        """Enter a function of a configuration and the live one as the rule `name`.

        Raises ValueError for a name that is taken.
        """

        def enter(compare: Compare[C]) -> Compare[C]:
            looks_for = _one_line(compare.__doc__)
            module = compare.__module__
            self._enter(
                Rule(name, grade, title, reason, next_step, looks_for, module, None, compare)
            )
            return compare

        return enter

    def _enter(self, one: Rule[C]) -> None:
        if one.id in self.rules:
            raise ValueError(f"two rules are called {one.id}")
        self.rules[one.id] = one

    def catalogue(self, modules: Sequence[ModuleType]) -> list[CatalogueEntry]:
        """Give every rule, in the order of the `modules` that they are in."""
        places = {module.__name__: at for at, module in enumerate(modules)}
        return [
            {
                "rule": rule.id,
                "severity": cast(Grade, rule.grade),
                "title": rule.title,
                "looks_for": rule.looks_for,
                "reason": rule.reason,
                "next_step": rule.next_step,
            }
            for rule in sorted(self.rules.values(), key=lambda one: places[one.module])
        ]

    def findings(self, now: C, before: C | None) -> list[Finding]:
        """Give what breaks a rule in `now`, what stops first; `before` is live (None: unknown).

        The same configurations give the same findings.
        """
        found: list[Finding] = []
        for rule in self.rules.values():
            try:
                found += self._of(rule, now, before)
            except (ValueError, IndexError) as error:
                # The words are no configuration; the balancer's own check explains that better.
                found.append(_unreadable(rule, error))
        return sorted(found, key=lambda one: (one["severity"], one["line"] or 0, one["rule"]))

    def _of(self, rule: Rule[C], now: C, before: C | None) -> list[Finding]:
        live: set[Key] = set()
        if before is not None and rule.find:
            live = {(hit.subject, hit.pool) for hit in _merged(rule.find(before), before)}
        hits: Iterator[Hit] = iter(())
        if rule.find:
            hits = rule.find(now)
        elif rule.compare and before is not None:
            hits = rule.compare(now, before)
        found = []
        for hit in _merged(hits, now):
            was = hit if before is None else self._as_before(hit, now, before)
            keys = {(one.subject, one.pool) for one in (was, was._replace(server=""))}
            is_live = bool(keys & live)
            grade = hit.grade or rule.grade
            if grade == LOST:
                grade = STOP if _was_there(hit, before) else TELL
            found.append(_finding(rule, hit, TELL if is_live else grade, is_live))
        return found

    def _as_before(self, hit: Hit, now: C, before: C) -> Hit:
        """Give a finding with the names that its pool, server and listener had."""
        back = before.back(hit.pool) if hit.pool else None
        front = before.front(hit.listener) if hit.listener else None
        server = self._server_before(now, before, hit.pool, hit.server) if hit.server else ""
        return hit._replace(
            pool=back.name if back else hit.pool,
            server=server,
            listener=front.name if front else hit.listener,
        )


def _merged(hits: Iterator[Hit], configuration: Configuration) -> Iterator[Hit]:
    """Give the hits; one that holds for every server of a pool is one hit of the pool."""
    groups: dict[Key, list[Hit]] = {}
    for hit in hits:
        if hit.server:
            groups.setdefault((hit.pool, f"{hit.about}\0{hit.grade}"), []).append(hit)
        else:
            yield hit
    for (pool, _), group in groups.items():
        back = configuration.back(pool)
        servers = {one.server for one in group}
        if len(group) > 1 and back and len(servers) == len(back.servers):
            yield group[0]._replace(server="", got=_EVERY + group[0].got)
        else:
            yield from group


def _was_there(hit: Hit, before: Configuration | None) -> bool:
    """Whether the place of a finding was there before, and so lost what it had."""
    if before is None:
        return False
    if hit.pool:
        return before.back(hit.pool) is not None
    return before.front(hit.listener) is not None if hit.listener else True


def _finding(rule: Rule[C], hit: Hit, severity: str, is_live: bool) -> Finding:
    line = hit.line
    return {
        "rule": rule.id,
        "severity": cast(Severity, severity),
        "live_already": is_live,
        "subject": hit.subject,
        "pool": hit.pool or None,
        "server": hit.server or None,
        "listener": hit.listener or None,
        "file": line.file if line else None,
        "line": line.number if line else None,
        "text": " ".join(line.words)[:160] if line else "",
        "title": rule.title,
        "got": hit.got,
        "reason": rule.reason,
        "next_step": rule.next_step,
    }


def _unreadable(rule: Rule[C], error: Exception) -> Finding:
    """Tell that a rule could not read the files, so that its silence does not pass them."""
    return {
        **_finding(rule, Hit(""), TELL, is_live=False),
        "title": f"A rule could not be applied: {rule.title}",
        "got": f"{type(error).__name__}: {error}"[:160],
        "reason": "it found words that it cannot read; nothing is known of what it looks for",
        "next_step": "see what the balancer's own check says of the files; if it accepts them,"
        " report the rule",
    }


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
