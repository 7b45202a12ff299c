"""The engine of rules knows no balancer: it says what is new, what is live, and what was lost."""

from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from evenkeel.balancer.rules import LOST, STOP, Hit, RuleBook


class Pool(NamedTuple):
    name: str
    servers: tuple[str, ...]


@dataclass
class Toy:
    """Pools, and the servers that are bad."""

    pools: dict[str, tuple[str, ...]]
    bad: set[str] = field(default_factory=set)

    def back(self, name):
        return Pool(name, self.pools[name]) if name in self.pools else None

    def front(self, name):
        return None


@pytest.fixture
def book():
    made: RuleBook[Toy] = RuleBook(lambda now, before, pool, server: server)

    @made.rule("bad", STOP, title="Bad", reason="it is bad", next_step="mend it")
    def bad(now):
        """Bad
        servers.
        """
        for pool, servers in now.pools.items():
            yield from (Hit("bad", pool=pool, server=one) for one in servers if one in now.bad)

    return made


def rows(found):
    return [(one["subject"], one["severity"], one["live_already"], one["got"]) for one in found]


def test_what_is_live_already_is_told_and_what_is_new_stops(book):
    now, live = Toy({"app": ("a", "b", "c")}, {"a", "b"}), Toy({"app": ("a", "b", "c")}, {"b"})
    assert rows(book.findings(now, live)) == [
        ("pool app, server a", "stop", False, "bad"),
        ("pool app, server b", "tell", True, "bad"),
    ]
    assert {one["severity"] for one in book.findings(now, None)} == {"stop"}


def test_what_holds_for_every_server_is_one_finding_of_the_pool(book):
    found = book.findings(Toy({"app": ("a", "b")}, {"a", "b"}), None)
    assert rows(found) == [("pool app", "stop", False, "every server: bad")]


def test_a_server_with_the_sin_of_its_whole_pool_is_live_already(book):
    live = Toy({"app": ("a", "b")}, {"a", "b"})
    found = book.findings(Toy({"app": ("a", "b")}, {"a"}), live)
    assert rows(found) == [("pool app, server a", "tell", True, "bad")]


def test_what_a_change_takes_away_stops_and_what_a_new_place_lacks_is_told():
    book: RuleBook[Toy] = RuleBook(lambda now, before, pool, server: server)

    @book.rule("lost", LOST, title="Lost", reason="it is missed", next_step="put it back")
    def lost(now):
        """Pools of one server."""
        yield from (Hit("alone", pool=pool) for pool, them in now.pools.items() if len(them) == 1)

    now = Toy({"old": ("a",), "new": ("b",)})
    found = rows(book.findings(now, Toy({"old": ("a", "z")})))
    assert found == [("pool old", "stop", False, "alone"), ("pool new", "tell", False, "alone")]


def test_a_comparison_needs_what_is_live(book):
    @book.comparison("fewer", STOP, title="Fewer", reason="load", next_step="fewer at a time")
    def fewer(now, before):
        """Fewer pools."""
        if len(now.pools) < len(before.pools):
            yield Hit("fewer pools")

    assert book.findings(Toy({}), None) == []
    assert rows(book.findings(Toy({}), Toy({"app": ("a",)}))) == [
        ("the process", "stop", False, "fewer pools")
    ]


def test_two_rules_of_one_name_are_refused(book):
    with pytest.raises(ValueError, match="bad"):
        book.rule("bad", STOP, title="", reason="", next_step="")(lambda now: iter(()))


def test_the_catalogue_shows_what_a_rule_looks_for_on_one_line(book):
    import sys

    (entry,) = book.catalogue([sys.modules[__name__]])
    assert entry["looks_for"] == "Bad servers."
