"""The parts of a normalised intent that the rehearsal reads, as JSON has them.

`evenkeel.intent.model` decides what an intent may say. A handwritten configuration has the same
form; what differs there is marked.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from evenkeel.balancer.types import Check


class IntentTls(TypedDict):
    """TLS of a bind."""

    certificate: str


class IntentBind(TypedDict):
    """One address and port that a listener listens on."""

    address: str
    port: int
    tls: IntentTls | None
    accept_proxy: bool


class IntentHeader(TypedDict):
    """A header with exactly this value."""

    name: str
    value: str


class IntentRoute(TypedDict):
    """Requests that go to a pool of their own."""

    name: str
    pool: str
    hosts: list[str]
    paths: list[str]
    path_prefixes: list[str]
    headers: list[IntentHeader]


class IntentListener(TypedDict):
    """Where clients arrive."""

    name: str
    mode: str
    binds: list[IntentBind]
    routes: list[IntentRoute]
    default_pool: str | None
    max_connections: int | None


class IntentAlgorithm(TypedDict):
    """How a pool chooses a server."""

    # Handwritten configurations also have "other".
    kind: str
    key: str | None
    name: str | None


class IntentStickiness(TypedDict):
    """The cookie that keeps a client on its server."""

    cookie: str


class IntentServer(TypedDict):
    """One server of a pool."""

    name: str
    address: str
    port: int
    weight: int
    capacity: float | None
    max_connections: int | None
    backup: bool
    state: str


class IntentPool(TypedDict):
    """Servers that answer alike."""

    name: str
    mode: str
    algorithm: IntentAlgorithm
    stickiness: IntentStickiness | None
    check: Check
    servers: list[IntentServer]


class IntentRouteTest(TypedDict):
    """A request, and where it has to arrive."""

    name: str
    listener: str
    host: str | None
    path: str
    # Intents of older releases have none: they mean GET.
    method: NotRequired[str]
    headers: dict[str, str]
    expect_pool: str | None
    expect_status: int | None
