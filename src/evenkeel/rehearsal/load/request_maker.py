"""Makes the requests of a class, from many addresses and with many keys.

The seed, the class and the number of a request decide all of it, and its source address: the same
seed gives the same traffic, whatever the timing. Standard library only: it runs inside the staging
container.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from evenkeel.rehearsal.plan.request_mix import WITH_BODY, Picker, filled
from evenkeel.rehearsal.protocol.headers import OURS
from evenkeel.rehearsal.protocol.seeded import Draws
from evenkeel.rehearsal.protocol.world_types import (
    MixEntry,
    RequestClass,
    RequestTemplate,
    TestRequest,
)

# 127.1.0.0 to 127.254.255.254: no listener uses these.
_FIRST_SOURCE = 0x7F010000
_LAST_SOURCE = 0x7FFEFFFE
# A prime: it scatters numbered clients without collisions.
_STEP = 7_368_787
SOURCE_PREFIX_6 = "fd65:7665:6e6b::"
_SOURCES_6 = 0xFFFE
MOST_PER_CONNECTION = 100
# Every configuration must take the larger ones, unlike those of `limits`.
_LARGER_ONE_IN = 16
_SMALL_BYTES = 1024
_LARGER_BODY_BYTES = 8192
_LARGER_HEAD_BYTES = 2048


Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Request:
    """One request; `source` is the client's address."""

    path: str
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)
    source: str = "127.0.0.1"


Visit = list[tuple[RequestClass, Request]]
"""What one client sends over one connection: each request with its class."""


class Maker:
    """Makes requests with keys of their own; the same seed makes the same requests.

    Host, path and headers match the route; everything else that a balancer could hash on
    differs from request to request.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.numbers: Counter[str] = Counter()
        self._start = Draws(seed, "source").below(1 << 32)
        self._first: dict[tuple[str, int], int] = {}
        self._pickers: dict[str, Picker] = {}

    def restart(self) -> None:
        """Start again: the next request of each class is its first one."""
        self.numbers.clear()

    def draws(self, request_class: RequestClass, number: int) -> Draws:
        """Give the random numbers of the `number`-th request of a class."""
        return Draws(self.seed, request_class["name"], number)

    def client(self, request_class: RequestClass, name: str, number: int) -> str | int:
        """Give the client of the `number`-th request called `name`: one of `clients`, or its own.

        Clients take turns, so none sends more than needed. Where the source address decides
        on the server, every request has a client of its own.
        """
        if request_class["key"] == "source" or not request_class["clients"]:
            return f"{name} {number}"
        most = int(request_class["clients"])
        if (name, most) not in self._first:
            self._first[name, most] = Draws(self.seed, name).below(most)
        return (self._first[name, most] + number) % most

    def source(self, address: str, client: str | int) -> str:
        """Give the address of a client, of the family of the listener's `address`.

        Numbered clients have different ones; those with a name may share one by chance.
        """
        six, count = ":" in address, _LAST_SOURCE - _FIRST_SOURCE
        if six:
            count = _SOURCES_6
        if isinstance(client, int):
            number = (self._start + client * _STEP) % count
        else:
            number = Draws(self.seed, "source", client).below(count)
        if six:
            return f"{SOURCE_PREFIX_6}{1 + number:x}"
        number += _FIRST_SOURCE
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def request(
        self,
        request_class: RequestClass,
        extra: Mapping[str, str] | None = None,
        *,
        number: int | None = None,
        source: str = "",
    ) -> Request:
        """Give the next request of a class, or its `number`-th, with `extra` headers.

        It comes from the address `source`, or from that of the client whose turn it is.
        """
        if number is None:
            number = self._next(request_class)
        source = source or self.source(
            request_class["address"], self.client(request_class, request_class["name"], number)
        )
        draws = self.draws(request_class, number)
        entry = self._entry(request_class, number, draws)
        path = filled(entry["path"], draws)
        if entry["grows"]:
            path = f"{path.rstrip('/')}/{draws.hexadecimal()}"
        headers = {
            "Host": entry["host"] or _one_of(draws, request_class["hosts"]),
            OURS: str(number),
        }
        headers |= request_class["headers"]
        key = f"key-{draws.hexadecimal()}"
        # A route's own headers must stay as they are.
        name = request_class["key_header"]
        if name and name.lower() not in map(str.lower, headers):
            headers[name] = key
        if request_class["key_cookie"]:
            headers["Cookie"] = f"{request_class['key_cookie']}={key}"
        body = b""
        if request_class["web"]:
            padding = _size(
                draws, 0, int(request_class["largest_header_bytes"]) // 4, _LARGER_HEAD_BYTES
            )
            if padding:
                headers["X-Rehearsal-Padding"] = "h" * padding
            if entry["method"] in WITH_BODY:
                largest = int(request_class["largest_body_bytes"])
                body = b"b" * _size(draws, _SMALL_BYTES, largest, _LARGER_BODY_BYTES)
                headers["Content-Type"] = "application/octet-stream"
                headers["Content-Length"] = str(len(body))
        headers = _with(headers, extra)
        return Request(f"{path}?n={number}", headers, entry["method"], body, source)

    def plain(self, request_class: RequestClass, extra: Mapping[str, str] | None = None) -> Request:
        """Give a GET for the first host and path of a class."""
        number = self._next(request_class)
        source = self.source(
            request_class["address"], self.client(request_class, request_class["name"], number)
        )
        return _plain(request_class, "GET", number, source, extra)

    def of_test(self, test: TestRequest, extra: Mapping[str, str] | None = None) -> Request:
        """Give the request of a route test, from a client of its own."""
        number = self._next(test)
        source = self.source(test["address"], f"{test['name']} {number}")
        return _plain(test, test["method"], number, source, extra)

    def _next(self, request_class: RequestTemplate) -> int:
        number = self.numbers[request_class["name"]]
        self.numbers[request_class["name"]] += 1
        return number

    def _entry(self, request_class: RequestClass, number: int, draws: Draws) -> MixEntry:
        """Give the entry of the mix for a request; without a mix, what the route looks at."""
        name, mix = request_class["name"], request_class["mix"]
        picker = self._pickers.get(name)
        if picker is None or picker.mix != mix:
            start = Draws(self.seed, name, "mix").below(1 << 32) / (1 << 32)
            picker = self._pickers[name] = Picker(mix, start)
        path, grows = _one_of(draws, request_class["paths"])
        own: MixEntry = {
            "share": 1.0,
            "host": "",
            "path": path,
            "grows": grows,
            "method": "GET",
            "learnt": False,
        }
        return picker.pick(number) or own

    def visits(self, classes: Iterable[RequestClass], *, flush: bool = True) -> Iterator[Visit]:
        """Give what clients send, each over one connection, for one request of each of `classes`.

        Half of the requests that may share a connection do, with others of their listener,
        and over TLS of their host, as in a browser. With `flush`, connections that are not
        full at the end are given too.
        """
        pending: dict[str, Visit] = {}
        turns: Counter[str] = Counter()
        for request_class in classes:
            place = f"{request_class['address']} {request_class['port']}"
            turns[place] += 1
            average = float(request_class["requests_per_connection"])
            if not request_class["may_keep"] or average <= 1 or turns[place] % 2:
                yield [(request_class, self.request(request_class))]
                continue
            request = self.request(request_class)
            if request_class["tls"]:
                place += f" {request.headers['Host']}"
            if place not in pending:
                pending[place] = []
                turns[f"{place} kept"] += 1
            number = turns[f"{place} kept"]
            client = self.client(request_class, f"{place} kept", number)
            source = self.source(request_class["address"], client)
            pending[place].append((request_class, replace(request, source=source)))
            # Whole numbers of requests that keep the average.
            most = min(average, float(MOST_PER_CONNECTION))
            if len(pending[place]) >= int(most * number) - int(most * (number - 1)):
                yield pending.pop(place)
        if flush:
            yield from pending.values()


def _plain(
    request_class: RequestTemplate,
    method: str,
    number: int,
    source: str,
    extra: Mapping[str, str] | None,
) -> Request:
    headers = {"Host": request_class["hosts"][0], OURS: str(number), **request_class["headers"]}
    if method in WITH_BODY:
        headers["Content-Length"] = "0"
    return Request(request_class["paths"][0][0], _with(headers, extra), method, source=source)


def _with(headers: dict[str, str], extra: Mapping[str, str] | None) -> dict[str, str]:
    for name, value in (extra or {}).items():
        both = name == "Cookie" and name in headers
        headers[name] = f"{headers[name]}; {value}" if both else value
    return headers


def _one_of(draws: Draws, values: Sequence[Choice]) -> Choice:
    return values[draws.below(len(values))]


def _size(draws: Draws, small: int, largest: int, larger: int) -> int:
    """Give a size: mostly up to `small`, sometimes up to `larger`, never above `largest`."""
    if draws.below(_LARGER_ONE_IN):
        return draws.below(min(small, largest) + 1)
    return draws.below(min(larger, largest) + 1)


def with_a_larger_body(request: Request, largest: int) -> Request:
    """Give a request that has a body with the largest body that is counted."""
    if request.method not in WITH_BODY:
        return request
    body = b"b" * min(largest, _LARGER_BODY_BYTES)
    return replace(
        request, body=body, headers={**request.headers, "Content-Length": str(len(body))}
    )


def shuffled(
    classes: Iterable[RequestClass], numbers: dict[str, int], seed: int
) -> list[RequestClass]:
    """Give each class as often as `numbers` says, in a random order that is seeded."""
    stream = [
        request_class for request_class in classes for _ in range(numbers[request_class["name"]])
    ]
    random.Random(seed).shuffle(stream)  # noqa: S311 (traffic, no secret)
    return stream


def until(classes: Sequence[RequestClass], stop: asyncio.Event) -> Iterator[RequestClass]:
    """Give the classes in turn until `stop` is set."""
    number = 0
    while not stop.is_set():
        yield classes[number % len(classes)]
        number += 1
