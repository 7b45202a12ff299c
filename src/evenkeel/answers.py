"""What the on-host program answers, key by key, as the controller reads it.

A host may run another version of the program, or be broken. So every key may be missing, and a
reader says what it does then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class HostError(TypedDict, total=False):
    """Why a verb did not succeed, in the five parts of every error of ours."""

    what: str
    where: str
    wanted: str
    got: str
    next_step: str


class Live(TypedDict, total=False):
    """What is live: the release, the change that it came from, and who vouches for it."""

    release: str | None
    change: str | None
    confirmed: bool
    adopted: bool


# `from` is a keyword: no class syntax.
Pending = TypedDict(
    "Pending",
    {
        "kind": str,
        "change": str | None,
        "release": str,
        "from": str | None,
        "phase": str,
        "remaining_seconds": float,
    },
    total=False,
)
"""The change that is under way on a host."""


class Generation(TypedDict, total=False):
    """One confirmed release; `confirmed` is when, as ISO 8601 in UTC."""

    number: int
    release: str
    change: str | None
    confirmed: str


class Snapshot(TypedDict, total=False):
    """One named snapshot; a damaged one has its name alone."""

    name: str
    release: str
    change: str | None
    created: str
    pinned: bool
    damaged: bool


class Drain(TypedDict, total=False):
    """One drained server; without an owner it was drained by hand. Times are ISO 8601 in UTC."""

    pool: str
    server: str
    reason: str
    owner: str
    since: str | None
    until: str | None
    in_force: bool


class Running(TypedDict, total=False):
    """The running process, and whether it has loaded what is live."""

    agrees: bool
    worker_pid: int | None
    reason: str


class Last(TypedDict, total=False):
    """The last change that was decided on a host."""

    change: str | None
    outcome: str
    reason: str
    at: str


class LiveFile(TypedDict):
    """One live file: its mode in octal, its bytes in base64."""

    mode: str
    content_base64: str


class Status(TypedDict, total=False):
    """The answer to `status`; `files` only where they were wanted."""

    live: Live
    pending: Pending | None
    generations: list[Generation]
    snapshots: list[Snapshot]
    drains: list[Drain]
    drift: bool
    build: str | None
    last: Last | None
    running: Running
    servers: dict[str, dict[str, Any]]
    files: dict[str, LiveFile]


Statuses = Mapping[str, Status]
"""The answers to `status` by host; {} for a host that gave none."""


VerbAnswer = TypedDict(
    "VerbAnswer",
    {
        "ok": bool,
        "changed": bool,
        "outcome": str,
        "from": str | None,
        "to": str | None,
        "reverted": bool,
        "remaining_seconds": float,
        "error": HostError,
    },
    total=False,
)
"""The answer to a verb that changes a host: prepare, activate, renew, confirm or rollback."""


class ObservedServer(TypedDict, total=False):
    """The counts of one server and its share of the pool; shares are parts of 1."""

    requests: int
    segment_requests: int
    share: float | None
    intended: float
    low: float
    high: float
    status: str


class AnswerTimes(TypedDict):
    """How many answers of a pool were timed, and how many of these were slow."""

    timed: int
    slow: int


class ObservedPool(TypedDict, total=False):
    """The counts of one pool, and the judgement on them (`judge.pool.PoolWatch.result`)."""

    verdict: str
    required: bool
    unit: str
    assumption: str
    requests: int
    errors: int
    tolerance: float
    servers: dict[str, ObservedServer]
    share: Mapping[str, Any] | None
    answers: AnswerTimes | None


class ProbeCounts(TypedDict, total=False):
    """How many probes a host sent itself, and how many of these failed."""

    sent: int
    failed: int


class SharePoint(TypedDict):
    """The shares of one host at one time: {pool: {"requests", "servers": {server: share}}}."""

    seconds: float
    pools: dict[str, dict[str, Any]]


class Observed(TypedDict, total=False):
    """The answer to `observe`. `verdict` is None on a host that is counted without judgement."""

    verdict: str | None
    reasons: list[str]
    pools: dict[str, ObservedPool]
    requests: int
    errors: int
    seconds: float
    reverted: bool
    open_connections: int
    probe: ProbeCounts | None
    outcome: str
    error: HostError
    history: list[SharePoint]
