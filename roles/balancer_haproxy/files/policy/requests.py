"""Rules about requests: refusals, redirects, headers, and stickiness."""

from __future__ import annotations

from typing import Iterator, List, Optional, Set

from ..config.parser import Configuration, Line, Proxy
from .conditions import is_always
from .health_checks import in_service
from .rule import STOP, TELL, Hit, comparison, rule

_NEEDED = ("authorization", "cookie", "host", "content-type", "content-length")
_OLD_TLS = ("SSLv3", "TLSv1.0", "TLSv1.1")
_SCHEME = "x-forwarded-proto"


def _rules(proxy: Proxy, *first: str) -> List[Line]:
    """Give the rules of a section that hold for every request."""
    return [line for line in proxy.own("http-request", *first) if is_always(line.words)]


def _hit(proxy: Proxy, line: Line, grade: str = "", got: str = "") -> Hit:
    where = {"listener" if proxy.is_front else "pool": proxy.name}
    words = " ".join(line.words)
    return Hit(got or words[:100], line, about=" ".join(line.words[1:3]), grade=grade, **where)


def _has_tls(proxy: Proxy) -> bool:
    return any("ssl" in bind.words for bind in proxy.own("bind"))


@rule(
    "everybody-refused",
    STOP,
    title="Every request is refused",
    reason="the rule has no condition, or one that is always true",
    next_step="give it the condition that is meant",
)
def everybody_refused(now: Configuration) -> Iterator[Hit]:
    """`deny`, `tarpit` or `reject` for everybody, where requests are meant to go on."""
    for proxy in now.proxies:
        leads = proxy.own("use_backend") or proxy.all("default_backend") or proxy.servers
        for kind in ("deny", "tarpit", "reject", "silent-drop") if leads else ():
            for line in _rules(proxy, kind):
                yield _hit(proxy, line)
        for layer in ("connection", "content", "session") if leads else ():
            for line in proxy.own("tcp-request", layer, "reject"):
                if is_always(line.words):
                    yield _hit(proxy, line)


@rule(
    "redirect-loop",
    STOP,
    title="A redirect leads to itself",
    reason="browsers that come over TLS already are sent to TLS again, for ever",
    next_step="add `unless { ssl_fc }`",
)
def redirect_loop(now: Configuration) -> Iterator[Hit]:
    """`redirect scheme https` for every request of a listener that ends TLS."""
    for proxy in now.fronts:
        lines = [*_rules(proxy, "redirect"), *proxy.own("redirect")]
        for line in lines if _has_tls(proxy) else []:
            if line.after("scheme") == "https" and is_always(line.words):
                yield _hit(proxy, line)


@rule(
    "scheme-told-wrongly",
    STOP,
    title="Servers see http for requests that came over TLS",
    reason="they send clients to https again and again, or write links that browsers refuse",
    next_step="say what it was: %[ssl_fc,iif(https,http)]",
)
def scheme_told_wrongly(now: Configuration) -> Iterator[Hit]:
    """A fixed X-Forwarded-Proto of http at a listener that ends TLS."""
    for proxy in now.fronts:
        for line in _rules(proxy, "set-header") if _has_tls(proxy) else []:
            if line.value(2).lower() == _SCHEME and line.value(3).lower() == "http":
                yield _hit(proxy, line)


@rule(
    "request-replaced",
    STOP,
    title="Every request is made into another",
    reason="servers get one path or one host, whatever the client sent",
    next_step="give the rule a condition, or keep what the client sent",
)
def request_replaced(now: Configuration) -> Iterator[Hit]:
    """A fixed path, URI or method for all requests; a fixed Host (at a pool it is told)."""
    for proxy in now.proxies:
        for kind in ("set-path", "set-uri", "set-pathq", "set-method"):
            for line in _rules(proxy, kind):
                if "%[" not in line.value(2):
                    yield _hit(proxy, line)
        for line in _rules(proxy, "set-header"):
            if line.value(2).lower() == "host" and "%[" not in line.value(3):
                yield _hit(proxy, line, STOP if proxy.is_front else TELL)


@rule(
    "header-dropped",
    STOP,
    title="A header that servers live by is dropped",
    reason="servers then know neither the user nor the session",
    next_step="give the rule a condition, or drop a header that no server needs",
)
def header_dropped(now: Configuration) -> Iterator[Hit]:
    """`del-header` of Authorization, Cookie, Host and the content's headers, for everybody."""
    for proxy in now.proxies:
        for line in _rules(proxy, "del-header"):
            if line.value(2).lower() in _NEEDED:
                yield _hit(proxy, line)


@rule(
    "tls-too-old",
    STOP,
    title="Only versions of TLS that clients have given up are left",
    reason="no browser of the last years connects",
    next_step="allow TLSv1.2 and TLSv1.3",
)
def tls_too_old(now: Configuration) -> Iterator[Hit]:
    """`ssl-max-ver` under TLSv1.2, for all binds or one."""
    for name in ("ssl-default-bind-options", "ssl-default-server-options"):
        line = now.setting(name)
        if line and line.after("ssl-max-ver") in _OLD_TLS:
            yield Hit(" ".join(line.words), line, about=name)
    for proxy in now.fronts:
        for bind in proxy.own("bind"):
            if bind.after("ssl-max-ver") in _OLD_TLS:
                about = f"bind {bind.value(1)}"
                got = f"ssl-max-ver {bind.after('ssl-max-ver')}"
                yield Hit(got, bind, listener=proxy.name, about=about)


@comparison(
    "stickiness-lost",
    STOP,
    title="Clients no longer return to their server",
    reason="sessions that live in a server's memory are lost at every request",
    next_step="if no server keeps sessions any more, waive the rule with that reason",
)
def stickiness_lost(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A pool of several servers that had a cookie or `stick on`, and has nothing of the kind."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        if old and _keeps(old) and not _sticks(proxy) and len(in_service(proxy)) > 1:
            yield Hit("no cookie and no stick rule", proxy.line, proxy.name)


def _keeps(proxy: Proxy) -> bool:
    return bool(proxy.last("cookie") or proxy.own("stick", "on") or proxy.own("stick", "match"))


def _sticks(proxy: Proxy) -> bool:
    """Whether clients return to their server, by stickiness or by a hash."""
    hashed = (proxy.last("balance") or proxy.line).value(1).split("(")[0]
    return _keeps(proxy) or hashed in ("source", "hdr", "hash", "rdp-cookie")


@comparison(
    "cookie-not-returned",
    STOP,
    title="Browsers will not send the stickiness cookie back",
    reason="a cookie that is `secure` travels over TLS alone, and no listener of the pool has TLS",
    next_step="if TLS ends before the balancer, waive the rule with that reason",
)
def cookie_not_returned(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """A pool whose cookie becomes `secure`, reached by plain listeners alone."""
    for proxy in now.backs:
        line = proxy.last("cookie")
        was = _cookie(before.back(proxy.name))
        fronts = [front for front in now.fronts if proxy.name in _leads(front)]
        newly = line and was and "secure" in line.words and "secure" not in was.words
        if line and newly and fronts and not any(map(_has_tls, fronts)):
            yield Hit(" ".join(line.words), line, proxy.name)


def _cookie(proxy: Optional[Proxy]) -> Optional[Line]:
    return proxy.last("cookie") if proxy else None


def _leads(proxy: Proxy) -> Set[str]:
    lines = [*proxy.own("use_backend"), *proxy.all("default_backend")]
    return {line.value(1) for line in lines} | ({proxy.name} if proxy.is_back else set())


@comparison(
    "reserve-promoted",
    STOP,
    title="A reserve works beside the server that it stands in for",
    reason="two primaries of a database are written to at one time",
    next_step="if both may work, waive the rule with the reason",
)
def reserve_promoted(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """In mode tcp: one server and its backups before, and a former backup beside it now."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        was = [one for one in in_service(old) if not one.has("backup")] if old else []
        will = [one for one in in_service(proxy) if not one.has("backup")]
        reserves = {one.name for one in old.servers if one.has("backup")} if old else set()
        promoted = [one for one in will if one.name in reserves]
        if proxy.mode == "tcp" and len(was) == 1 and promoted and len(will) > 1:
            server = promoted[0]
            yield Hit("no longer a backup", server.line, proxy.name, server.name)
