"""The orders that the stub servers obey, and their answers.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from evenkeel.rehearsal.protocol.world_types import Endpoint, HealthAnswers, SpeechFacts

Place = tuple[str, int]
"""An address and a port; in JSON a list of two."""


class Serve(TypedDict):
    """Listen at `stubs`, and answer health checks and name queries as given."""

    order: Literal["serve"]
    stubs: list[Place]
    health: NotRequired[HealthAnswers]
    nameservers: NotRequired[list[Place]]
    names: NotRequired[dict[str, str]]
    speaks: NotRequired[dict[Endpoint, SpeechFacts]]
    over_tls: NotRequired[list[Endpoint]]


class Served(TypedDict):
    """Where no stub server can listen, and how many were added."""

    missing: list[Endpoint]
    added: int


class Release(TypedDict):
    """Stop listening at these ports."""

    order: Literal["release"]
    ports: list[int]


class Released(TypedDict):
    """Where stub servers stopped listening."""

    released: list[Place]


class Fail(TypedDict):
    """Fail as `modes` says; those in `close` stop listening."""

    order: Literal["fail"]
    modes: dict[Endpoint, str]
    close: list[Endpoint]


class Well(TypedDict):
    """Recover to `modes`; those in `stubs` listen again."""

    order: Literal["well"]
    modes: dict[Endpoint, str]
    stubs: list[Place]


class Recovered(TypedDict):
    """Where no stub server can listen again."""

    missing: list[Endpoint]


class Ask(TypedDict):
    """Report something, or forget what was counted."""

    order: Literal["where", "report", "reset"]


class Where(TypedDict):
    """Who listens, and whose answers were ever checked."""

    listening: list[Endpoint]
    asked: list[Endpoint]


class Report(TypedDict):
    """What was counted since the last reset."""

    checked: list[Endpoint]
    peak: int
    # {"GET shop.example": number}
    requests: dict[str, int]
    bodies: int
    largest_body_bytes: int


class Done(TypedDict):
    """The order was carried out."""


Order = Serve | Release | Fail | Well | Ask
Reply = Served | Released | Recovered | Where | Report | Done
