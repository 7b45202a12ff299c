"""Rules about hashes and rings."""

from __future__ import annotations

from typing import Iterator

from ..config.parser import Configuration, Proxy, Server
from ..config.values import number
from .balancing import algorithm
from .health_checks import in_service
from .rule import STOP, TELL, Hit, comparison, rule

# Measured: of weight 1, five servers got 14 to 25 %.
_EVEN_RING_WEIGHT = 10


@rule(
    "low-weight-on-ring",
    STOP,
    title="A consistent hash or a random choice among low weights",
    reason="a server has a place on the ring for each unit of weight: five servers of weight 1 get"
    " 14 to 25 % each",
    next_step="give every server weight 10 or more, in the same proportion; 100 is even",
)
def low_weight_on_ring(now: Configuration) -> Iterator[Hit]:
    """Weights under 10, where the place on a ring decides."""
    for proxy in now.backs:
        servers = [one for one in in_service(proxy) if not one.has("backup")]
        weights = [_weight(one) for one in servers]
        if sum(one.slots for one in servers) < 2 or not _on_ring(proxy) or not weights:
            continue
        if min(weights) < _EVEN_RING_WEIGHT:
            grade = STOP if max(weights) < _EVEN_RING_WEIGHT else TELL
            low = servers[weights.index(min(weights))]
            got = f"weights from {min(weights)} to {max(weights)}"
            yield Hit(got, low.line, proxy.name, grade=grade)


def _weight(server: Server) -> int:
    found = server.number("weight")
    return 1 if found is None else found


def _on_ring(proxy: Proxy) -> bool:
    kind = algorithm(proxy)
    if kind == "random":
        return True
    hashed = kind in ("source", "uri", "url_param", "hdr", "rdp-cookie", "hash")
    line = proxy.last("hash-type")
    return hashed and line is not None and line.value(1) == "consistent"


@rule(
    "tight-hash-bound",
    STOP,
    title="hash-balance-factor is close to 100",
    reason="no server may be busier than average, so keys move all the time and caches stay cold",
    next_step="choose 125 to 200",
)
def tight_hash_bound(now: Configuration) -> Iterator[Hit]:
    """A factor from 101 to 109."""
    for proxy in now.backs:
        line = proxy.last("hash-balance-factor")
        if line and 100 < (number(line.value(1)) or 0) < 110:
            yield Hit(" ".join(line.words), line, proxy.name)


@comparison(
    "hash-no-longer-consistent",
    STOP,
    title="A consistent hash becomes a plain one",
    reason="from then on nearly every key moves when a server comes, goes or fails, so that caches"
    " and sessions are lost each time",
    next_step="keep `hash-type consistent`, or waive the rule with the reason",
)
def hash_no_longer_consistent(now: Configuration, before: Configuration) -> Iterator[Hit]:
    """The same algorithm with `hash-type consistent` before, and without it now."""
    for proxy in now.backs:
        old = before.back(proxy.name)
        if old and _on_ring(old) and not _on_ring(proxy) and algorithm(old) == algorithm(proxy):
            yield Hit("no hash-type consistent", proxy.last("balance"), proxy.name)


@rule(
    "hash-of-what-may-lack",
    TELL,
    title="The key of a hash may be missing",
    reason="requests without it are given out in turns, so that they find another server each time",
    next_step="see to it that clients send it, or set it before",
)
def hash_of_what_may_lack(now: Configuration) -> Iterator[Hit]:
    """A header, a cookie or a parameter as the key."""
    for proxy in now.backs:
        line = proxy.last("balance")
        text = " ".join(line.words[1:]) if line else ""
        if line and (algorithm(proxy) in ("hdr", "url_param", "rdp-cookie") or "req.cook" in text):
            yield Hit(text, line, proxy.name)
