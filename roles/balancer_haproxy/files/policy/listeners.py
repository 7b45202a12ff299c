"""Rules about listeners and routes to pools."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ..config.parser import Configuration, Line, Proxy
from .balancing import endpoint
from .conditions import condition, is_always, listed
from .rule import LOST, STOP, TELL, Hit, rule

_MAP = re.compile(r"\bmap(?:_[a-z_]+)?\(([^,()]+)(?:,([^()]*))?\)")
_LOGIC = frozenset(["or", "OR", "and", "AND", "||", "&&", "if", "unless"])


def places(bind: Line) -> List[str]:
    """Give the addresses and ports of a `bind` line in canonical form."""
    found = []
    for part in bind.value(1).split(","):
        if part.startswith(("/", "unix@", "abns@", "fd@", "sockpair@")):
            found.append(part)
            continue
        kind = "udp " if part.startswith(("quic4@", "quic6@")) else ""
        text = part.split("@", 1)[1] if kind else part
        here = endpoint(text if not text.startswith(":") else "*" + text)
        found.append(kind + ("*" + here[7:] if here.startswith("0.0.0.0:") else here))
    return found


def leads_on(proxy: Proxy) -> bool:
    """Whether requests of a listener go on to servers."""
    return bool(
        proxy.all("default_backend") or proxy.own("use_backend") or proxy.own("server")
    ) or bool(proxy.own("server-template"))


@rule(
    "bind-twice",
    STOP,
    title="Two listeners have one address and port",
    reason="the kernel gives each of them some of the connections, so half of the requests meet"
    " other rules",
    next_step="correct one of them",
)
def bind_twice(now: Configuration) -> Iterator[Hit]:
    """The same address and port in two sections."""
    seen: Dict[str, str] = {}
    for proxy in now.fronts:
        for bind in proxy.own("bind"):
            for here in places(bind):
                if seen.get(here, proxy.name) != proxy.name:
                    got = f"{here}, as listener {seen[here]}"
                    yield Hit(got, bind, listener=proxy.name, about=f"bind {here}")
                seen.setdefault(here, proxy.name)


@rule(
    "answers-for-all",
    STOP,
    title="The balancer answers every request by itself",
    reason="`monitor-uri /` and `stats uri /` say 200 for the home page, and no server sees it",
    next_step="give it a path of its own",
)
def answers_for_all(now: Configuration) -> Iterator[Hit]:
    """Those two, where requests are meant to go on to servers."""
    for proxy in now.proxies:
        served = leads_on(proxy) if proxy.is_front else bool(proxy.servers)
        for first in (("monitor-uri",), ("stats", "uri")):
            line = next(iter(proxy.own(*first)), None)
            if served and line and line.value(len(first)) == "/":
                where = {"listener" if proxy.is_front else "pool": proxy.name}
                yield Hit(" ".join(line.words), line, about=first[0], **where)


@rule(
    "word-in-pattern",
    STOP,
    title="A word that was meant as logic is a pattern",
    reason="`path_beg /a or /b` matches what begins with the letters `or` as well",
    next_step="write patterns one after another; all of them are alternatives",
)
def word_in_pattern(now: Configuration) -> Iterator[Hit]:
    """`or`, `and` and their kind among the patterns of an `acl`, or within braces."""
    for proxy in now.proxies:
        for line in [*proxy.lines]:
            found = _LOGIC & set(_patterns(line))
            if found:
                where = {"listener" if proxy.is_front else "pool": proxy.name}
                about = " ".join(line.words[:2])
                got = f"{sorted(found)[0]!r} in: {' '.join(line.words)[:100]}"
                yield Hit(got, line, about=about, **where)


def _patterns(line: Line) -> List[str]:
    if line.starts("acl"):
        parts = list(line.words[2:])
        # Words after `--` are patterns on purpose.
        return [] if "--" in parts else [part for part in parts[1:] if not part.startswith("-")]
    found, inside = [], False
    for word in condition(line.words):
        if word in ("{", "!{"):
            inside = True
        elif word == "}":
            inside = False
        elif inside:
            found.append(word)
    return found[1:]


@rule(
    "route-never-reached",
    STOP,
    title="A rule takes every request from the rules after it",
    reason="the first use_backend whose condition is true wins, and the others are never reached",
    next_step="put it last, give it a condition, or remove the rules after it",
)
def route_never_reached(now: Configuration) -> Iterator[Hit]:
    """`use_backend` without a condition, or with that of an earlier one, before others."""
    for proxy in now.fronts:
        seen: Dict[Tuple[str, ...], Line] = {}
        always: Optional[Line] = None
        for line in proxy.own("use_backend"):
            about = f"use_backend {line.value(1)}"
            needed = condition(line.words)
            if always or needed in seen:
                earlier = always or seen[needed]
                got = f"line {earlier.number} takes all of it: {' '.join(earlier.words)[:80]}"
                yield Hit(got, line, listener=proxy.name, about=about)
            elif is_always(line.words):
                always = None if "%[" in line.value(1) else line
            if needed:
                seen.setdefault(needed, line)


@rule(
    "no-way-on",
    LOST,
    title="Requests that no rule takes have nowhere to go",
    reason="they are answered with 503",
    next_step="name a default_backend",
)
def no_way_on(now: Configuration) -> Iterator[Hit]:
    """Listeners with rules and no default."""
    for proxy in now.fronts:
        if proxy.own("use_backend") and not proxy.all("default_backend") and not proxy.is_back:
            always = any(
                is_always(line.words) and "%[" not in line.value(1)
                for line in proxy.own("use_backend")
            )
            if not always:
                yield Hit("no default_backend", proxy.line, listener=proxy.name)


@rule(
    "map-without-pool",
    STOP,
    title="A name that is looked up can stand for no pool",
    reason="requests with such a name go to the default pool, or are answered with 503",
    next_step="correct the name, in the map or as its default",
)
def map_without_pool(now: Configuration) -> Iterator[Hit]:
    """`use_backend %[...]`: the map's default, its values where the map is here, and a default.

    A map on the host cannot be read: that is told.
    """
    pools = {proxy.name for proxy in now.backs}
    for proxy in now.fronts:
        for line in proxy.own("use_backend"):
            if "%[" not in line.value(1):
                continue
            about = f"use_backend {line.value(1)}"[:80]
            for got, grade in _lookups(now, proxy, line, pools):
                yield Hit(got, line, listener=proxy.name, about=about, grade=grade)


def _lookups(
    now: Configuration, proxy: Proxy, line: Line, pools: Set[str]
) -> Iterator[Tuple[str, str]]:
    text = line.value(1)
    is_all = text.startswith("%[") and text.endswith("]") and text.count("%[") == 1
    path, otherwise = map_of(text)
    if path and otherwise and is_all and otherwise not in pools:
        yield f"the default {otherwise!r} of {path} is no pool", STOP
    if not otherwise and not proxy.all("default_backend") and not proxy.is_back:
        yield "a name that is not found has no default, and no default_backend", STOP
    values = map_values(now, path) if path else None
    if values is None:
        what = f"{path} lies on the host" if path else "a name that comes with the request"
        yield f"{what}: whether it names a pool is not known here", TELL
        return
    wrong = sorted(value for value in values if value not in pools)
    if wrong and is_all:
        yield f"{path} names {', '.join(wrong[:3])}: no such pool", STOP


def map_of(text: str) -> Tuple[str, str]:
    """Give the file and the default of the last map in `%[...,map_dom(FILE,DEFAULT)]`."""
    found = _MAP.findall(text)
    return found[-1] if found else ("", "")


def map_values(now: Configuration, path: str) -> Optional[Sequence[str]]:
    """Give the values of a map of the release; None for a map on the host."""
    rows = listed(now, path)
    if rows is None:
        return None
    parts = [row.split(None, 1) for row in rows]
    return [part[1].strip() for part in parts if len(part) == 2]


@rule(
    "clients-unknown",
    LOST,
    title="Servers do not get the client's address",
    reason="they take the balancer for the client, and limit or block it",
    next_step="set `option forwardfor`",
)
def clients_unknown(now: Configuration) -> Iterator[Hit]:
    """Listeners of mode http without forwardfor, here or in every pool that they lead to."""
    for proxy in now.fronts:
        if proxy.mode != "http" or not leads_on(proxy) or _tells_client(proxy):
            continue
        reached = [back for back in map(now.back, sorted(_reached(proxy))) if back]
        if not reached or not all(_tells_client(back) for back in reached):
            yield Hit("no option forwardfor", proxy.line, listener=proxy.name)


def _tells_client(proxy: Proxy) -> bool:
    if proxy.last("option", "forwardfor") or proxy.last("option", "forwarded"):
        return True
    rules = [*proxy.own("http-request", "set-header"), *proxy.own("http-request", "add-header")]
    if any(
        line.value(2).lower() in ("x-forwarded-for", "forwarded", "x-real-ip") for line in rules
    ):
        return True
    return bool(proxy.servers) and all(
        one.has("send-proxy") or one.has("send-proxy-v2") for one in proxy.servers
    )


def _reached(proxy: Proxy) -> Set[str]:
    lines = [*proxy.own("use_backend"), *proxy.all("default_backend")]
    return {line.value(1) for line in lines}


@rule(
    "route-to-nothing-known",
    TELL,
    title="A pool that no listener leads to",
    reason="nothing can be measured of it",
    next_step="remove it, or give it a route",
)
def route_to_nothing_known(now: Configuration) -> Iterator[Hit]:
    """Backends with servers that no `use_backend` or `default_backend` names."""
    reached = set().union(*map(_reached, now.proxies), set())
    if any("%[" in name for name in reached):
        return
    for proxy in now.backs:
        if not proxy.is_front and proxy.servers and proxy.name not in reached:
            yield Hit("not reached", proxy.line, proxy.name)
