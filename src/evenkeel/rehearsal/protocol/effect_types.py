"""Types of the measured effect of a change, as the record and the report have it."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class ShareRow(TypedDict):
    """The share of one server, 0 to 1; None where nothing was measured or intended."""

    before: float | None
    after: float | None
    intended: float | None
    # The intended share stands in for the measured one.
    by_weight: NotRequired[bool]


class FairRow(ShareRow):
    """The same beside the fair share; `ratio` is measured over fair."""

    server: str
    fair: float
    ratio: float


class MovedClients(TypedDict):
    """Clients that another server answers after the change."""

    clients: int
    moved: int
    percent: float


class PoolEffect(TypedDict):
    """How a change moves the shares of one pool."""

    servers: dict[str, ShareRow]
    largest_shift_points: float | None
    # Only where clients have a server of their own.
    moved_clients: NotRequired[MovedClients]


Effect = dict[str, PoolEffect]
"""{pool: how its shares move}"""
