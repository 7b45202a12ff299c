"""The rule about server names in TLS that passes through.

Each condition has three answers: met, not met, or unknown here.
"""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, Iterator, Optional, Set, Tuple

from ..config.parser import Configuration, Proxy
from .conditions import Alternatives, Part, Words, listed, of_line, split
from .rule import STOP, TELL, Hit, comparison

Values = FrozenSet[str]
Texts = Set[Tuple[object, ...]]

_NAME = ("req.ssl_sni", "req_ssl_sni")
# Clients send the name in their hello.
_HELLO = ("req.ssl_hello_type", "req_ssl_hello_type")
# Match method -> function of (name, values).
_MATCHES: Dict[str, Callable[[str, Values], bool]] = {
    "found": lambda name, _: bool(name),
    "str": lambda name, values: name in values,
    "beg": lambda name, values: any(name[:at] in values for at in range(1, len(name) + 1)),
    "end": lambda name, values: any(name[at:] in values for at in range(len(name))),
    "sub": lambda name, values: any(value in name for value in values),
}


@comparison(
    "server-name-rerouted",
    STOP,
    title="A name that clients ask for in TLS leads to another pool",
    reason="the balancer does not read what passes through, and no rehearsal can see who answers",
    next_step="correct the condition or its place; if it is meant, waive the rule",
)
def server_name_rerouted(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """Where TLS passes through: each name of the live conditions, and any other name.

    Where a condition tests more than the name, or a list is on the host, it is told.
    """
    for front in now.fronts:
        old = before.front(front.name)
        if front.mode != "tcp" or old is None:
            continue
        past, here = _Way(before, old), _Way(now, front)
        names = sorted(past.names())
        if not names:
            continue
        same = past.texts & here.texts
        unknown = []
        for name in ["", *names]:
            found, first = past.pool_of(name, same), here.pool_of(name, same)
            if found is None or first is None:
                unknown.append(name or "any other name")
                continue
            was, will = before.back(found), now.back(first)
            if was and not _are_one(was, will):
                got = f"{name or 'any other name'}: pool {was.name} → "
                got += f"pool {will.name}" if will else "nowhere"
                yield Hit(got, front.line, listener=front.name, about=f"name {name or 'of none'}")
        if unknown:
            got = f"not known here for {', '.join(unknown[:3])}"
            got += f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            yield Hit(got, front.line, listener=front.name, about="names", grade=TELL)


def _are_one(was: Proxy, will: Optional[Proxy]) -> bool:
    if will is None or was.name == will.name:
        return will is not None
    return bool({one.address for one in was.servers} & {one.address for one in will.servers})


class _Way:
    """The routes from a listener to its pools, read once for many names."""

    def __init__(self, now: Configuration, front: Proxy) -> None:
        self.now = now
        self.routes = [
            (line.value(1), *of_line(line.words, front)) for line in front.all("use_backend")
        ]
        self.texts: Texts = {_text(route) for route in self.routes}
        self.matched: Dict[Words, Optional[Tuple[str, Values]]] = {}
        default = front.last("default_backend")
        self.default = default.value(1) if default else ""

    def names(self) -> Set[str]:
        """Give one name for each value in the conditions."""
        found: Set[str] = set()
        for _, _, ways in self.routes:
            tests = (test for parts in ways or [] for part in parts for test in part.tests)
            for how, values in (self._of(test) or ("", ()) for test in tests):
                if how in ("str", "end"):
                    found |= {"x" + value if how == "end" else value for value in values}
        return found

    def pool_of(self, name: str, same: Texts) -> Optional[str]:
        """Give the pool that a name leads to, "" for none; None when that is unknown.

        Unreadable routes that both files have (`same`) are skipped.
        """
        for route in self.routes:
            pool, kind, ways = route
            met = self._is_met(kind, ways, name)
            if met and "%[" not in pool:
                return pool
            if met is not False and _text(route) not in same:
                return None
        return self.default

    def _is_met(self, kind: str, ways: Optional[Alternatives], name: str) -> Optional[bool]:
        if not kind or ways is None:
            return True if not kind else None
        met = _any(_all(self._part(part, name) for part in parts) for parts in ways)
        return met if kind == "if" or met is None else not met

    def _part(self, part: Part, name: str) -> Optional[bool]:
        met = _any(self._test(test, name) for test in part.tests) if part.tests else None
        return met if not part.negated or met is None else not met

    def _test(self, test: Words, name: str) -> Optional[bool]:
        if test[0] in _HELLO:
            return "1" in test[1:]
        found = self._of(test)
        if found is None or found[0] not in _MATCHES:
            return None
        return bool(name) and _MATCHES[found[0]](name, found[1])

    def _of(self, test: Words) -> Optional[Tuple[str, Values]]:
        if test not in self.matched:
            self.matched[test] = _read(self.now, test)
        return self.matched[test]


def _text(route: Tuple[str, str, Optional[Alternatives]]) -> Tuple[object, ...]:
    return (route[0], route[1], repr(route[2]))


def _read(now: Configuration, test: Words) -> Optional[Tuple[str, Values]]:
    """Give (method, values in lower case) of a test of the name; None for other tests."""
    sample, flags, values = split(test)
    base, how = sample.replace(",lower", ""), ""
    for ending in ("_beg", "_end", "_sub"):
        if base.endswith(ending):
            base, how = base[: -len(ending)], ending[1:]
    if base not in _NAME:
        return None
    if "-f" in flags:
        rows = listed(now, flags["-f"])
        if rows is None:
            return None
        values = [*values, *rows]
    return flags.get("-m") or how or "str", frozenset(value.lower() for value in values)


def _any(answers: Iterator[Optional[bool]]) -> Optional[bool]:
    given = list(answers)
    return True if True in given else None if None in given else False


def _all(answers: Iterator[Optional[bool]]) -> Optional[bool]:
    given = list(answers)
    return False if False in given else None if None in given else True
