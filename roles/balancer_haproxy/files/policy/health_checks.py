"""Rules about health checks and unhealthy servers."""

from __future__ import annotations

import re
from typing import FrozenSet, Iterator, List, Optional

from ..config.parser import Configuration, Line, Proxy, Server
from .rule import LOST, STOP, TELL, Hit, rule

_SECOND, _MINUTE = 1e3, 6e4
_INTER = 2 * _SECOND
_LAYER_7 = (
    "httpchk",
    "ssl-hello-chk",
    "smtpchk",
    "pgsql-check",
    "mysql-check",
    "redis-check",
    "ldap-check",
    "spop-check",
)
_NOT_WELL = ("500", "503")


def is_checked(server: Server) -> bool:
    """Whether anything notices that a server is unhealthy."""
    return server.has("check") or server.has("track")


def in_service(proxy: Proxy) -> List[Server]:
    """Give the servers that take traffic by the file."""
    return [one for one in proxy.servers if not one.has("disabled") and one.number("weight") != 0]


def asks(proxy: Proxy) -> Optional[Line]:
    """Give the line that makes checks reach the application; None if they only connect."""
    for kind in _LAYER_7:
        found = proxy.last("option", kind)
        if found:
            return found
    if proxy.last("option", "tcp-check"):
        return next(iter(proxy.all("tcp-check", "expect")), None)
    return None


@rule(
    "no-check",
    STOP,
    title="A server of several has no health check",
    reason="when it dies it keeps its share of the requests, and all of them fail",
    next_step="give it a check",
)
def no_check(now: Configuration) -> Iterator[Hit]:
    """Servers without `check`, in pools of more than one."""
    for proxy in now.backs:
        servers = in_service(proxy)
        for server in servers if sum(one.slots for one in servers) > 1 else []:
            if not is_checked(server):
                yield Hit("no check", server.line, proxy.name, server.name)


@rule(
    "httpchk-without-check",
    STOP,
    title="A pool says how to check, and no server is checked",
    reason="`option httpchk` only sets the request; without `check` on the servers none is sent",
    next_step="put `check` on the servers or on default-server",
)
def httpchk_without_check(now: Configuration) -> Iterator[Hit]:
    """`option httpchk` of the pool itself, with nothing to use it."""
    for proxy in now.backs:
        line = next(iter(proxy.own("option", "httpchk")), None)
        if line and proxy.servers and not any(is_checked(one) for one in proxy.servers):
            yield Hit("option httpchk and no check", line, proxy.name)


@rule(
    "connect-check-only",
    LOST,
    title="Health checks of an http pool only connect",
    reason="a server whose application is dead still accepts connections and keeps its requests",
    next_step="ask for a path: check.kind http in the intent, `option httpchk` in a file",
)
def connect_check_only(now: Configuration) -> Iterator[Hit]:
    """Checked servers of mode http whose checks do not reach the application."""
    for proxy in now.backs:
        checked = [one for one in proxy.servers if one.has("check")]
        if proxy.mode == "http" and checked and not asks(proxy):
            yield Hit("checks that only connect", checked[0].line, proxy.name)


@rule(
    "check-accepts-errors",
    STOP,
    title="A health check takes an error for an answer",
    reason="a server that answers nothing but errors counts as well",
    next_step="expect the status of a healthy server alone, such as `expect status 200`",
)
def check_accepts_errors(now: Configuration) -> Iterator[Hit]:
    """`http-check expect` lines of which every one is true of a 500 or 503."""
    for proxy in now.backs:
        expected = proxy.own("http-check", "expect") or proxy.all("http-check", "expect")
        judged = [line for line in expected if _takes_errors(line)]
        if expected and len(judged) == len(expected):
            yield Hit(" ".join(judged[0].words), judged[0], proxy.name)


def _takes_errors(line: Line) -> bool:
    parts = list(line.words[2:])
    inverted = "!" in parts
    parts = [part for part in parts if part != "!"]
    for at, kind in enumerate(parts[:-1]):
        if kind in ("status", "rstatus", "string", "rstring"):
            return any(_matches(kind, parts[at + 1], text) != inverted for text in _NOT_WELL)
    return False


def _matches(kind: str, wanted: str, text: str) -> bool:
    if kind == "status":
        return any(_in_range(one, int(text)) for one in wanted.split(","))
    if kind == "string":
        return not wanted
    try:
        # An error page may have any text.
        return re.search(wanted, text if kind == "rstatus" else "") is not None
    except re.error:
        return False


def _in_range(wanted: str, status: int) -> bool:
    low, _, high = wanted.partition("-")
    if not low.isdigit():
        return False
    return int(low) <= status <= (int(high) if high.isdigit() else int(low))


def well(proxy: Proxy) -> Optional[FrozenSet[int]]:
    """Give the statuses that an HTTP check accepts; None when statuses do not decide."""
    others = (*(kind for kind in _LAYER_7 if kind != "httpchk"), "tcp-check")
    if not proxy.last("option", "httpchk") or any(proxy.last("option", kind) for kind in others):
        return None
    expected = proxy.all("http-check", "expect")
    if proxy.own("http-check") or proxy.own("option", "httpchk"):
        # Own lines replace those of defaults; without an own `expect` nothing is known.
        if expected and not proxy.own("http-check", "expect"):
            return None
        expected = proxy.own("http-check", "expect")
    if not expected:
        return frozenset(range(200, 400))
    wanted = expected[0].after("status")
    if len(expected) > 1 or wanted is None:
        return None
    inverted = "!" in expected[0].words
    each = wanted.split(",")
    return frozenset(
        status
        for status in range(100, 600)
        if any(_in_range(one, status) for one in each) != inverted
    )


def _falls_after(server: Server) -> float:
    """Give the most milliseconds until a dead server is marked down."""
    inter = _time(server, "inter", _INTER)
    fast = _time(server, "fastinter", inter)
    fall = server.number("fall") or 3
    return inter + (fall - 1) * fast


def _time(server: Server, option: str, default: float) -> float:
    found = server.time(option)
    return default if found is None else found


@rule(
    "slow-check",
    STOP,
    title="A dead server is found late",
    reason="until then its share of the requests fails",
    next_step="a check every few seconds and a `fall` of 2 to 5 find it within seconds",
)
def slow_check(now: Configuration) -> Iterator[Hit]:
    """More than three minutes stop, more than one is told."""
    for proxy in now.backs:
        for server in (one for one in proxy.servers if one.has("check")):
            took = _falls_after(server)
            if took > _MINUTE:
                grade = STOP if took > 3 * _MINUTE else TELL
                got = f"{took / _SECOND:.0f} s (inter and fall) until it counts as down"
                yield Hit(got, server.line, proxy.name, server.name, grade=grade)


@rule(
    "slow-return",
    STOP,
    title="A server that is well again waits long for its first request",
    reason="the others carry its load meanwhile",
    next_step="choose a smaller `rise`, or a shorter downinter",
)
def slow_return(now: Configuration) -> Iterator[Hit]:
    """More than 15 minutes stop, more than 5 are told."""
    for proxy in now.backs:
        for server in (one for one in proxy.servers if one.has("check")):
            inter = _time(server, "inter", _INTER)
            rise = server.number("rise") or 2
            took = _time(server, "downinter", inter) + (rise - 1) * _time(
                server, "fastinter", inter
            )
            if took > 5 * _MINUTE:
                grade = STOP if took > 15 * _MINUTE else TELL
                got = f"{took / _MINUTE:.0f} minutes (inter and rise) until it counts as up"
                yield Hit(got, server.line, proxy.name, server.name, grade=grade)


@rule(
    "hasty-check",
    STOP,
    title="Health checks come in a storm, or one of them decides",
    reason="servers get more checks than requests, and a hiccup takes them out of traffic",
    next_step="check every second or slower, and let two or three bad checks decide",
)
def hasty_check(now: Configuration) -> Iterator[Hit]:
    """An interval under 100 ms, or under half a second with `fall 1`; `fall 1` alone is told."""
    for proxy in now.backs:
        for server in (one for one in proxy.servers if one.has("check")):
            inter = _time(server, "inter", _INTER)
            fall = server.number("fall") or 3
            got = f"inter {inter:g} ms, fall {fall}"
            if inter < 100 or (fall == 1 and inter < 500):
                yield Hit(got, server.line, proxy.name, server.name)
            elif fall == 1:
                yield Hit(got, server.line, proxy.name, server.name, grade=TELL)


@rule(
    "one-error-marks-down",
    STOP,
    title="A few bad answers to clients take a server out",
    reason="one client that causes errors takes server after server out of traffic",
    next_step="raise `error-limit`, or leave `on-error` at fastinter",
)
def one_error_marks_down(now: Configuration) -> Iterator[Hit]:
    """`observe` with `on-error mark-down` after fewer than 10 errors."""
    for proxy in now.backs:
        for server in proxy.servers:
            limit = server.number("error-limit")
            if server.options.get("on-error") in ("mark-down", "sudden-death") and (
                server.has("observe") and (10 if limit is None else limit) < 10
            ):
                got = f"on-error {server.options['on-error']} with error-limit {limit}"
                yield Hit(got, server.line, proxy.name, server.name)


@rule(
    "agent-check",
    LOST,
    title="An agent on the server decides about its weight and state",
    reason="what it says is not in this change, and a missing agent is no error",
    next_step="see to it that the agent runs and is watched",
)
def agent_check(now: Configuration) -> Iterator[Hit]:
    """Servers with `agent-check`."""
    for proxy in now.backs:
        for server in proxy.servers:
            if server.has("agent-check"):
                yield Hit("agent-check", server.line, proxy.name, server.name)
