"""Find the pool that a request reaches by the intent, for the rules about routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Data = Mapping[str, Any]
DEFAULT = "default"
# Reserved (RFC 6761), so no route matches it.
_NO_HOST = "evenkeel.invalid"


@dataclass(frozen=True)
class Ask:
    """A request at a listener, with the names of its headers in lower case."""

    listener: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        host = "" if self.host == _NO_HOST else self.host
        return f"{host}{self.path} at listener {self.listener}"


def asks_of(listener: Data) -> Iterator[tuple[str, Ask]]:
    """Give (route, request) for all hosts and paths of a listener's routes, and its default."""
    for route in listener["routes"]:
        hosts = [f"any{one[1:]}" if one.startswith("*.") else one for one in route["hosts"]]
        paths = [*route["paths"], *route["path_prefixes"]]
        headers = tuple(sorted((one["name"].lower(), one["value"]) for one in route["headers"]))
        for host in hosts or [_NO_HOST]:
            for path in paths or ["/"]:
                yield route["name"], Ask(listener["name"], host, path, headers)
    if listener["default_pool"]:
        yield DEFAULT, Ask(listener["name"], _NO_HOST, "/")


def ask_of_test(test: Data) -> Ask:
    """Give the request of a route test."""
    headers = tuple(sorted((name.lower(), value) for name, value in test["headers"].items()))
    path = test["path"].partition("?")[0]
    return Ask(test["listener"], (test["host"] or _NO_HOST).lower(), path, headers)


def reached(intent: Data, ask: Ask) -> tuple[str, str | None]:
    """Give (route, pool) that a request reaches; the pool is None where no route matches."""
    listener = next((one for one in intent["listeners"] if one["name"] == ask.listener), None)
    if listener is None:
        return "", None
    for route in listener["routes"]:
        if _matches(route, ask):
            return str(route["name"]), str(route["pool"])
    return DEFAULT, listener["default_pool"]


def _matches(route: Data, ask: Ask) -> bool:
    wildcards = [one[1:] for one in route["hosts"] if one.startswith("*.")]
    is_host = ask.host in route["hosts"] or ask.host.endswith(tuple(wildcards))
    if route["hosts"] and not is_host:
        return False
    if route["paths"] or route["path_prefixes"]:
        under = (_is_under(prefix, ask.path) for prefix in route["path_prefixes"])
        if ask.path not in route["paths"] and not any(under):
            return False
    sent = dict(ask.headers)
    return all(sent.get(one["name"].lower()) == one["value"] for one in route["headers"])


def _is_under(prefix: str, path: str) -> bool:
    return (path == prefix and not prefix.endswith("/")) or path.startswith(
        prefix.rstrip("/") + "/"
    )
