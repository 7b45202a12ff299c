"""The shapes at the seams of the verbs: what a host answers, what Ansible gives and gets back.

They describe JSON as Evenkeel writes it. A host may answer anything, so a reader of an answer
keeps to `.get` and survives a missing key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

# Values are checked where they are used.
Hostvars = Mapping[str, Mapping[str, object]]


class Live(TypedDict, total=False):
    """The release that is live on a host, and the change that it came from."""

    release: str | None
    change: str | None
    confirmed: bool
    adopted: bool


class _From(TypedDict("_From", {"from": str}, total=False)):
    """`from` is a keyword of Python, so no class body can declare it."""


class Pending(_From, total=False):
    """A change under its lease: `from` is the release that it replaced."""

    change: str
    release: str
    phase: str
    remaining_seconds: float


class Generation(TypedDict, total=False):
    """A confirmed release; `confirmed` is a UTC time."""

    release: str
    change: str | None
    confirmed: str


class Snapshot(TypedDict, total=False):
    """A snapshot that the host keeps; a damaged one has no release."""

    name: str
    release: str
    pinned: bool
    damaged: bool


class DrainRecord(TypedDict, total=False):
    """A drained server; one drained by hand has neither owner nor reason."""

    pool: str
    server: str
    owner: str
    reason: str
    since: str | None
    until: str | None
    in_force: bool


class Running(TypedDict, total=False):
    """The balancer's process: `agrees` when it has loaded the live release."""

    agrees: bool


class LiveFile(TypedDict):
    """One live file of a host."""

    mode: str
    content_base64: str


class HostAnswer(_From, total=False):
    """What the on-host program answers: the keys of `status` and of the verbs that change."""

    changed: bool
    build: str | None
    live: Live
    pending: Pending | None
    generations: list[Generation]
    snapshots: list[Snapshot]
    drift: bool
    drains: list[DrainRecord]
    running: Running
    servers: dict[str, dict[str, object]]
    files: dict[str, LiveFile]
    outcome: str
    to: str
    notes: list[str]


class Ending(TypedDict, total=False):
    """What the recap callback reads: the exit code of the command, and its last words."""

    exit_code: int
    recap: str


class Difference(TypedDict, total=False):
    """One part of what --diff shows: a text as it is, or two that Ansible compares."""

    prepared: str
    before: str
    after: str
    before_header: str
    after_header: str


class Result(TypedDict, total=False):
    """A task's result. Each verb gives `changed` and those of the others that it has."""

    changed: Required[bool]
    msg: str
    evenkeel: Ending
    diff: list[Difference]
    ansible_facts: dict[str, list[str]]
    summary: list[str]
    verdict: str
    reasons: list[str]
    held: bool
    undo: str
    outcome: str
    expires: str
    path: str


class StageRow(TypedDict):
    """One stage as the plan gives it to the playbook. Times are in seconds.

    `leased` are the hosts whose lease has to be renewed; `hold_seconds` is 0 where no stage waits.
    """

    number: int
    hosts: list[str]
    carriers: list[str]
    leased: list[str]
    bake_seconds: int
    minimum_requests: int
    lease_seconds: int
    hold_seconds: int
    confirm: bool


class DeployPlan(Result, total=False):
    """What one run of the deploy does; `digest` is the one that was signed."""

    digest: str
    hosts: list[str]
    stages: list[StageRow]
    prepare: bool
    confirm: bool
    confirm_first: list[str]
    leased: list[str]


class Rendered(Result, total=False):
    """What render made of a change."""

    digest: str
    folder: str
    hosts: list[str]


class HostResult(Result, total=False):
    """The result of a verb on one host, with the part of its answer that playbooks read."""

    host: HostAnswer
    _ansible_no_log: bool


class Arguments(TypedDict, total=False):
    """The arguments of a task of evenkeel_change; each verb has some of them."""

    verb: Required[str]
    change: str
    changes_dir: str
    role_dir: str
    author: str
    title: str
    template: str
    fleet: list[str]
    scheduled: bool
    not_before: str
    not_after: str
    person: str
    key: str
    allowed_signers: str
    only: str
    start_at: str
    stage: Any  # A number for open_stage, else a StageRow.
    hosts: list[str]
    undo: str
    to: str
    output: str
    roles: str


class HostArguments(TypedDict, total=False):
    """The arguments of a task of evenkeel_host; numbers may come as text."""

    verb: Required[str]
    change: str
    changes_dir: str
    files: bool
    stage: int | str
    lease_seconds: int | str
    undo: str
    to: str
    name: str
    pinned: bool | str
    keep: int | str
    max_age_days: int | str
    pool: str
    server: str
    reason: str
    owner: str
    minutes: int | float | str
    digest: str
    tolerant: bool


class TaskVars(TypedDict, total=False):
    """Of Ansible's variables those that verbs read."""

    ansible_play_hosts_all: Sequence[str]
    ansible_play_hosts: Sequence[str]
    ansible_forks: int
    ansible_facts: Mapping[str, object]
    hostvars: Hostvars
    inventory_hostname: str
    balancer_kind: str
