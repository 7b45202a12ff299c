"""Types of what the program in the container measures, and of what it keeps in files.

It travels as JSON, so a tuple here is a list of the same length there.
Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from evenkeel.rehearsal.protocol.world_types import Endpoint, Subject

Response = tuple[int | None, Endpoint]
"""A status, None without an answer, and the server that gave it, "" for the balancer itself."""

Reached = dict[str, dict[str, Response]]
"""{class: {number of an entry of its mix, as text: its response}}"""

Health = dict[str, dict[str, str]]
"""{pool: {server: status}}, as the balancer sees its servers."""


class Milliseconds(TypedDict):
    """Response times; None where nothing was answered."""

    median: float | None
    p95: float | None
    largest: float | None


class TallyRecord(TypedDict):
    """What became of the requests of one class."""

    sent: int
    answered: int
    failed: int
    # Redirects, and requests for a password.
    diverted: int
    # Sent again on a new connection.
    again: int
    servers: dict[Endpoint, int]
    statuses: dict[str, int]
    errors: dict[str, int]
    versions: dict[str, int]
    milliseconds: Milliseconds


Tallies = dict[str, TallyRecord]
"""{class: what became of its requests}"""


class Seen(TypedDict):
    """What the stub servers saw of the requests of the load client."""

    # {"GET shop.example": number}
    requests: dict[str, int]
    bodies: int
    largest_body_bytes: int


class Peak(TypedDict):
    """Requests of one pool that were sent together; `reached` were at the servers together."""

    asked: int
    reached: int
    answered: int
    errors: dict[str, int]
    milliseconds: float | None


class Concurrent(TypedDict):
    """Which servers answered requests that were sent together."""

    asked: int
    reached: int
    servers: dict[Endpoint, int]


class Sticky(TypedDict):
    """Clients that came back with their cookie; `moved` is by the server they had."""

    clients: int
    visits: int
    moved: dict[Endpoint, int]
    lost: int


class QuestionAnswer(TypedDict):
    """The answer to a single request, and what the server received."""

    asked: Subject
    status: int | None
    version: str
    server: Endpoint
    pools: list[str]
    # These three are there when a server answered.
    line: NotRequired[str]
    proxy: NotRequired[str]
    headers: NotRequired[dict[str, str]]


class Questions(TypedDict):
    """The answers to all single requests."""

    routes: dict[str, QuestionAnswer]
    manners: dict[str, QuestionAnswer]
    # {place: {"head" or "body": status}}
    limits: dict[str, dict[str, int | None]]
    # {pool: its endpoints}
    pools: dict[str, list[Endpoint]]


class Met(TypedDict):
    """The server that each client of a pool met, "" where none answered."""

    met: list[Endpoint]


class MetTwice(Met):
    """The same, and the server that each client met the second time."""

    again: list[Endpoint]


class MetByClass(Met):
    """The same, with the class whose requests the clients sent."""

    class_name: str


class MetTwiceByClass(MetTwice):
    """The same of clients that were there twice."""

    class_name: str


class ProcessServer(TypedDict):
    """One server as the running process has it; `endpoint` is "" without an address."""

    endpoint: Endpoint
    weight: float
    status: str
    backup: bool


Process = dict[str, dict[str, ProcessServer]]
"""{pool: {server: what the running process says of it}}"""


class RouteAnswer(TypedDict):
    """The answer to a route test at one bind."""

    port: int
    status: int | None
    server: Endpoint
    pools: list[str]


class RouteTestAnswers(TypedDict):
    """The answers to one route test."""

    name: str
    answers: list[RouteAnswer]


class ClientCounts(TypedDict):
    """What clients of one pool met: `wrong` is a server's own error, `lost` an answer of none."""

    sent: int
    answered: int
    wrong: int
    lost: int
    hung: int
    late: int
    servers: dict[Endpoint, int]
    errors: dict[str, int]


class ClientCountsBack(ClientCounts):
    """The same after the servers came back, and the servers that did not."""

    away: list[str]


class PoolParts(TypedDict):
    """Which servers of a pool fail first, which fail later, and its backups."""

    victims: list[str]
    rest: list[str]
    backups: list[str]


class FailurePlan(TypedDict):
    """Which endpoints fail in each act, and how."""

    first: dict[Endpoint, str]
    second: dict[Endpoint, str]
    pools: dict[str, PoolParts]


class PoolFailures(PoolParts):
    """What one pool went through while its servers failed."""

    # {server: the balancer noticed its failure}
    noticed: dict[str, bool]
    # The first act: only where servers fail in it.
    refused: NotRequired[ClientCounts]
    noticing: NotRequired[ClientCounts]
    noticed_by_clients: NotRequired[ClientCounts]
    hanging: NotRequired[int]
    # Only the first classes send slow requests.
    slow: NotRequired[ClientCounts]
    # The second act.
    down: NotRequired[ClientCounts]
    modes: NotRequired[dict[str, str]]
    back: NotRequired[ClientCountsBack]


class FailureRun(TypedDict):
    """Both acts of failing servers, once."""

    pools: dict[str, PoolFailures]
    seconds: float


class Phase(TypedDict):
    """What was measured of one release with nothing else going on."""

    classes: Tallies
    scouted: Reached
    seen: Seen
    peak: dict[str, Peak]
    under_way: dict[str, Concurrent]
    sticky: dict[str, Sticky]
    questions: Questions


class BasePhase(Phase):
    """What was measured of the base."""

    visitors: dict[str, MetTwiceByClass]


class CandidatePhase(Phase):
    """What was measured of the candidate."""

    visitors: dict[str, MetByClass]
    # Handwritten configurations only.
    process: Process | None
    health: Health
    route_tests: list[RouteTestAnswers]
    failing: FailureRun


class HostErrorFacts(TypedDict):
    """An error of the host's program."""

    what: str
    where: str
    wanted: str
    got: str
    next_step: str


class NativeCheck(TypedDict):
    """The balancer's own check of a release."""

    ok: bool
    output: str


class StepAnswer(TypedDict):
    """The answer to one step of a switch: most come from the host's program."""

    ok: bool
    exit: NotRequired[int]
    error: NotRequired[HostErrorFacts]
    check: NotRequired[NativeCheck]
    # What a driver says of a reload.
    proof: NotRequired[Mapping[str, object]]
    # Endpoints that were not checked yet; of `settle` alone.
    unchecked: NotRequired[list[Endpoint]]


class Switch(TypedDict):
    """Steps that were taken under steady traffic, in their order, and what the traffic met."""

    answers: dict[str, StepAnswer]
    seconds: float
    classes: Tallies


class NamedSwitch(Switch):
    """A switch with its direction."""

    name: str


class BaseStart(TypedDict):
    """How the base started: the file that `prepare` leaves."""

    release: str | None
    runs: bool
    # The balancer's own words, where the base does not run.
    said: str
    # Few file descriptors bound the connections.
    bounded: bool
    seconds: float


class Measured(TypedDict):
    """What `converge` measured."""

    base: BaseStart
    before: BasePhase | None
    prepare: StepAnswer
    switch: Switch | None
    after: CandidatePhase | None
    versions: dict[str, str]
    seconds: float


class TrialRuns(TypedDict):
    """Failing servers once more, where the first run looked bad; None where it did not."""

    base: NotRequired[FailureRun | None]
    again: NotRequired[FailureRun | None]


class Reloads(TypedDict):
    """What `side-effect` measured."""

    reloads: list[NamedSwitch]
    # Without a candidate that came up there is nothing to try.
    failing: NotRequired[TrialRuns]
    seconds: float
