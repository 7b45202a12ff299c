"""The model of an intent: all keys, with their types and defaults.

Every model is strict (`"80"` is not 80, `true` is not 1), closed (an unknown key is a problem) and
frozen. `rules.py` has the rules between values; a dialect reports what its balancer lacks.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evenkeel.intent.value_types import (
    Address,
    BindAddress,
    CheckPath,
    Count,
    Date,
    ExtraLine,
    FilePath,
    HeaderValue,
    HostMatch,
    HostName,
    Name,
    Percent,
    Port,
    Seconds,
    StatusCode,
    StatusCodes,
    Title,
    Token,
    UrlPath,
)
from evenkeel.judge.settings import DEFAULT_TOLERANCE

Mode = Literal["http", "tcp"]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Tolerance = Annotated[float, Field(gt=0, le=10)]
Ratio = Annotated[float, Field(ge=1, le=1000)]


class Part(BaseModel):
    """The base of all parts of an intent."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Timeouts(Part):
    """How long to wait, in seconds."""

    connect_seconds: Seconds = Field(5, description="for a server to accept a connection")
    client_seconds: Seconds = Field(30, description="for a silent client")
    server_seconds: Seconds = Field(30, description="for a silent server: its slowest answer")
    queue_seconds: Seconds = Field(5, description="for a free connection to a full server")
    request_seconds: Seconds = Field(10, description="for a complete request header")
    keep_alive_seconds: Seconds = Field(10, description="for the next request of a client")
    tunnel_seconds: Seconds = Field(
        3600, description="for a silent tunnel (WebSocket, TCP); a replaced process lives as long"
    )


class Limits(Part):
    """Limits of one balancer."""

    max_connections: Count = Field(2000, description="concurrent connections of clients")


class Tls(Part):
    """TLS ends here, with this certificate."""

    certificate: FilePath = Field(description="PEM file on the host: certificate, chain and key")


class Bind(Part):
    """One address and port that a listener listens on."""

    address: BindAddress = Field("*", description="* is every IPv4 address, :: every IPv6 address")
    port: Port
    tls: Tls | None = None
    accept_proxy: bool = Field(False, description="clients speak the PROXY protocol first")


class HeaderMatch(Part):
    """A header with exactly this value."""

    name: Token
    value: HeaderValue


class Route(Part):
    """Requests that go to a certain pool.

    A request matches when it matches one of `hosts`, one of `paths` or `path_prefixes`, and all
    `headers`. An empty list matches every request. The first matching route wins.
    """

    name: Name
    pool: Name
    hosts: list[HostMatch] = Field([], description="host names; *.example.com is every name below")
    paths: list[UrlPath] = Field([], description="complete paths")
    path_prefixes: list[UrlPath] = Field(
        [], description="/api is /api and all below it; /api/ is only what is below"
    )
    headers: list[HeaderMatch] = []


class Listener(Part):
    """Where clients arrive."""

    name: Name
    mode: Mode = "http"
    binds: Annotated[list[Bind], Field(min_length=1)]
    forwarded_for: bool | None = Field(
        None, description="tell servers the client's address and scheme; by default for http"
    )
    routes: list[Route] = []
    default_pool: Name | None = Field(None, description="for requests that match no route")
    max_connections: Count | None = None
    extra: list[ExtraLine] = Field([], description="lines in the balancer's own language")


class Algorithm(Part):
    """How a pool chooses a server."""

    kind: Literal["round_robin", "least_connections", "random", "first", "hash"] = "round_robin"
    # Not `on`: YAML reads it as true.
    key: Literal["source", "header", "uri", "cookie"] | None = Field(
        None, description="what is hashed"
    )
    name: Token | None = Field(None, description="the header's or the cookie's name")
    consistent: bool | None = Field(
        None, description="move few keys when servers come and go; true by default"
    )


class Stickiness(Part):
    """A client stays on its server by a cookie that the balancer sets."""

    cookie: Token
    secure: bool = Field(False, description="the cookie is only sent over TLS")


class Check(Part):
    """How the balancer checks the health of a server."""

    kind: Literal["http", "tcp", "none"] = "tcp"
    path: CheckPath | None = Field(None, description="http: the path to request; / by default")
    host: Address | None = Field(None, description="http: the Host header to send")
    expect_status: StatusCodes | None = Field(None, description="http: 200 by default")
    interval_seconds: Seconds = 2
    rise: Annotated[int, Field(ge=1, le=100)] = Field(2, description="passed checks until it is up")
    fall: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="failed checks until it is down"
    )


class Server(Part):
    """One server of a pool."""

    name: Name
    address: Address
    port: Port
    weight: Annotated[int, Field(ge=1, le=65535)] = Field(
        100, description="its part of the pool; to send it nothing, set its state to draining"
    )
    capacity: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="requests a second it can take; guardrails compare shares with it"
    )
    max_connections: Count | None = None
    backup: bool = Field(False, description="used when no other server of the pool is up")
    slow_start_seconds: Seconds | None = Field(
        None, description="time to reach full weight after it was down"
    )
    state: Literal["active", "draining", "inactive"] = Field(
        "active", description="draining: only clients that stick to it; inactive: no clients"
    )
    until: Date | None = Field(
        None, description="the last day on which it is draining or inactive, such as 2026-12-31"
    )
    reason: Title | None = Field(None, description="why it is draining or inactive")
    proxy_protocol: Literal["none", "v1", "v2"] = "none"


class ServerTls(Part):
    """Requests and health checks reach the servers of a pool over TLS."""

    verified: bool = Field(True, description="accept only servers with a trusted certificate")
    authorities: FilePath | None = Field(
        None, description="PEM file on the host: the trusted certificate authorities"
    )
    server_name: HostName | None = Field(
        None, description="the name sent to them (SNI), which their certificates must hold"
    )


class Pool(Part):
    """Servers that give the same answers."""

    name: Name
    mode: Mode = "http"
    algorithm: Algorithm = Algorithm()
    stickiness: Stickiness | None = None
    check: Check = Check()
    tls: ServerTls | None = None
    peak_requests_per_second: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="its load at the busiest time; the servers' capacities must suffice"
    )
    servers: Annotated[list[Server], Field(min_length=1)]
    extra: list[ExtraLine] = Field([], description="lines in the balancer's own language")


class Extra(Part):
    """Lines in the balancer's own language, for options that this model lacks."""

    # Users write `global`, a keyword of Python.
    global_: list[ExtraLine] = Field([], alias="global")
    defaults: list[ExtraLine] = []


class RouteTest(Part):
    """A request that the rehearsal sends, and where it must arrive."""

    name: Title
    listener: Name
    host: Address | None = None
    path: CheckPath = "/"
    method: Method = Field("GET", description="the test is about this method only")
    headers: dict[Token, HeaderValue] = {}
    expect_pool: Name | None = None
    expect_status: StatusCode | None = None


class PoolGuardrails(Part):
    """Guardrails of one pool that differ from the common ones."""

    share_tolerance: Tolerance | None = None
    largest_shift_points: Percent | None = None
    most_moved_clients_percent: Percent | None = None
    largest_fair_ratio: Ratio | None = None
    least_fair_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    minimum_active_servers: Annotated[int, Field(ge=0)] | None = None
    minimum_requests: Count | None = None
    judged: Literal["share", "requests_only"] | None = Field(
        None, description="requests_only: errors are judged, shares are not"
    )
    slow_response_seconds: Seconds | None = None
    required: bool | None = Field(
        None, description="false: a canary may pass while this pool has no traffic"
    )


class Guardrails(Part):
    """Limits that no change may break. A change that must break one has to change it too."""

    share_tolerance: Tolerance = Field(
        DEFAULT_TOLERANCE,
        description="how far a server's share may be from the intended one, relative to it",
    )
    affinity_share_tolerance: Tolerance = Field(
        0.75, description="the same for hash, stickiness and least_connections"
    )
    largest_shift_points: Percent = Field(
        25, description="how far a server's share may move among the servers that stay, in points"
    )
    most_moved_clients_percent: Percent | None = Field(
        None, description="clients that move to another server with the change; judged when set"
    )
    largest_fair_ratio: Ratio = Field(
        2.0, description="largest share over the fair share (by capacity, or else equal)"
    )
    least_fair_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="smallest such ratio of a server that takes traffic"
    )
    minimum_active_servers: Annotated[int, Field(ge=0)] = Field(
        1, description="active servers of each pool, backups aside"
    )
    largest_capacity_percent: Annotated[float, Field(gt=0, le=1000)] = Field(
        100, description="how much of its capacity a server may need at the pool's declared peak"
    )
    untested_routes: Literal["allow", "fail"] = Field(
        "allow", description="whether a change may have routes that no route test covers"
    )
    error_budget_percent: Percent = Field(1.0, description="failed requests of a canary host")
    minimum_requests: Count = Field(200, description="requests of a pool before it is judged")
    slow_response_seconds: Seconds | None = Field(
        None, description="longer answers are slow; they are counted when this is set"
    )
    slow_budget_percent: Percent = Field(
        1.0, description="slow answers of a canary host that need no comparison with other hosts"
    )
    pools: dict[Name, PoolGuardrails] = {}


class Intent(Part):
    """What one balancer should do."""

    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    listeners: Annotated[list[Listener], Field(min_length=1)]
    pools: Annotated[list[Pool], Field(min_length=1)]
    extra: Extra = Extra()
    route_tests: list[RouteTest] = []
    guardrails: Guardrails = Guardrails()
