"""Rules about which server gets a request: weights, hashes, backups, stickiness, duplicates."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from functools import lru_cache
from typing import Dict, Iterator, List, Optional

from ..config.parser import Configuration, Line, Proxy
from ..config.values import milliseconds
from .conditions import is_always
from .health_checks import in_service
from .rule import LOST, STOP, TELL, Hit, rule

_SECOND, _MINUTE, _HOUR = 1e3, 6e4, 3.6e6


def algorithm(proxy: Proxy) -> str:
    """Give the balancing algorithm; the default is round robin."""
    line = proxy.last("balance")
    return line.value(1).split("(")[0] if line else "roundrobin"


@lru_cache(maxsize=100_000)
def endpoint(address: str) -> str:
    """Give a server's address and port in canonical form."""
    text = address.lower()
    for prefix in ("ipv4@", "ipv6@"):
        text = text[len(prefix) :] if text.startswith(prefix) else text
    host, colon, port = text.rpartition(":")
    host = (host if colon else text).strip("[]")
    with suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return f"{host}:{port}" if colon else host


@rule(
    "one-address-twice",
    STOP,
    title="Two servers of a pool are one",
    reason="one machine gets two shares, and the one that was meant gets none",
    next_step="correct the address of one of them",
)
def one_address_twice(now: Configuration) -> Iterator[Hit]:
    """Two names for one address and port."""
    for proxy in now.backs:
        seen: Dict[str, str] = {}
        for server in proxy.servers:
            here = endpoint(server.address)
            if here in seen and server.slots == 1 and not here.startswith(("/", "unix", "abns")):
                got = f"{server.address}, as server {seen[here]}"
                yield Hit(got, server.line, proxy.name, server.name)
            seen.setdefault(here, server.name)


@rule(
    "first-without-maxconn",
    STOP,
    title="`balance first` without a limit on the servers",
    reason="the first server takes everything and the others get nothing",
    next_step="give each server but the last a maxconn",
)
def first_without_maxconn(now: Configuration) -> Iterator[Hit]:
    """Servers that are never full, before another one."""
    for proxy in now.backs:
        servers = [one for one in in_service(proxy) if not one.has("backup")]
        if algorithm(proxy) == "first":
            for server in servers[:-1]:
                if not server.number("maxconn"):
                    yield Hit("no maxconn", server.line, proxy.name, server.name)


@rule(
    "nothing-active",
    STOP,
    title="A pool has no server that takes requests",
    reason="every request to it fails",
    next_step="give it an active server with a weight over 0",
)
def nothing_active(now: Configuration) -> Iterator[Hit]:
    """Pools whose servers are all disabled or of weight 0, or that have none and answer nothing."""
    for proxy in now.backs:
        if proxy.servers and not in_service(proxy):
            yield Hit("all disabled or of weight 0", proxy.servers[0].line, proxy.name)
        elif not proxy.servers and not proxy.is_front and not _answers_by_itself(proxy):
            yield Hit("no server", proxy.line, proxy.name)


def _answers_by_itself(proxy: Proxy) -> bool:
    first = {line.words[0] for line in proxy.lines}
    return bool(
        first & {"http-request", "redirect", "stats", "dispatch", "errorfile", "tcp-request"}
        | first & {"http-error", "errorfiles", "use-fcgi-app", "monitor"}
    ) or bool(proxy.own("option", "transparent") or proxy.own("stick-table"))


@rule(
    "all-backup",
    STOP,
    title="Every server of a pool is a backup",
    reason="without `option allbackups` only the first of them ever gets a request",
    next_step="take `backup` from the servers that shall work",
)
def all_backup(now: Configuration) -> Iterator[Hit]:
    """Pools of several servers without an active one that is no backup."""
    for proxy in now.backs:
        servers = in_service(proxy)
        backups = [one for one in servers if one.has("backup")]
        if len(servers) > 1 and len(backups) == len(servers):
            grade = TELL if proxy.last("option", "allbackups") else STOP
            yield Hit(f"{len(servers)} backups", backups[0].line, proxy.name, grade=grade)


@rule(
    "use-server-always",
    STOP,
    title="A rule gives one server everything",
    reason="`use-server` goes before the balancing, and its condition is always true",
    next_step="give it a condition that is meant, or remove it",
)
def use_server_always(now: Configuration) -> Iterator[Hit]:
    """`use-server X if TRUE`, `unless FALSE`, or without any condition."""
    for proxy in now.backs:
        for line in proxy.own("use-server"):
            if is_always(line.words):
                yield Hit(" ".join(line.words), line, proxy.name)


@rule(
    "cookie-value-twice",
    STOP,
    title="Two servers have one cookie value",
    reason="clients of both return to the first of them",
    next_step="give each server a value of its own",
)
def cookie_value_twice(now: Configuration) -> Iterator[Hit]:
    """Equal values of `cookie` in a pool; a backup may share one."""
    for proxy in now.backs:
        seen: Dict[str, str] = {}
        for server in proxy.servers:
            value = server.options.get("cookie")
            if value is None or server.has("backup"):
                continue
            if value in seen:
                got = f"cookie {value}, as server {seen[value]}"
                yield Hit(got, server.line, proxy.name, server.name)
            seen.setdefault(value, server.name)


@rule(
    "cookie-for-some",
    LOST,
    title="Only some servers of a sticky pool have a cookie value",
    reason="clients of the others do not return to their server, and move to those with one",
    next_step="give every server a value",
)
def cookie_for_some(now: Configuration) -> Iterator[Hit]:
    """Servers without `cookie`, in a pool with a line `cookie` that balances by it."""
    for proxy in now.backs:
        line = proxy.last("cookie")
        servers = [one for one in in_service(proxy) if not one.has("backup")]
        without = [one for one in servers if not one.has("cookie")]
        if line and "dynamic" not in line.words and 0 < len(without) < len(servers):
            for server in without:
                yield Hit("no cookie value", server.line, proxy.name, server.name)


@rule(
    "cookie-seen-by-servers",
    TELL,
    title="The stickiness cookie is set on every answer, or reaches caches",
    reason="without `indirect` and `nocache` servers see it, and a cache may hand it to others",
    next_step="add indirect nocache",
)
def cookie_seen_by_servers(now: Configuration) -> Iterator[Hit]:
    """`cookie X insert` without `indirect` or without `nocache`."""
    for proxy in now.backs:
        line = proxy.last("cookie")
        if line and "insert" in line.words and not {"indirect", "nocache"} <= set(line.words):
            yield Hit(" ".join(line.words), line, proxy.name)


@rule(
    "long-stick-on-source",
    STOP,
    title="Clients stick to a server by their address for long",
    reason="all clients behind one address are one to it, and no weight changes that",
    next_step="stick by a cookie, or let entries expire within minutes",
)
def long_stick_on_source(now: Configuration) -> Iterator[Hit]:
    """`stick on src` with entries that live for an hour or more; shorter ones are told."""
    for proxy in now.backs:
        for line in [*proxy.own("stick", "on"), *proxy.own("stick", "match")]:
            if line.value(2).split(",")[0] in ("src", "fc_src"):
                seconds = _expires(now, proxy, line)
                lasts = "for ever" if seconds is None else f"for {seconds / _SECOND:.0f} s"
                grade = STOP if seconds is None or seconds >= _HOUR else TELL
                yield Hit(f"{' '.join(line.words)}, {lasts}", line, proxy.name, grade=grade)


def _expires(now: Configuration, proxy: Proxy, line: Line) -> Optional[float]:
    """Give the milliseconds until an entry of the table expires; None for never."""
    named = line.after("table")
    where = (now.back(named) or now.front(named)) if named else proxy
    tables: List[Line] = where.own("stick-table") if where else []
    text = tables[-1].after("expire") if tables else None
    return milliseconds(text) if text else None


@rule(
    "long-slowstart",
    STOP,
    title="A server that returns takes long to come to full weight",
    reason="the others carry its part of the load meanwhile",
    next_step="choose seconds or a few minutes",
)
def long_slowstart(now: Configuration) -> Iterator[Hit]:
    """More than 15 minutes stop, more than 5 are told."""
    for proxy in now.backs:
        for server in proxy.servers:
            took = server.time("slowstart")
            if took is not None and took > 5 * _MINUTE:
                got = f"slowstart {server.options['slowstart']}"
                grade = STOP if took > 15 * _MINUTE else TELL
                yield Hit(got, server.line, proxy.name, server.name, grade=grade)
