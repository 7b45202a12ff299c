"""The rules between an intent's values: unique names, existing pools, matching modes.

They read the plain data before the model accepts it, so one run reports wrong types and duplicate
names together. Values that the model refuses are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evenkeel.errors import Problem
from evenkeel.intent.value_types import canonical_address, canonical_bind

_Item = dict[str, Any]
_Seen = dict[object, str]


def broken_rules(data: object) -> list[Problem]:
    """Give a problem for each rule that `data` (plain dicts and lists) breaks."""
    if not isinstance(data, dict):
        return []
    pools = {pool["name"]: pool for _, pool in _items(data, "pools") if _text(pool.get("name"))}
    listeners = {
        listener["name"]: listener
        for _, listener in _items(data, "listeners")
        if _text(listener.get("name"))
    }
    return [
        *_listeners(data, pools),
        *_pools(data),
        *_route_tests(data, listeners, pools),
        *_pool_guardrails(data, pools),
    ]


def _text(value: object) -> bool:
    return isinstance(value, str)


def _items(data: _Item, key: str, path: str = "intent") -> Iterator[tuple[str, _Item]]:
    """Give each mapping of the list at `key` with its path; nothing without a list."""
    value = data.get(key)
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield f"{path}.{key}[{index}]", item


def _part(data: _Item, key: str) -> _Item:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _once(seen: _Seen, value: object, path: str, what: str) -> Iterator[Problem]:
    """Report every use of `value` but the first, and name the first."""
    if value in seen:
        shown = repr(value)[:80]
        if isinstance(value, tuple):
            shown = ":".join(f"[{part}]" if ":" in str(part) else str(part) for part in value)
        yield Problem(path, f"{what} used once", f"{shown}, as in {seen[value]}")
    else:
        seen[value] = path


def _unique_names(data: _Item, key: str, path: str, what: str) -> Iterator[Problem]:
    seen: _Seen = {}
    for at, item in _items(data, key, path):
        if _text(item.get("name")):
            yield from _once(seen, item["name"], f"{at}.name", what)


def _pool_of(name: object, mode: object, pools: dict[str, _Item], path: str) -> Iterator[Problem]:
    """Report the name of a pool that does not exist or has another mode."""
    if not _text(name):
        return
    if name not in pools:
        known = ", ".join(sorted(pools)) or "none is defined"
        yield Problem(path, f"the name of a pool ({known})"[:300], repr(name)[:80])
    elif pools[str(name)].get("mode", "http") != mode:
        yield Problem(
            path, f"a pool of mode {mode}, as the listener", f"a pool of another mode: {name!r}"
        )


def _listeners(data: _Item, pools: dict[str, _Item]) -> Iterator[Problem]:
    yield from _unique_names(data, "listeners", "intent", "a listener's name")
    binds: _Seen = {}
    for path, listener in _items(data, "listeners"):
        mode = listener.get("mode", "http")
        for at, bind in _items(listener, "binds", path):
            address = bind.get("address", "*")
            canonical = canonical_bind(address) if isinstance(address, str) else None
            if canonical and isinstance(bind.get("port"), int):
                yield from _once(binds, (canonical, bind["port"]), at, "an address and port")
        yield from _pool_of(listener.get("default_pool"), mode, pools, f"{path}.default_pool")
        yield from _unique_names(listener, "routes", path, "a route's name")
        yield from _listener_by_mode(listener, mode, path)
        yield from _routes(listener, mode, pools, path)


def _listener_by_mode(listener: _Item, mode: object, path: str) -> Iterator[Problem]:
    if not listener.get("default_pool") and not listener.get("routes"):
        yield Problem(path, "a default_pool or routes", "neither: every request would fail")
    if mode == "tcp" and listener.get("routes"):
        yield Problem(f"{path}.routes", "no routes in mode tcp: it sees no requests", "routes")
    if mode == "tcp" and listener.get("forwarded_for") is True:
        yield Problem(f"{path}.forwarded_for", "false in mode tcp: there are no headers", "true")


def _routes(listener: _Item, mode: object, pools: dict[str, _Item], path: str) -> Iterator[Problem]:
    seen: _Seen = {}
    for at, route in _items(listener, "routes", path):
        yield from _pool_of(route.get("pool"), mode, pools, f"{at}.pool")
        conditions = [route.get(key) for key in ("hosts", "paths", "path_prefixes", "headers")]
        if not any(conditions):
            yield Problem(
                at, "at least one of hosts, paths, path_prefixes, headers", "none of them"
            )
            continue
        for problem in _once(seen, repr(conditions), at, "a route's conditions"):
            yield Problem(problem.path, "conditions of its own", "those of an earlier route")


def _pools(data: _Item) -> Iterator[Problem]:
    yield from _unique_names(data, "pools", "intent", "a pool's name")
    for path, pool in _items(data, "pools"):
        mode = pool.get("mode", "http")
        yield from _unique_names(pool, "servers", path, "a server's name")
        endpoints: _Seen = {}
        for at, server in _items(pool, "servers", path):
            address = server.get("address")
            canonical = canonical_address(address) if isinstance(address, str) else None
            if canonical and isinstance(server.get("port"), int):
                yield from _once(
                    endpoints, (canonical, server["port"]), f"{at}.address", "an address and port"
                )
        for at, server in _items(pool, "servers", path):
            for key in ("until", "reason"):
                if server.get(key) is not None and server.get("state", "active") == "active":
                    yield Problem(f"{at}.{key}", "nothing: the server is active", key)
        yield from _algorithm(_part(pool, "algorithm"), mode, f"{path}.algorithm")
        yield from _check(_part(pool, "check"), f"{path}.check")
        yield from _tls(pool.get("tls"), f"{path}.tls")
        if mode == "tcp" and pool.get("stickiness"):
            yield Problem(f"{path}.stickiness", "no cookie in mode tcp", "stickiness")


def _algorithm(algorithm: _Item, mode: object, path: str) -> Iterator[Problem]:
    key, name = algorithm.get("key"), algorithm.get("name")
    if algorithm.get("kind") != "hash":
        for extra in ("key", "name", "consistent"):
            if algorithm.get(extra) is not None:
                yield Problem(f"{path}.{extra}", "nothing: it belongs to the kind hash", f"{extra}")
        return
    if key is None:
        yield Problem(f"{path}.key", "one of source, header, uri, cookie", "nothing")
    if key in ("header", "cookie") and name is None:
        yield Problem(f"{path}.name", f"the name of the {key} to hash", "nothing")
    if key in ("source", "uri") and name is not None:
        yield Problem(f"{path}.name", f"nothing: {key} has no name", repr(name)[:80])
    if mode == "tcp" and key in ("header", "uri", "cookie"):
        yield Problem(f"{path}.key", "source in mode tcp: it sees no requests", repr(key))


def _check(check: _Item, path: str) -> Iterator[Problem]:
    if check.get("kind") != "http":
        for key in ("path", "host", "expect_status"):
            if check.get(key) is not None:
                yield Problem(f"{path}.{key}", "nothing: it belongs to the kind http", key)


def _tls(tls: object, path: str) -> Iterator[Problem]:
    if not isinstance(tls, dict) or not isinstance(verified := tls.get("verified", True), bool):
        return
    named = tls.get("authorities")
    if verified and named is None:
        yield Problem(
            f"{path}.authorities",
            "the file of the trusted authorities, or verified: false",
            "nothing",
        )
    if not verified and named is not None:
        yield Problem(f"{path}.authorities", "nothing: nothing is verified", repr(named)[:80])


def _route_tests(
    data: _Item, listeners: dict[str, _Item], pools: dict[str, _Item]
) -> Iterator[Problem]:
    yield from _unique_names(data, "route_tests", "intent", "a route test's name")
    for path, test in _items(data, "route_tests"):
        name = test.get("listener")
        if _text(name) and name not in listeners:
            known = ", ".join(sorted(listeners)) or "none is defined"
            yield Problem(
                f"{path}.listener", f"the name of a listener ({known})"[:300], repr(name)[:80]
            )
        elif _text(name) and listeners[str(name)].get("mode", "http") != "http":
            yield Problem(f"{path}.listener", "a listener of mode http", repr(name)[:80])
        expected = [key for key in ("expect_pool", "expect_status") if test.get(key) is not None]
        if len(expected) != 1:
            got = " and ".join(expected) or "neither"
            yield Problem(path, "expect_pool or expect_status", got)
        yield from _pool_of(test.get("expect_pool"), "http", pools, f"{path}.expect_pool")


def _pool_guardrails(data: _Item, pools: dict[str, _Item]) -> Iterator[Problem]:
    for name in _part(_part(data, "guardrails"), "pools"):
        if name not in pools:
            known = ", ".join(sorted(pools)) or "none is defined"
            path = f"intent.guardrails.pools.{name}"
            yield Problem(path, f"the name of a pool ({known})"[:300], repr(name)[:80])
