"""Pools whose traffic use-server, stick or redirect lines override."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from ..config.parser import Configuration, Line, Proxy, read


def spread_overrides(files: Mapping[str, Any]) -> Dict[str, str]:
    """Give {pool: why} where lines send clients elsewhere than weights and algorithm say."""
    found: Dict[str, str] = {}
    for pool, why in _overrides(read(files)):
        found.setdefault(pool, why)
    return found


def _overrides(now: Configuration) -> Iterator[Tuple[str, str]]:
    """Give (pool, why) for each such line."""
    for proxy in now.backs:
        sticky = proxy.last("cookie")
        for what, found in (
            ("clients return to their server by cookie", sticky),
            ("clients stick to their server", _followed(proxy)),
            ("rules name the server", next(iter(proxy.own("use-server")), None)),
            ("clients return by their Set-Cookie", next(iter(proxy.own("appsession")), None)),
            ("clients return by their RDP cookie", next(iter(proxy.own("persist")), None)),
        ):
            if found:
                yield proxy.name, f"{what} ({' '.join(found.words)[:60]})"
        for server in proxy.servers:
            if server.has("agent-check"):
                yield proxy.name, f"an agent may change the weight of server {server.name}"
                break
        for line in proxy.own("http-request", "set-dst"):
            yield proxy.name, f"requests are sent to an address of their own ({line.words[1]})"
            break


def _followed(proxy: Proxy) -> Optional[Line]:
    """Give the line that sends clients by a table; lines that only store are no override."""
    return next(iter([*proxy.own("stick", "on"), *proxy.own("stick", "match")]), None)
