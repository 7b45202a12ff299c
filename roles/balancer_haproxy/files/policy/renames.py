"""Recognizes sections and servers that only changed their names.

A renamed pool keeps the addresses of its servers, a renamed listener its binds. Without this a new
name would make what is live look new, and hide what a change takes away.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Set

from ..config.parser import BACK, FRONT, Configuration, Proxy

# The least share of parts that both have.
_ALIKE = 0.5


def follow(now: Configuration, before: Configuration) -> None:
    """Let `before` find the renamed sections of `now` under their new names."""
    gone = [one for one in before.backs if now.back(one.name) is None]
    new = [one for one in now.backs if before.back(one.name) is None]
    for name, old in _pairs(new, gone, _addresses).items():
        before.also(BACK, name, old)
    gone = [one for one in before.fronts if now.front(one.name) is None]
    new = [one for one in now.fronts if before.front(one.name) is None]
    for name, old in _pairs(new, gone, _binds).items():
        before.also(FRONT, name, old)


def server_before(now: Configuration, before: Configuration, pool: str, server: str) -> str:
    """Give the former name of a server of `now`: its own, or that of its address."""
    back, old = now.back(pool), before.back(pool)
    if back is None or old is None or any(one.name == server for one in old.servers):
        return server
    here = next((one.address for one in back.servers if one.name == server), None)
    return next((one.name for one in old.servers if one.address == here), server)


def _pairs(
    new: List[Proxy], gone: List[Proxy], has: Callable[[Proxy], Set[str]]
) -> Dict[str, Proxy]:
    found: Dict[str, Proxy] = {}
    for one in new:
        parts = has(one)
        rest = [old for old in gone if old not in found.values()]
        best = max(rest, key=lambda old: len(has(old) & parts), default=None)
        if best is not None and len(has(best) & parts) > _ALIKE * min(len(has(best)), len(parts)):
            found[one.name] = best
    return found


def _addresses(proxy: Proxy) -> Set[str]:
    return {server.address for server in proxy.servers}


def _binds(proxy: Proxy) -> Set[str]:
    return {line.value(1) for line in proxy.own("bind")}
