"""Rules about what one client meets: limits of its own, and the server that it comes back to."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Tuple

from .reading import Configuration, Line, Proxy
from .rule import STOP, Hit, comparison, rule
from .rules_spread import endpoint
from .values import milliseconds, number

# A page of today loads more than this at once.
_LEAST_A_SECOND = 1.0
_LEAST_OPEN = 4
_COUNTER = re.compile(r"(?:sc[0-2]?_|src_)((?:http_req|conn)_rate|conn_cur)\b.*")
_REFUSES = ("deny", "tarpit", "reject", "silent-drop")
_TYPO = 2
_ADDRESS_HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded", "x-client-ip")


@rule(
    "low-client-limit",
    STOP,
    title="A limit for each client is below what one user needs",
    reason="a page with its pictures is dozens of requests, and many users share an address",
    next_step="allow tens of requests a second, or limit the one path that is meant",
)
def low_client_limit(now: Configuration) -> Iterator[Hit]:
    """Refusals by nothing but a counter of one client: under 1 request a second, under 4 open."""
    for proxy in now.proxies:
        acls: Dict[str, List[Line]] = {}
        for line in proxy.all("acl"):
            acls.setdefault(line.value(1), []).append(line)
        for line in [*proxy.own("http-request"), *proxy.own("tcp-request")]:
            if not any(word in _REFUSES for word in line.words[1:3]) or "if" not in line.words:
                continue
            low = _low(line.words[line.words.index("if") + 1 :], acls, now, proxy)
            if low:
                side = {"listener": proxy.name} if proxy.is_front else {"pool": proxy.name}
                yield Hit(low, line, about=f"{line.value(0)} {line.value(1)}", **side)


def _low(
    words: Tuple[str, ...], acls: Dict[str, List[Line]], now: Configuration, proxy: Proxy
) -> str:
    """Say how low the limit is, where a condition is one counter and nothing else."""
    if len(words) == 1 and len(acls.get(words[0], [])) == 1:
        test = acls[words[0]][0].words[2:]
    elif len(words) > 2 and words[0] == "{" and words.index("}") == len(words) - 1:
        test = words[1:-1]
    else:
        return ""
    counter = _COUNTER.fullmatch(test[0]) if test else None
    most = number(test[-1]) if counter and test[-2:-1] in (("gt",), ("ge",)) else None
    if counter is None or most is None:
        return ""
    if counter[1] == "conn_cur":
        return f"{' '.join(test)}: {most} open" if most < _LEAST_OPEN else ""
    seconds = _period(counter[1], now, proxy)
    if seconds and most / seconds < _LEAST_A_SECOND:
        return f"{' '.join(test)}: {most} in {seconds:g} s"
    return ""


def _period(counter: str, now: Configuration, proxy: Proxy) -> Optional[float]:
    """Give the seconds that a rate counts: of the section's own table, or of any that has it."""
    for one in [proxy, *now.proxies]:
        for line in one.all("stick-table"):
            found = re.search(rf"\b{counter}\(([0-9a-z]+)\)", " ".join(line.words))
            if found:
                return (milliseconds(found[1]) or 0.0) / 1000
    return None


@rule(
    "client-address-made-up",
    STOP,
    title="Servers are told the same client address for everybody",
    reason="they limit and block by it, and take all users for one",
    next_step="say it with a sample, such as %[src], or leave it to `option forwardfor`",
)
def client_address_made_up(now: Configuration) -> Iterator[Hit]:
    """`X-Forwarded-For`, `X-Real-IP` or `Forwarded` set to what is the same for everybody."""
    for proxy in now.proxies:
        for line in proxy.own("http-request"):
            is_set = line.value(1) in ("set-header", "add-header")
            if is_set and line.value(2).lower() in _ADDRESS_HEADERS and "%" not in line.value(3):
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
    """A listener that redirected to https, and answers in plain with no such rule any more."""
    for front in now.fronts:
        old = before.front(front.name)
        plain = [bind for bind in front.own("bind") if "ssl" not in bind.words]
        if old and plain and _to_https(old) and not _to_https(front):
            yield Hit("no redirect to https", front.line, listener=front.name)


def _to_https(front: Proxy) -> bool:
    rules = [*front.all("http-request", "redirect"), *front.all("redirect")]
    return any(
        line.after("scheme") == "https"
        or any(word.startswith("https://") for word in line.words if line.starts("redirect"))
        or (line.after("location") or "").startswith("https://%[")
        or (line.after("prefix") or "").startswith("https://")
        for line in rules
    )


@comparison(
    "cookie-of-another-server",
    STOP,
    title="A stickiness cookie that users have leads to another server",
    reason="users come back to a server that does not know them, while theirs is still there",
    next_step="keep the cookie value with the server's address",
)
def cookie_of_another_server(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A cookie value at another address than before, whose server has another value now."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        line = proxy.last("cookie")
        if not line or not old or not old.last("cookie"):
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
    """`balance` by a header, a cookie or a parameter whose name differs in one or two letters."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        line, past = proxy.last("balance"), old.last("balance") if old else None
        if line and past:
            was, will = (" ".join(one.words[1:]).lower() for one in (past, line))
            if was != will and "(" in was + will and _distance(was, will) <= _TYPO:
                yield Hit(f"{was} → {will}", line, proxy.name)


def _distance(one: str, other: str) -> int:
    """Give how many letters have to be put, taken or replaced (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        last, row[0] = row[0], at
        for place, wanted in enumerate(other, 1):
            last, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, last + (letter != wanted)),
            )
    return row[-1]
