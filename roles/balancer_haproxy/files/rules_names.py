"""The rule about names that clients ask for in TLS, where TLS passes through.

A name's way is read with three answers: a condition is met, it is not, or it cannot be known here.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

from .conditions import Part, Words, listed, of_line, split
from .reading import Configuration, Line, Proxy
from .rule import STOP, TELL, Hit, comparison

_NAME = ("req.ssl_sni", "req_ssl_sni")
# Whoever says a name says it in a client's hello.
_HELLO = ("req.ssl_hello_type", "req_ssl_hello_type")
_MATCHES: Dict[str, Callable[[str, str], bool]] = {
    "str": lambda name, value: name == value,
    "beg": lambda name, value: name.startswith(value),
    "end": lambda name, value: name.endswith(value),
    "sub": lambda name, value: value in name,
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

    Where a condition asks for more than the name, or a list lies on the host, it is told.
    """
    for front in now.fronts:
        old = before.front(front.name)
        if front.mode != "tcp" or old is None:
            continue
        names = sorted(_names(before, old))
        if not names:
            continue
        same = _texts(front) & _texts(old)
        unknown = []
        for name in ["", *names]:
            found, first = _pool_of(before, old, name, same), _pool_of(now, front, name, same)
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


def _text(front: Proxy, line: Line) -> Tuple[object, ...]:
    return (line.words, repr(of_line(line.words, front)))


def _texts(front: Proxy) -> Set[Tuple[object, ...]]:
    return {_text(front, line) for line in front.all("use_backend")}


def _pool_of(
    now: Configuration, front: Proxy, name: str, same: Set[Tuple[object, ...]]
) -> Optional[str]:
    """Give the pool that a name leads to, "" for none; None where that cannot be known.

    A line that cannot be read and is in both files the `same` is passed over.
    """
    for line in front.all("use_backend"):
        met = _is_met(now, front, line, name)
        if met and "%[" not in line.value(1):
            return line.value(1)
        if (met or met is None) and _text(front, line) not in same:
            return None
    default = front.last("default_backend")
    return default.value(1) if default else ""


def _is_met(now: Configuration, front: Proxy, line: Line, name: str) -> Optional[bool]:
    kind, ways = of_line(line.words, front)
    if not kind:
        return True
    if ways is None:
        return None
    met = _any(_all(_part(now, part, name) for part in parts) for parts in ways)
    return met if kind == "if" or met is None else not met


def _part(now: Configuration, part: Part, name: str) -> Optional[bool]:
    met = _any(_test(now, test, name) for test in part.tests) if part.tests else None
    return met if not part.negated or met is None else not met


def _test(now: Configuration, test: Words, name: str) -> Optional[bool]:
    if test[0] in _HELLO:
        return "1" in test[1:]
    found = _matched(now, test)
    if found is None:
        return None
    how, values = found
    if how == "found":
        return bool(name)
    if how not in _MATCHES:
        return None
    return bool(name) and any(_MATCHES[how](name, value) for value in values)


def _matched(now: Configuration, test: Words) -> Optional[Tuple[str, List[str]]]:
    """Give (how, values in lower case) of a test of the name; None where it is of more or none."""
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
    return flags.get("-m") or how or "str", [value.lower() for value in values]


def _names(now: Configuration, front: Proxy) -> Set[str]:
    """Give a name for each that the conditions speak of."""
    found: Set[str] = set()
    for line in front.all("use_backend"):
        for parts in of_line(line.words, front)[1] or []:
            for test in (test for part in parts for test in part.tests):
                how, values = _matched(now, test) or ("", [])
                if how in ("str", "end"):
                    found |= {"x" + value if how == "end" else value for value in values}
    return found


def _any(answers: Iterator[Optional[bool]]) -> Optional[bool]:
    given = list(answers)
    return True if True in given else None if None in given else False


def _all(answers: Iterator[Optional[bool]]) -> Optional[bool]:
    given = list(answers)
    return False if False in given else None if None in given else True
