"""Rules about timeouts, retries and what is logged."""

from __future__ import annotations

from typing import Dict, Iterator, Tuple

from ..config.parser import Configuration, Line, Proxy
from ..config.values import milliseconds, number
from .conditions import is_always
from .rule import LOST, STOP, TELL, Hit, comparison, rule

_SECOND, _MINUTE, _HOUR, _DAY = 1e3, 6e4, 3.6e6, 8.64e7
# Milliseconds. Anything shorter is a typing error.
_SHORTEST = {
    "connect": 20,
    "client": _SECOND,
    "server": _SECOND,
    "queue": 50,
    "http-request": 200,
    "http-keep-alive": 10,
    "check": 50,
    "tunnel": _SECOND,
    "client-fin": 100,
    "server-fin": 100,
}
# Mode http: (told above this, stops above this).
_LONGEST = {
    "connect": (_MINUTE, 5 * _MINUTE),
    "client": (_HOUR, _DAY),
    "server": (_HOUR, _DAY),
    "queue": (5 * _MINUTE, _HOUR),
    "http-request": (5 * _MINUTE, _HOUR),
    "http-keep-alive": (10 * _MINUTE, _DAY),
    "check": (_MINUTE, 10 * _MINUTE),
}
_CUT = ("client", "server", "tunnel")
_ALL_RETRYABLE = (
    "all-retryable-errors",
    "empty-response",
    "junk-response",
    "response-timeout",
    "500",
    "502",
    "503",
    "504",
    "0rtt-rejected",
)


def _place(proxy: Proxy, about: str = "") -> Dict[str, str]:
    where = {"pool": proxy.name} if proxy.is_back else {"listener": proxy.name}
    return {**where, "about": about}


def _every_timeout(now: Configuration) -> Iterator[Tuple[Proxy, str, Line, float]]:
    """Give each timeout once, with the first section that has or inherits it."""
    seen = set()
    for proxy in now.proxies:
        for name in sorted({line.value(1) for line in proxy.all("timeout")}):
            line = proxy.last("timeout", name)
            took = milliseconds(line.value(2)) if line else None
            if line and took is not None and (line.file, line.number) not in seen:
                seen.add((line.file, line.number))
                yield proxy, name, line, took


def _has_unit(text: str) -> bool:
    return not text.isdigit()


def _needed(proxy: Proxy) -> Iterator[str]:
    if proxy.is_front:
        yield "client"
    if proxy.is_back and proxy.servers:
        yield from ("connect", "server")


@rule(
    "timeout-missing",
    STOP,
    title="A timeout is missing or 0",
    reason="a silent peer keeps its connection for ever, until none is left",
    next_step="set timeout client, connect and server, with a unit",
)
def timeout_missing(now: Configuration) -> Iterator[Hit]:
    """The three that every section needs."""
    for proxy in now.proxies:
        for name in _needed(proxy):
            line = proxy.last("timeout", name)
            if line is None or not milliseconds(line.value(2)):
                where = _place(proxy, f"timeout {name}")
                yield Hit(f"no timeout {name}", line or proxy.line, **where)


@rule(
    "timeout-too-short",
    STOP,
    title="A timeout is shorter than any answer",
    reason="good requests are cut off; a bare number counts milliseconds",
    next_step="write the unit: 30s",
)
def timeout_too_short(now: Configuration) -> Iterator[Hit]:
    """Under a second for client and server, under some milliseconds for the others."""
    for proxy, name, line, took in _every_timeout(now):
        if 0 < took < _SHORTEST.get(name, 0):
            got = f"timeout {name} {line.value(2)}" + ("" if _has_unit(line.value(2)) else " (ms)")
            yield Hit(got, line, **_place(proxy, f"timeout {name}"))


@rule(
    "timeout-without-unit",
    TELL,
    title="A timeout has no unit",
    reason="a bare number counts milliseconds, and the next reader may take it for seconds",
    next_step="write the unit: 5000 is 5s",
)
def timeout_without_unit(now: Configuration) -> Iterator[Hit]:
    """Bare numbers that are long enough to be meant."""
    for proxy, name, line, took in _every_timeout(now):
        if not _has_unit(line.value(2)) and took >= _SHORTEST.get(name, 1):
            got = f"timeout {name} {line.value(2)}"
            yield Hit(got, line, **_place(proxy, f"timeout {name}"))


@rule(
    "timeout-too-long",
    STOP,
    title="A timeout is longer than any user waits",
    reason="broken connections stay open until then, and connections run out",
    next_step="choose what the slowest good answer needs",
)
def timeout_too_long(now: Configuration) -> Iterator[Hit]:
    """In mode http; a tcp connection may be silent for hours."""
    for proxy, name, line, took in _every_timeout(now):
        tell, stop = _LONGEST.get(name, (0, 0))
        if proxy.mode == "http" and tell and took > tell:
            grade = STOP if took > stop else TELL
            got = f"timeout {name} {line.value(2)}"
            yield Hit(got, line, grade=grade, **_place(proxy, f"timeout {name}"))


@comparison(
    "timeout-leap",
    STOP,
    title="A timeout changes by a factor of ten and more",
    reason="this happens when a digit or a unit slips; slow requests would be cut off",
    next_step="if it is meant, waive the rule with the reason",
)
def timeout_leap(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A tenth and less stops for client, server and tunnel; a thousandfold in mode http."""
    for proxy in now.proxies:
        old = before.back(proxy.name) if proxy.is_back else before.front(proxy.name)
        for name in _CUT if old else ():
            line, past = proxy.last("timeout", name), old.last("timeout", name) if old else None
            took = milliseconds(line.value(2)) if line else None
            was = milliseconds(past.value(2)) if past else None
            if not took or not was or not line or not past:
                continue
            got = f"timeout {name} {past.value(2)} → {line.value(2)}"
            if took * 10 <= was or (took >= was * 1000 and proxy.mode == "http"):
                yield Hit(got, line, **_place(proxy, f"timeout {name}"))


@rule(
    "no-retries",
    STOP,
    title="A connection that fails is not tried again",
    reason="each server that dies costs the requests that reach it before its checks notice",
    next_step="leave retries at 3",
)
def no_retries(now: Configuration) -> Iterator[Hit]:
    """`retries 0`."""
    for proxy in now.backs:
        line = proxy.last("retries")
        if line and number(line.value(1)) == 0 and proxy.servers:
            yield Hit("retries 0", line, proxy.name)


@rule(
    "no-redispatch",
    LOST,
    title="A request is not taken to another server when its own is dead",
    reason="all retries go to the dead server, and the request fails",
    next_step="set `option redispatch 1`",
)
def no_redispatch(now: Configuration) -> Iterator[Hit]:
    """Pools of several servers without `option redispatch`."""
    for proxy in now.backs:
        if sum(one.slots for one in proxy.servers) > 1 and not proxy.last("option", "redispatch"):
            yield Hit("no option redispatch", proxy.line, proxy.name)


@rule(
    "retries-repeat-orders",
    STOP,
    title="A request that may have worked is sent again",
    reason="a POST that a server carried out before it failed is carried out twice",
    next_step="retry conn-failure alone, or keep methods that change things out of it with"
    " `http-request disable-l7-retry unless METH_GET`",
)
def retries_repeat_orders(now: Configuration) -> Iterator[Hit]:
    """`retry-on` for what comes after a request was sent, without a limit on methods."""
    for proxy in now.backs:
        line = proxy.last("retry-on")
        if not line or proxy.all("http-request", "disable-l7-retry"):
            continue
        kinds = [word for word in line.words[1:] if word in _ALL_RETRYABLE]
        # Mostly a kept connection that the server just closed.
        mild = set(kinds) <= {"empty-response", "0rtt-rejected"}
        if kinds and not (mild and not proxy.own("http-reuse", "always")):
            grade = TELL if mild else STOP
            yield Hit(" ".join(line.words), line, proxy.name, grade=grade)


@rule(
    "reuse-always",
    LOST,
    title="Connections to servers are shared from the first request on",
    reason="a server that closes a kept connection fails a request that cannot be sent again",
    next_step="http-reuse safe is the default, and keeps nearly all of the gain",
)
def reuse_always(now: Configuration) -> Iterator[Hit]:
    """`http-reuse always`."""
    for proxy in now.backs:
        line = proxy.last("http-reuse")
        if line and line.value(1) == "always":
            yield Hit("http-reuse always", line, proxy.name)


@rule(
    "sent-to-the-dead",
    STOP,
    title="Clients stay on a server that is down",
    reason="`option persist` and `force-persist` send them there whatever the checks say",
    next_step="remove it, or limit it to the addresses of those who test",
)
def sent_to_the_dead(now: Configuration) -> Iterator[Hit]:
    """`option persist`, or `force-persist` for everybody."""
    for proxy in now.backs:
        line = proxy.last("option", "persist")
        always = [one for one in proxy.own("force-persist") if is_always(one.words)]
        for found in [*([line] if line else []), *always]:
            yield Hit(" ".join(found.words), found, proxy.name)


@rule(
    "no-log",
    LOST,
    title="Nothing is logged",
    reason="nothing explains the next incident",
    next_step="set `log` in global and `log global` in defaults",
)
def no_log(now: Configuration) -> Iterator[Hit]:
    """Sections where clients arrive and no line says where to log."""
    target = now.setting("log")
    for proxy in now.fronts:
        line = proxy.last("log")
        if line is None or (line.value(1) == "global" and target is None):
            yield Hit("no log target", proxy.line, listener=proxy.name)
