"""What a balancer shall do, as a model: the one place where a key, its type and its default stand.

Every model is strict (`"80"` is not 80, `true` is not 1), closed (an unknown key is a fault) and
frozen. Rules between values are in `rules.py`; what a balancer cannot do is said by its dialect.
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
    """What every part of an intent has in common."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Timeouts(Part):
    """How long to wait, in seconds."""

    connect_seconds: Seconds = Field(5, description="for a server to accept a connection")
    client_seconds: Seconds = Field(30, description="for a silent client")
    server_seconds: Seconds = Field(30, description="for a silent server: its slowest answer")
    queue_seconds: Seconds = Field(5, description="for a free place on a full server")
    request_seconds: Seconds = Field(10, description="for a whole request header")
    keep_alive_seconds: Seconds = Field(10, description="for the next request of a client")
    tunnel_seconds: Seconds = Field(
        3600, description="for a silent tunnel (WebSocket, TCP); a replaced process lives as long"
    )


class Limits(Part):
    """What one balancer takes at most."""

    max_connections: Count = Field(2000, description="connections of clients at one time")


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
    """Requests that go to a pool of their own.

    A request matches when it matches one of `hosts`, one of `paths` or `path_prefixes`, and every
    one of `headers`; what is empty does not count. The first route that matches wins.
    """

    name: Name
    pool: Name
    hosts: list[HostMatch] = Field([], description="host names; *.example.com is every name below")
    paths: list[UrlPath] = Field([], description="whole paths")
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
    default_pool: Name | None = Field(None, description="where a request goes that no route takes")
    max_connections: Count | None = None
    extra: list[ExtraLine] = Field([], description="lines in the balancer's own language")


class Algorithm(Part):
    """How a pool chooses a server."""

    kind: Literal["round_robin", "least_connections", "random", "first", "hash"] = "round_robin"
    # Not `on`: YAML reads that word as true.
    key: Literal["source", "header", "uri", "cookie"] | None = Field(
        None, description="what is hashed"
    )
    name: Token | None = Field(None, description="the header's or the cookie's name")
    consistent: bool | None = Field(
        None, description="a hash that moves few keys when servers come and go; true by default"
    )


class Stickiness(Part):
    """A client stays on its server by a cookie that the balancer sets."""

    cookie: Token
    secure: bool = Field(False, description="the cookie is only sent over TLS")


class Check(Part):
    """How the balancer learns that a server is well."""

    kind: Literal["http", "tcp", "none"] = "tcp"
    path: CheckPath | None = Field(None, description="http: what to ask for; / by default")
    host: Address | None = Field(None, description="http: the Host header to send")
    expect_status: StatusCodes | None = Field(None, description="http: 200 by default")
    interval_seconds: Seconds = 2
    rise: Annotated[int, Field(ge=1, le=100)] = Field(2, description="good checks until it is well")
    fall: Annotated[int, Field(ge=1, le=100)] = Field(3, description="bad checks until it is down")


class Server(Part):
    """One server of a pool."""

    name: Name
    address: Address
    port: Port
    weight: Annotated[int, Field(ge=1, le=65535)] = Field(
        100, description="its part of the pool; to give it nothing, set its state to draining"
    )
    capacity: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="requests a second it can take; guardrails compare shares with it"
    )
    max_connections: Count | None = None
    backup: bool = Field(False, description="used when no other server of the pool is left")
    slow_start_seconds: Seconds | None = Field(
        None, description="time to come to full weight after it was down"
    )
    state: Literal["active", "draining", "inactive"] = Field(
        "active", description="draining: only clients that stick to it; inactive: nobody"
    )
    until: Date | None = Field(
        None, description="the last day on which it is draining or inactive, such as 2026-12-31"
    )
    reason: Title | None = Field(None, description="why it is draining or inactive")
    proxy_protocol: Literal["none", "v1", "v2"] = "none"


class ServerTls(Part):
    """The servers of a pool, and their health checks, are spoken to in TLS."""

    verified: bool = Field(True, description="only servers with a certificate that is trusted")
    authorities: FilePath | None = Field(
        None, description="PEM file on the host: who is trusted to sign the servers' certificates"
    )
    server_name: HostName | None = Field(
        None, description="what they are called by (SNI), and what their certificates must be for"
    )


class Pool(Part):
    """Servers that answer alike."""

    name: Name
    mode: Mode = "http"
    algorithm: Algorithm = Algorithm()
    stickiness: Stickiness | None = None
    check: Check = Check()
    tls: ServerTls | None = None
    peak_requests_per_second: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="what it gets at its busiest; servers' capacities have to suffice for it"
    )
    servers: Annotated[list[Server], Field(min_length=1)]
    extra: list[ExtraLine] = Field([], description="lines in the balancer's own language")


class Extra(Part):
    """Lines in the balancer's own language, for what this model lacks."""

    # Named `global` by the user; the word is Python's own.
    global_: list[ExtraLine] = Field([], alias="global")
    defaults: list[ExtraLine] = []


class RouteTest(Part):
    """A request that the rehearsal sends, and where it has to arrive."""

    name: Title
    listener: Name
    host: Address | None = None
    path: CheckPath = "/"
    method: Method = Field("GET", description="what it says holds for this method alone")
    headers: dict[Token, HeaderValue] = {}
    expect_pool: Name | None = None
    expect_status: StatusCode | None = None


class PoolGuardrails(Part):
    """Guardrails of one pool where they differ from those of all."""

    share_tolerance: Tolerance | None = None
    largest_shift_points: Percent | None = None
    most_moved_clients_percent: Percent | None = None
    largest_fair_ratio: Ratio | None = None
    least_fair_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    minimum_active_servers: Annotated[int, Field(ge=0)] | None = None
    minimum_requests: Count | None = None
    judged: Literal["share", "requests_only"] | None = Field(
        None, description="requests_only: errors are judged, the spread is not"
    )
    slow_response_seconds: Seconds | None = None
    required: bool | None = Field(
        None, description="false: a canary may pass while this pool has no traffic"
    )


class Guardrails(Part):
    """What no change may do, whatever else it says. A change that has to, changes these too."""

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
        None, description="clients that another server answers after the change; judged when set"
    )
    largest_fair_ratio: Ratio = Field(
        2.0, description="a server's share over its fair one (by capacity, or else equal), at most"
    )
    least_fair_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="the same, at least, for a server that takes traffic"
    )
    minimum_active_servers: Annotated[int, Field(ge=0)] = Field(
        1, description="servers of each pool that are active and no backup"
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
        None, description="an answer that takes longer is slow; it is counted when this is set"
    )
    slow_budget_percent: Percent = Field(
        1.0, description="slow answers of a canary host before they are compared with the others'"
    )
    pools: dict[Name, PoolGuardrails] = {}


class Intent(Part):
    """What one balancer shall do."""

    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    listeners: Annotated[list[Listener], Field(min_length=1)]
    pools: Annotated[list[Pool], Field(min_length=1)]
    extra: Extra = Extra()
    route_tests: list[RouteTest] = []
    guardrails: Guardrails = Guardrails()
