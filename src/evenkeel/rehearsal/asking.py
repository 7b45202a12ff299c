"""What the load client asks: the requests of a class, from many addresses and with many keys.

A *class* of requests is what one route of one listener is made for (a dict of `world.classes`).
The same seed gives the same requests. Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from evenkeel.rehearsal.stub import OURS

# 127.1.0.0 to 127.254.255.254: no client address is one that something else listens at.
_FIRST_SOURCE = 0x7F010000
_LAST_SOURCE = 0x7FFEFFFE
SOURCE_PREFIX_6 = "fd65:7665:6e6b::"


@dataclass(frozen=True)
class Request:
    """One request, as its parts; the client's side of the wire makes bytes of it."""

    path: str
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)

    def as_bytes(self) -> bytes:
        """Give it as HTTP/1.1; a body stands behind its `Content-Length`."""
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Maker:
    """Makes the requests of classes, each with keys of its own; the same seed, the same requests.

    What a route looks at (host, path, its headers) is as the route wants it; everything else that
    a balancer could hash on differs from request to request.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (traffic, no secret)
        self.number = count(1)

    def source(self, address: str) -> str:
        """One of many client addresses, of the family of the listener's `address`."""
        if ":" in address:
            return f"{SOURCE_PREFIX_6}{self.random.randrange(1, 0xFFFF):x}"
        number = self.random.randrange(_FIRST_SOURCE, _LAST_SOURCE)
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))

    def request(
        self, kind: dict[str, Any], extra: dict[str, str] | None = None, *, vary: bool = True
    ) -> Request:
        """Give one request of class `kind`, with `extra` headers."""
        number = next(self.number)
        path, may_grow = self.random.choice(kind["paths"])
        if vary:
            if may_grow:
                path = f"{path.rstrip('/')}/{self.random.randrange(1 << 40):x}"
            path = f"{path}?n={number}"
        headers = {"Host": self.random.choice(kind["hosts"]), OURS: str(number)}
        headers |= kind["headers"]
        key = f"key-{self.random.randrange(1 << 40):x}"
        name = kind.get("key_header")
        if vary and name and name.lower() not in map(str.lower, headers):
            headers[name] = key
        if vary and kind.get("key_cookie"):
            headers["Cookie"] = f"{kind['key_cookie']}={key}"
        for name, value in (extra or {}).items():
            both = name == "Cookie" and name in headers
            headers[name] = f"{headers[name]}; {value}" if both else value
        return Request(path, headers)


def shuffled(
    kinds: Iterable[dict[str, Any]], numbers: dict[str, int], seed: int
) -> list[dict[str, Any]]:
    """Give each class as often as `numbers` says by its name, in a random order that is seeded."""
    stream = [kind for kind in kinds for _ in range(numbers[kind["name"]])]
    random.Random(seed).shuffle(stream)  # noqa: S311 (traffic, no secret)
    return stream


def until(kinds: list[dict[str, Any]], stop: asyncio.Event) -> Iterator[dict[str, Any]]:
    """Give the classes in turn until `stop` is set."""
    number = 0
    while not stop.is_set():
        yield kinds[number % len(kinds)]
        number += 1
