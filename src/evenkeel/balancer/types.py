"""The shapes of what a role's dialect takes and gives. Units are in the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

# A normalised intent, or a part of one, as JSON has it.
Data = Mapping[str, Any]
# Name of a file of a release -> its bytes.
Files = Mapping[str, bytes]
Severity = Literal["stop", "tell"]
# "lost" stops a change that takes something away, and tells in a place that is new.
Grade = Literal["stop", "lost", "tell"]


class Unsupported(TypedDict):
    """One wish of an intent that the balancer cannot meet; `path` is its place in the intent."""

    path: str
    wanted: str
    got: str


class Check(TypedDict):
    """A health check of a pool, as `evenkeel.intent.model.Check` has it after normalisation.

    Whoever makes one has to give every option, so a new option breaks the type check of each.
    """

    kind: str
    path: str | None
    host: str | None
    expect_status: list[int] | None
    interval_seconds: float
    rise: int
    fall: int


class Finding(TypedDict):
    """One place where a rule is broken.

    `subject` stays the same from release to release; a waiver names it. `live_already` findings
    never stop a change.
    """

    rule: str
    severity: Severity
    live_already: bool
    subject: str
    pool: str | None
    server: str | None
    listener: str | None
    file: str | None
    line: int | None
    text: str
    title: str
    got: str
    reason: str
    next_step: str


class CatalogueEntry(TypedDict):
    """One rule, for the documentation. Here `severity` is the rule's grade."""

    rule: str
    severity: Grade
    title: str
    looks_for: str
    reason: str
    next_step: str


References = dict[str, list[str]]
"""What files name, by kind; the rehearsal needs a placeholder for each.

Paths: `certificates` (with their keys), `authorities`, `revocations` (of authorities), `pages`
(answers of HTTP) and `lists` (also maps). `hosts` are host names to resolve, `nameservers` are
`address:port`, and `server_names` are what the servers' certificates have to be for.
"""


class HandwrittenTls(TypedDict):
    """TLS of a bind; "" for a certificate that is named elsewhere."""

    certificate: str


class HandwrittenBind(TypedDict):
    """One address and port of a listener; "*" is every address."""

    address: str
    port: int
    tls: HandwrittenTls | None
    accept_proxy: bool


class HandwrittenHeader(TypedDict):
    """A header with exactly this value."""

    name: str
    value: str


class RouteConditions(TypedDict):
    """What a request has to be like to take a route."""

    hosts: list[str]
    paths: list[str]
    path_prefixes: list[str]
    headers: list[HandwrittenHeader]


class HandwrittenRoute(RouteConditions):
    """Requests that go to a pool of their own."""

    name: str
    pool: str


class HandwrittenListener(TypedDict):
    """Where clients arrive."""

    name: str
    mode: str
    binds: list[HandwrittenBind]
    forwarded_for: bool
    routes: list[HandwrittenRoute]
    default_pool: str | None
    max_connections: int | None
    extra: list[str]


class HandwrittenAlgorithm(TypedDict):
    """How a pool chooses a server; `kind` "other" is none that an intent knows."""

    kind: str
    key: str | None
    name: str | None
    consistent: bool | None


class HandwrittenStickiness(TypedDict):
    """The cookie that keeps a client on its server."""

    cookie: str
    secure: bool


class HandwrittenServer(TypedDict):
    """One server of a pool."""

    name: str
    address: str
    port: int
    weight: int
    capacity: float | None
    max_connections: int | None
    backup: bool
    slow_start_seconds: float | None
    state: str
    proxy_protocol: str
    tls: bool


class CheckProtocol(TypedDict):
    """What a server says to health checks of another protocol than HTTP, in hex.

    `greets` is sent first; `answers` has [how a request begins, its answer].
    """

    greets: str
    answers: list[list[str]]


class HandwrittenGuardrails(TypedDict):
    """Guardrails that a pool needs, as its traffic follows more than its weights."""

    judged: NotRequired[str]
    share_tolerance: NotRequired[float]


class HandwrittenPool(TypedDict):
    """Servers that answer alike. `speaks` is what their health checks want to hear."""

    name: str
    mode: str
    by_hand: bool
    algorithm: HandwrittenAlgorithm
    stickiness: HandwrittenStickiness | None
    check: Check
    speaks: CheckProtocol | None
    servers: list[HandwrittenServer]
    extra: list[str]
    guardrails: HandwrittenGuardrails


class HandwrittenLimits(TypedDict):
    """Limits of the process."""

    max_connections: int | None


HandwrittenExtra = TypedDict("HandwrittenExtra", {"global": list[str], "defaults": list[str]})


class HandwrittenReading(TypedDict):
    """A configuration that an operator wrote, in the form of a normalised intent.

    It has what a rehearsal and a judge need; `intent.handwritten_defaults` adds our defaults.
    """

    by_hand: bool
    timeouts: dict[str, float]
    limits: HandwrittenLimits
    listeners: list[HandwrittenListener]
    pools: list[HandwrittenPool]
    extra: HandwrittenExtra
    route_tests: list[Data]
    guardrails: dict[str, Any]
