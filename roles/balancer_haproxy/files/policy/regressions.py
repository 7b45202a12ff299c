"""Rules about what a change takes from existing clients or servers."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Iterator, Set, Tuple

from ..config.parser import Configuration, Line, Proxy, Server
from .balancing import endpoint
from .health_checks import well
from .listeners import map_of, map_values, places
from .rule import STOP, TELL, Hit, comparison

_TLS, _PROXY = "ssl", "accept-proxy"
# The part of a name that each request decides.
_LOOKED_UP = re.compile(r"%\[[^\]]*\]")


def _binds(now: Configuration) -> Dict[str, Tuple[Proxy, Line]]:
    return {
        here: (proxy, bind)
        for proxy in now.fronts
        for bind in proxy.own("bind")
        for here in places(bind)
    }


def _kept(now: Configuration, before: Configuration) -> Iterator[Tuple[str, Proxy, Line, Line]]:
    """Give each address and port that clients reach before and after, with both lines."""
    old = _binds(before)
    for here, (proxy, bind) in sorted(_binds(now).items()):
        if here in old:
            yield here, proxy, old[here][1], bind


@comparison(
    "clients-speak-otherwise",
    STOP,
    title="A port that clients use now expects another protocol",
    reason="clients that are not changed in the same moment all fail",
    next_step="if they are changed too, waive the rule with how; a port of its own is safer",
)
def clients_speak_otherwise(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """TLS, the PROXY protocol or certificates of clients, demanded or no longer, at one port."""
    for here, proxy, old, new in _kept(now, before):
        for word, name in ((_TLS, "TLS"), (_PROXY, "the PROXY protocol")):
            was, will = word in old.words, word in new.words
            if was != will:
                got = f"{name} {'no longer' if was else 'from now on'} at {here}"
                yield Hit(got, new, listener=proxy.name, about=f"bind {here}, {word}")
        was, will = (line.after("verify") == "required" for line in (old, new))
        if will and not was:
            got = f"a client's certificate is demanded at {here}"
            yield Hit(got, new, listener=proxy.name, about=f"bind {here}, verify")


@comparison(
    "port-gone",
    STOP,
    title="A port that clients use is no longer there",
    reason="clients that are not changed in the same moment cannot connect",
    next_step="keep the old port beside the new one until no client uses it, or waive the rule",
)
def port_gone(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """Addresses and ports that no listener has any more; local ones are told."""
    here_now = set(_binds(now))
    if not now.fronts:
        return
    ports = {here.rpartition(":")[2] for here in here_now if here.startswith(("*:", ":::"))}
    for here, (old, bind) in sorted(_binds(before).items()):
        if here in here_now or here.rpartition(":")[2] in ports:
            continue
        stays = now.front(old.name)
        line = stays.line if stays else None
        grade = TELL if here.startswith(("127.", "localhost:", "::1:", "/", "unix@")) else STOP
        got = f"{here} (line {bind.number} of what is live)"
        yield Hit(got, line, listener=old.name, about=f"bind {here}", grade=grade)


def _same_servers(
    now: Configuration, before: Configuration
) -> Iterator[Tuple[Proxy, Server, Server]]:
    """Give each server that keeps its name and pool."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        was = {server.name: server for server in old.servers} if old else {}
        for server in proxy.servers:
            if server.name in was:
                yield proxy, was[server.name], server


@comparison(
    "servers-spoken-to-otherwise",
    STOP,
    title="A server is spoken to in another protocol at the same port",
    reason="a server that is not changed in the same moment fails every request",
    next_step="if it is changed too, waive the rule with how",
)
def servers_spoken_to_otherwise(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """TLS or the PROXY protocol to a server's address and port, from now on or no longer."""
    for proxy, old, new in _same_servers(now, before):
        if endpoint(old.address) != endpoint(new.address):
            continue
        for name, words in (
            ("TLS", ("ssl",)),
            ("the PROXY protocol", ("send-proxy", "send-proxy-v2", "send-proxy-v2-ssl")),
        ):
            was, will = (any(map(one.has, words)) for one in (old, new))
            if was != will:
                got = f"{name} {'no longer' if was else 'from now on'}"
                yield Hit(got, new.line, proxy.name, new.name, about=words[0])


@comparison(
    "servers-no-longer-verified",
    STOP,
    title="A server's identity is no longer verified",
    reason="any host that answers at its address gets the requests, with all that users send",
    next_step="name the authority of its certificate (ca-file), or waive the rule with the reason",
)
def servers_no_longer_verified(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A server whose certificate needed a trusted signature, and no longer does."""
    for proxy, old, new in _same_servers(now, before):
        if _is_verified(before, old) and not _is_verified(now, new):
            yield Hit("verify none" if new.has("ssl") else "no TLS", new.line, proxy.name, new.name)


def _is_verified(configuration: Configuration, server: Server) -> bool:
    """Whether TLS to a server is verified; `ssl-server-verify` is the default."""
    every = configuration.setting("ssl-server-verify")
    otherwise = every.value(1) if every else "required"
    return server.has("ssl") and server.options.get("verify", otherwise) != "none"


@comparison(
    "checks-ask-less",
    STOP,
    title="Health checks ask less than before",
    reason="a server that fails in a way that was seen before keeps its requests",
    next_step="if it is meant, waive the rule with the reason",
)
def checks_ask_less(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A pool's only server that was checked and no longer is."""
    for proxy, old, new in _same_servers(now, before):
        if (
            len(proxy.servers) == 1
            and old.has("check")
            and not (new.has("check") or new.has("track"))
        ):
            yield Hit("check removed", new.line, proxy.name, new.name)


@comparison(
    "checks-want-otherwise",
    STOP,
    title="A health check refuses every answer that it takes for well now",
    reason="the check sends the same request, so servers that are up now would all be down",
    next_step="accept both statuses until the servers answer otherwise; waive the rule where"
    " every server is down already, because of the wrong status",
)
def checks_want_otherwise(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """No status in common, for a check over HTTP that asks the same of the same servers."""
    told = set()
    for proxy, old, new in _same_servers(now, before):
        was = before.back(proxy.name)
        asked = new.has("check") and not new.has("disabled")
        if was is None or proxy.name in told or not asked:
            continue
        if _asked(was, old) != _asked(proxy, new):
            continue
        first, second = well(was), well(proxy)
        if first and second and not first & second:
            told.add(proxy.name)
            line = proxy.last("http-check", "expect") or proxy.last("option", "httpchk")
            got = f"{_few(second)}, and {_few(first)} in what is live"
            yield Hit(f"status {got}", line, proxy.name)


def _asked(proxy: Proxy, server: Server) -> Tuple[object, ...]:
    """Give what a health check sends, and where to; not what it expects."""
    asked = [line for line in proxy.all("http-check") if line.value(1) != "expect"]
    httpchk = proxy.last("option", "httpchk")
    return (
        endpoint(server.address),
        server.has("check"),
        tuple(server.options.get(word) for word in ("addr", "port", "check-ssl", "check-sni")),
        httpchk.words if httpchk else (),
        tuple(line.words for line in asked),
    )


def _few(statuses: FrozenSet[int]) -> str:
    named = [str(status) for status in sorted(statuses)]
    return ", ".join(named) if len(named) <= 3 else f"{named[0]} … {named[-1]}"


@comparison(
    "address-of-another-pool",
    STOP,
    title="A server moves to the address of another pool's server",
    reason="this happens when a block is copied and one field is forgotten",
    next_step="correct the address; if both pools share the server, waive the rule",
)
def address_of_another_pool(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A server that kept its name and got an address that only another pool had."""
    owners: Dict[str, Set[str]] = {}
    for back in before.backs:
        for one in back.servers:
            owners.setdefault(endpoint(one.address), set()).add(back.name)
    # Pools that share servers may share another one.
    shares = set().union(*(pools for pools in owners.values() if len(pools) > 1), set())
    for proxy, old, new in _same_servers(now, before):
        if old.address == new.address or proxy.name in shares:
            continue
        here = endpoint(new.address)
        was = before.back(proxy.name)
        others = owners.get(here, set()) - {proxy.name, was.name if was else proxy.name}
        if others and len(others) == len(owners[here]):
            got = f"{new.address}, which pool {sorted(others)[0]} has"
            yield Hit(got, new.line, proxy.name, new.name)


@comparison(
    "looked-up-pool-gone",
    STOP,
    title="A pool that requests may name is no longer there",
    reason="a route that looks its pool up finds no such name, and gives the default or 503",
    next_step="keep the pool, or waive the rule when no map and no request names it any more",
)
def looked_up_pool_gone(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A pool that no route named by itself, while a `use_backend %[...]` could, and now cannot.

    A map of the release decides; a map on the host is unknown, so the finding is told.
    """
    routes = [(front, line) for front in now.fronts for line in front.all("use_backend")]
    looked_up = [(front, line) for front, line in routes if "%[" in line.value(1)]
    named = {
        line.value(1)
        for front in before.proxies
        for word in ("use_backend", "default_backend")
        for line in front.all(word)
    }
    for old in before.backs:
        if old.is_front or old.name in named or now.back(old.name) or not old.servers:
            continue
        graded = [(_grade(now, line, old.name), front, line) for front, line in looked_up]
        # A route that stops comes before one that tells.
        for grade, front, line in sorted(graded, key=lambda one: one[0] != STOP):
            if grade:
                got = f"{old.name}, which {line.value(1)} may name"
                about = f"pool {old.name}"
                yield Hit(got, line, listener=front.name, about=about, grade=grade)
                break


def _grade(now: Configuration, line: Line, pool: str) -> str:
    """Give the grade of a missing pool that a looked-up name may mean; "" for none."""
    text = line.value(1)
    parts = [re.escape(part) for part in _LOOKED_UP.split(text)]
    found = re.fullmatch("(.+)".join(parts), pool)
    path = map_of(text)[0]
    if not found or not path:
        return STOP if found else ""
    values = map_values(now, path)
    if values is None or len(found.groups()) != 1:
        return TELL
    return STOP if found[1] in values else ""
