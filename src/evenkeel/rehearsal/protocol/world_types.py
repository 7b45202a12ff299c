"""Types of the world: what must exist in the container for one bundle to be rehearsed.

`plan.world.build` derives a `Plan` from an intent and a traffic profile; `ship` makes it a `World`.
It travels as JSON, so a tuple here is a list of the same length there.
Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

Endpoint = str
"""An address and a port as one text: "10.0.0.1:80" or "[fd00::1]:80"."""

HealthAnswers = dict[Endpoint, dict[str, int]]
"""{endpoint: {path: status}}: what a stub server answers to health checks over HTTP."""

HealthStatuses = dict[Endpoint, dict[str, list[int]]]
"""{endpoint: {path: statuses}}: what the balancer takes for a good answer."""


class MixEntry(TypedDict):
    """Requests that are alike, within a class."""

    share: float
    # "" is any host of the class.
    host: str
    path: str
    # A random part is added to the path.
    grows: bool
    method: str
    # A traffic profile names these requests.
    learnt: bool


class Target(TypedDict):
    """Where the requests of one bind of a listener arrive."""

    listener: str
    address: str
    port: int
    tls: bool
    accept_proxy: bool


class RequestTemplate(Target):
    """What every request of one kind has in common."""

    name: str
    hosts: list[str]
    # Each path, and whether it is a prefix.
    paths: list[tuple[str, bool]]
    headers: dict[str, str]


class TestRequest(RequestTemplate):
    """The request of a route test at one bind."""

    method: str


class RouteRequests(RequestTemplate):
    """What one route of one bind takes, before a traffic profile says how much of it."""

    route: str
    pool: str
    # What the pool's hash looks at; None without a hash.
    key: str | None
    key_header: str | None
    key_cookie: str | None
    may_keep: bool
    # Neither listener nor pool is TCP.
    web: bool
    h2: bool


class RequestClass(RouteRequests):
    """The requests that one route of one bind is made for, and how many are sent."""

    mix: list[MixEntry]
    clients: int
    requests_per_connection: float
    largest_header_bytes: int
    largest_body_bytes: int
    requests: int
    # The same for the base release.
    requests_before: int
    # It failed before as often; `plan.handwritten` finds that out.
    excused: bool


class Subject(TypedDict):
    """What one request asks for, as route tests and waivers look at it."""

    listener: str
    host: str
    path: str
    headers: dict[str, str]
    # GET without it.
    method: NotRequired[str]
    # These three belong to entries of a mix.
    prefixes: NotRequired[list[str]]
    any_host: NotRequired[bool]
    of_traffic: NotRequired[bool]


class Question(RequestClass):
    """A single request that is sent in the same words before and after the change."""

    asked: Subject


class Manner(Question):
    """A single request in one way to speak to a bind."""

    offers_h2: bool


class RouteTest(TypedDict):
    """A route test of the intent, as a request to each bind of its listener."""

    name: str
    expect_pool: str | None
    expect_status: int | None
    requests: list[TestRequest]


class Guards(TypedDict):
    """The guardrails of one pool."""

    share_tolerance: float
    largest_shift_points: float
    most_moved_clients_percent: float | None
    minimum_active_servers: int
    largest_fair_ratio: float
    least_fair_ratio: float
    # "share", or "requests_only".
    judged: str


class DeclaredShift(TypedDict):
    """How far a change declares to move the share of one server."""

    points: float | None
    to_percent: float | None


class Waits(TypedDict):
    """How long a failure may go unnoticed, a hanging server, and one that is well again."""

    noticed_seconds: float
    hang_seconds: float
    back_seconds: float


class CheckFacts(Waits):
    """How often a pool's servers are checked."""

    # "http", "tcp" or "none".
    check: str
    check_seconds: float | None


class PoolIntent(CheckFacts):
    """What the intent says of one pool: its servers, their shares and their limits."""

    # How shares are judged: "exact", "diverse" or "none".
    rule: str
    algorithm: str
    weights: dict[str, float]
    fair: dict[str, float]
    endpoints: dict[str, Endpoint]
    expected_up: list[str]
    backups: list[str]
    mode: str
    # Requests that its servers take together; None is no limit.
    places: int | None
    # Requests that single servers take.
    limits: dict[str, int]
    cookie: str | None
    guards: Guards


class PoolFacts(PoolIntent):
    """One pool of the world."""

    requests: int
    # Requests that listeners let in together; None is no limit.
    room: int | None
    # {server: its shift}; `plan.waivers` sets it.
    declared_shifts: dict[str, DeclaredShift]


class UsedProfile(TypedDict):
    """The numbers of the profile that was used, and how much of it no route takes."""

    concurrency: int
    clients: int
    requests_per_connection: float
    largest_header_bytes: int
    largest_body_bytes: int
    slowest_seconds: float
    methods: dict[str, float]
    other_share: float
    unrouted_share: float
    # `ship` sets it; None for the default profile.
    sha256: str | None


class Plan(TypedDict):
    """What follows from an intent and a traffic profile alone."""

    by_hand: bool
    # {host name: an address that stands in for it}
    names: dict[str, str]
    routes: list[str]
    addresses: list[str]
    stubs: list[tuple[str, int]]
    wanted_statuses: HealthStatuses
    certificates: list[str]
    classes: list[RequestClass]
    pools: dict[str, PoolFacts]
    unreached: list[str]
    route_tests: list[RouteTest]
    # "allow" or "fail".
    untested_routes: str
    concurrency: int
    slow_seconds: float
    profile: UsedProfile


class SpeechFacts(TypedDict):
    """What a server says to health checks of its own protocol; bytes in hexadecimal."""

    greets: str
    answers: list[list[str]]


class ReferencedPlan(Plan):
    """A plan with everything that the files of the candidate and of the base name."""

    health: HealthAnswers
    live_health: HealthAnswers
    nameservers: list[tuple[str, int]]
    speaks: dict[Endpoint, SpeechFacts]
    over_tls: list[Endpoint]
    unchanged: list[str]


class Words(TypedDict):
    """Words of configuration files that may be URL paths and host names."""

    paths: list[str]
    hosts: list[str]


class BaseWords(Words):
    """The words of the base, and the values of headers that it names."""

    headers: list[str]


class FileFacts(TypedDict):
    """One file of a release, as the manifest has it."""

    sha256: str
    size: int
    mode: str


class Base(TypedDict):
    """What is live on the host now; without a release there is nothing."""

    release: str | None
    files: list[str]


class World(ReferencedPlan):
    """Everything that the program in the container is given, and that its results are judged by."""

    words: Words
    base_words: BaseWords
    balancer: str
    change_id: str
    digest: str
    release: str
    files: dict[str, FileFacts]
    base: Base
    # {subject: reason}
    waived_requests: dict[str, str]
    seed: int
