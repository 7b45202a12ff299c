"""Rules about single clients: their limits, their address, and the server they return to."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..config.parser import Configuration, Line, Proxy
from ..config.values import milliseconds, number
from .balancing import endpoint
from .conditions import Words, is_always, of_line
from .rule import STOP, Hit, comparison, rule

# One page opens more connections than this.
_LEAST_A_SECOND = 1.0
_LEAST_OPEN = 4
# (number, what it counts, arguments): sc0_..., sc_...(0,TABLE), src_...(TABLE).
_COUNTER = re.compile(r"(sc[0-9]*|src)_((?:http_req|conn)_rate|conn_cur)(?:\(([^()]*)\))?(?:,.*)?")
_REFUSES = ("deny", "tarpit", "reject", "silent-drop")
_TYPO = 2
_ADDRESS_HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded", "x-client-ip")
_HIDDEN = re.compile(r'\bfor="?(?:unknown\b|_)', re.IGNORECASE)
# The same page over https.
_SAME_PAGE = re.compile(r"https://[^/?]*/?%[\[{HU].*", re.IGNORECASE)
# Tests that tell plain HTTP from HTTPS.
_ABOUT_TLS = ("dst_port", "hdr(x-forwarded-proto)", "req.hdr(x-forwarded-proto)")
# The name of a hash's key.
_KEY = re.compile(
    r"\b(hdr|fhdr|cook|url_?param|urlp|rdp[-_]cookie)(?:\(\s*|\s+)([^\s(),]+)", re.IGNORECASE
)
_LONG_NAME = 5


@rule(
    "low-client-limit",
    STOP,
    title="A limit for each client is below what one user needs",
    reason="a page with its pictures is dozens of requests, and many users share an address",
    next_step="allow tens of requests a second, or limit the one path that is meant",
)
def low_client_limit(now: Configuration) -> Iterator[Hit]:
    """Refusals by nothing but a counter of one client: under 1 request a second, under 4 open.

    A pool that requests reach by a condition alone may be the one path that is meant.
    """
    for proxy in now.proxies:
        if not proxy.is_front and _is_of_a_route(now, proxy):
            continue
        for line in [*proxy.own("http-request"), *proxy.own("tcp-request")]:
            if any(word in _REFUSES for word in line.words[1:3]):
                low = _low(line, now, proxy)
                if low:
                    side = {"listener": proxy.name} if proxy.is_front else {"pool": proxy.name}
                    yield Hit(low, line, about=f"{line.value(0)} {line.value(1)}", **side)


def _is_of_a_route(now: Configuration, pool: Proxy) -> bool:
    """Whether requests reach a pool by conditions alone."""
    named = [
        line
        for proxy in now.fronts
        for line in [*proxy.all("use_backend"), *proxy.all("default_backend")]
        if line.value(1) == pool.name
    ]
    is_met = any(line.starts("default_backend") or is_always(line.words) for line in named)
    return bool(named) and not is_met


def _low(line: Line, now: Configuration, proxy: Proxy) -> str:
    """Describe a limit that is too low; empty unless one counter alone decides."""
    kind, ways = of_line(line.words, proxy)
    only = ways[0][0] if kind == "if" and ways and len(ways) == len(ways[0]) == 1 else None
    if only is None or only.negated or len(only.tests) != 1:
        return ""
    test = only.tests[0]
    counter = _COUNTER.fullmatch(test[0])
    most = number(test[-1]) if test[-2:-1] in (("gt",), ("ge",)) else None
    if counter is None or most is None:
        return ""
    if counter[2] == "conn_cur":
        return f"{' '.join(test)}: {most} open" if most < _LEAST_OPEN else ""
    seconds = _period(counter, now, proxy)
    if seconds and most / seconds < _LEAST_A_SECOND:
        return f"{' '.join(test)}: {most} in {seconds:g} s"
    return ""


def _period(counter: "re.Match[str]", now: Configuration, proxy: Proxy) -> Optional[float]:
    """Give the period of a rate in seconds; None unless exactly one table has it."""
    found: Set[float] = set()
    tables = _tables(counter[1], (counter[3] or "").split(","), now, proxy)
    for one in now.proxies:
        for line in one.all("stick-table") if one.name in tables else []:
            kept = re.search(rf"\b{counter[2]}\(([0-9a-z]+)\)", " ".join(line.words))
            if kept:
                found.add((milliseconds(kept[1]) or 0.0) / 1000)
    return found.pop() if len(found) == 1 else None


def _tables(kind: str, given: List[str], now: Configuration, proxy: Proxy) -> Set[str]:
    """Give the sections whose table a counter may read: named, tracked, or its own."""
    if kind == "src":
        return {given[0].strip() or proxy.name}
    which = kind[2:]
    if not which:
        which, given = given[0].strip(), given[1:]
    if given and given[0].strip():
        return {given[0].strip()}
    for places in ([proxy], now.fronts):
        found = {
            line.after("table") or one.name
            for one in places
            for line in [*one.all("http-request"), *one.all("tcp-request")]
            if f"track-sc{which}" in line.words[1:3]
        }
        if found:
            return found
    return set()


@rule(
    "client-address-made-up",
    STOP,
    title="Servers get one client address for all clients",
    reason="they limit and block by it, and take all users for one",
    next_step="say it with a sample, such as %[src], or leave it to `option forwardfor`",
)
def client_address_made_up(now: Configuration) -> Iterator[Hit]:
    """`X-Forwarded-For`, `X-Real-IP` or `Forwarded` always set to one value for all clients.

    `Forwarded` may hide the client: `for=unknown` and `for=_name` (RFC 7239, 6).
    """
    for proxy in now.proxies:
        for line in proxy.own("http-request"):
            is_set = line.value(1) in ("set-header", "add-header") and is_always(line.words[4:])
            name, value = line.value(2).lower(), line.value(3)
            hides = name == "forwarded" and _HIDDEN.search(value)
            if is_set and name in _ADDRESS_HEADERS and "%" not in value and not hides:
                side = {"listener": proxy.name} if proxy.is_front else {"pool": proxy.name}
                yield Hit(" ".join(line.words[:4]), line, about=line.value(2), **side)


@comparison(
    "https-redirect-gone",
    STOP,
    title="Plain HTTP is no longer sent on to HTTPS",
    reason="users who come over plain HTTP stay there, with their passwords and sessions",
    next_step="keep `http-request redirect scheme https`, or waive the rule with the reason",
)
def https_redirect_gone(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A listener that redirected to https and no longer does, or not for as many requests.

    What counts is in the listener or in every pool that it leads to.
    """
    for front in now.fronts:
        old = before.front(front.name)
        plain = [bind for bind in front.own("bind") if "ssl" not in bind.words]
        if not old or not plain:
            continue
        was = [wide for line, wide in _to_https(before, old) if _is_same_page(line)]
        will = [wide for _, wide in _to_https(now, front)]
        if was and not will:
            yield Hit("no redirect to https", front.line, listener=front.name)
        elif any(was) and not any(will):
            got = "only some requests are redirected to https"
            yield Hit(got, front.line, listener=front.name)


def _to_https(now: Configuration, front: Proxy) -> List[Tuple[Line, bool]]:
    """Give the redirects to https, and whether each takes all requests but exceptions."""
    found = list(_redirects(front))
    lines = [*front.all("use_backend"), *front.all("default_backend")]
    pools = [now.back(name) for name in sorted({line.value(1) for line in lines})]
    of_pools = [list(_redirects(pool)) if pool else [] for pool in pools]
    if of_pools and all(of_pools):
        wide = all(any(one[1] for one in rows) for rows in of_pools)
        found += [(rows[0][0], wide) for rows in of_pools]
    return found


def _redirects(proxy: Proxy) -> Iterator[Tuple[Line, bool]]:
    for line in [*proxy.all("http-request", "redirect"), *proxy.all("redirect")]:
        if _target(line).lower().startswith("https"):
            yield line, _is_wide(line, proxy)


def _target(line: Line) -> str:
    return line.after("scheme") or line.after("prefix") or line.after("location") or ""


def _is_same_page(line: Line) -> bool:
    return line.after("location") is None or bool(_SAME_PAGE.fullmatch(_target(line)))


def _is_wide(line: Line, proxy: Proxy) -> bool:
    """Whether a condition only names exceptions (`unless { ssl_fc }`, `!{ path /x }`)."""
    if is_always(line.words):
        return True
    kind, ways = of_line(line.words, proxy)
    if kind == "unless":
        # A test that must fail excepts something.
        return ways is not None and all(any(not one.negated for one in parts) for parts in ways)
    return any(
        all(one.negated or (one.tests and all(map(_is_about_tls, one.tests))) for one in parts)
        for parts in ways or []
    )


def _is_about_tls(test: Words) -> bool:
    return test[0].lower().split(",")[0] in _ABOUT_TLS


@comparison(
    "cookie-of-another-server",
    STOP,
    title="A stickiness cookie that users have leads to another server",
    reason="users come back to a server that does not know them, while theirs is still there",
    next_step="keep the cookie value with the server's address",
)
def cookie_of_another_server(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A cookie value at another address than before, whose server has another value now.

    A cookie of another name is one that no user has yet.
    """
    for proxy in now.backs:
        old = before.back(proxy.name)
        line, past = proxy.last("cookie"), old.last("cookie") if old else None
        if not line or not old or not past or past.value(1) != line.value(1):
            continue
        was, will = _by_cookie(old), _by_cookie(proxy)
        for value in sorted(set(was) & set(will)):
            if was[value] != will[value] and was[value] in will.values():
                got = f"cookie {value}: {was[value]} → {will[value]}"
                yield Hit(got, line, proxy.name, about=f"cookie {value}")


def _by_cookie(back: Proxy) -> Dict[str, str]:
    return {
        one.options["cookie"]: endpoint(one.address) for one in back.servers if one.has("cookie")
    }


@comparison(
    "hash-key-mistyped",
    STOP,
    title="The key of a hash is nearly the name that it was",
    reason="a header that no client sends is no key: every client finds another server each time",
    next_step="correct the name; if it is another header, waive the rule",
)
def hash_key_mistyped(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """`balance` by a header, a cookie or a parameter whose name differs in one or two letters.

    A short name counts only where other lines still read the old one. Digits are ignored.
    """
    for proxy in now.backs:
        old = before.back(proxy.name)
        line, past = proxy.last("balance"), old.last("balance") if old else None
        if not line or not past:
            continue
        was, will = (_KEY.findall(" ".join(one.words[1:]).lower()) for one in (past, line))
        for at, (kind, name) in enumerate(was[: len(will)]):
            new_kind, new_name = will[at]
            is_alike = kind == new_kind and 0 < _distance(*map(_letters, (name, new_name))) <= _TYPO
            if is_alike and (len(name) >= _LONG_NAME or _is_asked_for(now, name, line)):
                yield Hit(f"{kind}({name}) → {new_name}", line, proxy.name)


def _letters(name: str) -> str:
    return re.sub(r"[0-9]", "", name)


def _is_asked_for(now: Configuration, name: str, but: Line) -> bool:
    """Whether any other line reads a header, cookie or parameter of this name."""
    return any(
        name in (found for _, found in _KEY.findall(" ".join(line.words).lower()))
        for proxy in now.proxies
        for line in [*proxy.inherited, *proxy.lines]
        if line is not but
    )


def _distance(one: str, other: str) -> int:
    """Give the Levenshtein distance: letters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        last, row[0] = row[0], at
        for place, wanted in enumerate(other, 1):
            last, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, last + (letter != wanted)),
            )
    return row[-1]
