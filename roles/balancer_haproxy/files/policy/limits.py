"""Rules about limits: connections, threads, buffers, slots, name resolution."""

from __future__ import annotations

from typing import Iterator

from ..config.parser import Configuration
from ..config.values import milliseconds, number
from .health_checks import in_service
from .rule import STOP, TELL, Hit, comparison, rule

_HOUR, _DAY = 3.6e6, 8.64e7
# Linux's fs.nr_open. A connection takes two descriptors.
_MOST_DESCRIPTORS = 1_048_576
_FEWEST_CONNECTIONS = 32
_LEAST_BUFFER = 8_192
_DEFAULT_BUFFER = 16_384


@rule(
    "tiny-server-maxconn",
    STOP,
    title="A server takes almost no connections",
    reason="all other requests wait in the queue; at low load it does not show",
    next_step="set what the server takes at its peak",
)
def tiny_server_maxconn(now: Configuration) -> Iterator[Hit]:
    """`maxconn` of 1 or 2; up to 4 is told."""
    for proxy in now.backs:
        for server in in_service(proxy):
            most = server.number("maxconn")
            if most and most < 5:
                grade = STOP if most < 3 else TELL
                yield Hit(f"maxconn {most}", server.line, proxy.name, server.name, grade=grade)


@rule(
    "tiny-queue",
    STOP,
    title="A full server turns requests away",
    reason="a queue of one or two is full at the first burst, and the rest get an error",
    next_step="leave maxqueue out, and bound the wait with timeout queue",
)
def tiny_queue(now: Configuration) -> Iterator[Hit]:
    """`maxqueue` of 1 or 2."""
    for proxy in now.backs:
        for server in in_service(proxy):
            most = server.number("maxqueue")
            if most and most < 3:
                yield Hit(f"maxqueue {most}", server.line, proxy.name, server.name)


@rule(
    "moving-server-maxconn",
    TELL,
    title="A server's limit follows the load of its pool",
    reason="minconn holds it far below maxconn until the pool is as full as fullconn says",
    next_step="set fullconn to the connections of the pool at its peak",
)
def moving_server_maxconn(now: Configuration) -> Iterator[Hit]:
    """`minconn` on a server."""
    for proxy in now.backs:
        for server in proxy.servers:
            if server.has("minconn"):
                got = f"minconn {server.options['minconn']}"
                yield Hit(got, server.line, proxy.name, server.name)


@rule(
    "tiny-maxconn",
    STOP,
    title="The balancer takes almost no connections",
    reason="the other clients wait in the kernel, where no counter shows them",
    next_step="set what the balancer takes at its peak",
)
def tiny_maxconn(now: Configuration) -> Iterator[Hit]:
    """`maxconn` under 32, of the process, a listener or one bind."""
    line = now.setting("maxconn")
    if line and 0 < (number(line.value(1)) or 0) < _FEWEST_CONNECTIONS:
        yield Hit(" ".join(line.words), line)
    for proxy in now.fronts:
        own = proxy.last("maxconn")
        if own and 0 < (number(own.value(1)) or 0) < _FEWEST_CONNECTIONS:
            yield Hit(" ".join(own.words), own, listener=proxy.name)
        for bind in proxy.own("bind"):
            most = number(bind.after("maxconn") or "")
            if most and most < _FEWEST_CONNECTIONS:
                about = f"bind {bind.value(1)}"
                yield Hit(f"maxconn {most}", bind, listener=proxy.name, about=about)


@comparison(
    "maxconn-cut",
    STOP,
    title="A limit on connections falls to a tenth",
    reason="this happens when a digit slips, and it shows at the next peak",
    next_step="if it is meant, waive the rule with the reason",
)
def maxconn_cut(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """`maxconn` of the process, a listener or a server, a tenth of what it was or less."""
    line, past = now.setting("maxconn"), before.setting("maxconn")
    if line and past and _is_cut(past.value(1), line.value(1)):
        yield Hit(f"maxconn {past.value(1)} → {line.value(1)}", line)
    for proxy in now.fronts:
        old = before.front(proxy.name)
        line, past = proxy.last("maxconn"), old.last("maxconn") if old else None
        if line and past and _is_cut(past.value(1), line.value(1)):
            got = f"maxconn {past.value(1)} → {line.value(1)}"
            yield Hit(got, line, listener=proxy.name)
    for proxy in now.backs:
        old = before.back(proxy.name)
        was = {one.name: one.options.get("maxconn", "") for one in old.servers} if old else {}
        for server in proxy.servers:
            will = server.options.get("maxconn", "")
            if _is_cut(was.get(server.name, ""), will):
                got = f"maxconn {was[server.name]} → {will}"
                yield Hit(got, server.line, proxy.name, server.name)


def _is_cut(was: str, will: str) -> bool:
    return 0 < (number(will) or 0) * 10 <= (number(was) or 0)


@rule(
    "maxconn-over-descriptors",
    STOP,
    title="maxconn needs more descriptors than a process can have",
    reason="the file is valid, and the balancer then does not start, or a reload is refused",
    next_step="choose a maxconn of at most half of what ulimit-n or the system allows",
)
def maxconn_over_descriptors(now: Configuration) -> Iterator[Hit]:
    """Two descriptors a connection, against `ulimit-n` or the most that Linux gives."""
    line, own = now.setting("maxconn"), now.setting("ulimit-n")
    most = (number(own.value(1)) if own else None) or _MOST_DESCRIPTORS
    needed = 2 * (number(line.value(1)) or 0) if line else 0
    if line and needed > most:
        yield Hit(f"{' '.join(line.words)}: {needed} descriptors, {most} there", line)


@rule(
    "small-buffers",
    STOP,
    title="Buffers are too small for headers that are common",
    reason="requests with long cookies or addresses are refused with 400, answers with 502",
    next_step="leave tune.bufsize at 16384, tune.maxrewrite and tune.http.maxhdr alone",
)
def small_buffers(now: Configuration) -> Iterator[Hit]:
    """`tune.bufsize` under 8 kB (under 16 kB is told), `tune.http.maxhdr` under 50."""
    line = now.setting("tune.bufsize")
    size = (number(line.value(1)) if line else None) or _DEFAULT_BUFFER
    if line and size < _DEFAULT_BUFFER:
        grade = STOP if size < _LEAST_BUFFER else TELL
        yield Hit(" ".join(line.words), line, about="tune.bufsize", grade=grade)
    line = now.setting("tune.maxrewrite")
    if line and (number(line.value(1)) or 0) > size * 3 // 4:
        yield Hit(f"{' '.join(line.words)} of {size}", line, about="tune.maxrewrite")
    line = now.setting("tune.http.maxhdr")
    if line and 0 < (number(line.value(1)) or 0) < 50:
        yield Hit(" ".join(line.words), line, about="tune.http.maxhdr")


@rule(
    "low-rate-limit",
    STOP,
    title="New connections are slowed down to almost none",
    reason="`rate-limit sessions` counts all clients together",
    next_step="set it above the peak, or limit each client with a stick table",
)
def low_rate_limit(now: Configuration) -> Iterator[Hit]:
    """`rate-limit sessions` under 20 a second, `maxconnrate` and the like under 20."""
    for proxy in now.fronts:
        line = proxy.last("rate-limit", "sessions")
        if line and 0 < (number(line.value(2)) or 0) < 20:
            yield Hit(" ".join(line.words), line, listener=proxy.name)
    for name in ("maxconnrate", "maxsessrate", "maxsslrate"):
        line = now.setting(name)
        if line and 0 < (number(line.value(1)) or 0) < 20:
            yield Hit(" ".join(line.words), line, about=name)


@comparison(
    "thread-leap",
    STOP,
    title="The number of threads changes by a factor of four and more",
    reason="more threads than cores wait for each other; one alone halves what the machine can do",
    next_step="if it is meant, waive the rule with the number of cores as the reason",
)
def thread_leap(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """`nbthread` against what is live; 32 and more where nothing was set."""
    line, past = now.setting("nbthread"), before.setting("nbthread")
    will, was = (number(one.value(1)) if one else None for one in (line, past))
    if line and will and ((was is None and will >= 32) or (was and _leaps(was, will))):
        yield Hit(f"nbthread {was or 'by the cores'} → {will}", line)


def _leaps(was: int, will: int) -> bool:
    return will >= 4 * was or was >= 4 * will


@rule(
    "short-goodbye",
    STOP,
    title="A replaced process is killed almost at once",
    reason="every reload cuts the requests that are under way",
    next_step="set hard-stop-after to what the slowest request takes, or leave it out",
)
def short_goodbye(now: Configuration) -> Iterator[Hit]:
    """`hard-stop-after` under 5 seconds; under 30 is told."""
    line = now.setting("hard-stop-after")
    took = milliseconds(line.value(1)) if line else None
    if line and took is not None and took < 30_000:
        yield Hit(" ".join(line.words), line, grade=STOP if took < 5_000 else TELL)


@rule(
    "long-resolver-hold",
    STOP,
    title="An address is kept long after the name server gave another",
    reason="requests go to where the server was",
    next_step="hold valid answers for seconds or minutes",
)
def long_resolver_hold(now: Configuration) -> Iterator[Hit]:
    """`hold` of more than a day stops, of more than an hour is told."""
    for kind, opened, lines in now.others:
        for line in lines if kind == "resolvers" else []:
            took = milliseconds(line.value(2))
            if line.starts("hold") and took is not None and took > _HOUR:
                about = f"resolvers {opened.value(1)}, hold {line.value(1)}"
                grade = STOP if took > _DAY else TELL
                yield Hit(" ".join(line.words), line, about=about, grade=grade)


@rule(
    "address-never-known",
    STOP,
    title="A server starts without an address, and nothing finds it",
    reason="with `init-addr none` and no resolvers the server stays down for ever",
    next_step="name a resolvers section, or let init-addr end with libc",
)
def address_never_known(now: Configuration) -> Iterator[Hit]:
    """`init-addr` none or last alone, without `resolvers`; with them it is told."""
    for proxy in now.backs:
        for server in proxy.servers:
            ways = server.options.get("init-addr", "libc").split(",")
            if ways[0] in ("none", "last") and "libc" not in ways:
                grade = TELL if server.has("resolvers") else STOP
                got = f"init-addr {','.join(ways)}"
                yield Hit(got, server.line, proxy.name, server.name, grade=grade)


@rule(
    "out-without-end",
    TELL,
    title="A server is out of traffic, and nothing says until when",
    reason="a server that is forgotten is missing at the next peak",
    next_step="give it an end: until and reason of the server in the intent",
)
def out_without_end(now: Configuration) -> Iterator[Hit]:
    """`disabled` servers and such of weight 0 among others."""
    for proxy in now.backs:
        for server in proxy.servers:
            if server.has("disabled") or server.number("weight") == 0:
                got = "disabled" if server.has("disabled") else "weight 0"
                yield Hit(got, server.line, proxy.name, server.name)


@comparison(
    "pool-cut",
    STOP,
    title="A pool loses more than half of its servers",
    reason="the rest may not carry the load of all",
    next_step="take fewer out at a time; if the pool may shrink, waive the rule with the reason",
)
def pool_cut(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """Servers that take requests (no backups, slots counted), against what is live."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        was, will = (
            sum(one.slots for one in in_service(part) if not one.has("backup")) if part else 0
            for part in (old, proxy)
        )
        if was >= 3 and 0 < will < was / 2:
            line = proxy.servers[0].line if proxy.servers else proxy.line
            yield Hit(f"{was} → {will} servers that take requests", line, proxy.name)
