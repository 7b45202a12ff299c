"""The model of a traffic profile: all keys, with their bounds and defaults.

A profile describes in numbers what users send. It holds no address, query string, cookie or user
name: see docs/how-to/learn-a-traffic-profile.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evenkeel.errors import Problem, Problems, Refused

# A profile has a few hundred rows at most.
LARGEST_PROFILE_BYTES = 1024 * 1024
MOST_ROWS = 500
_LONGEST_SHOWN = 80
_NEXT = "correct the file, or learn it again: scripts/learn_profile LOG --output FILE"

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Host = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9*._:\[\]-]*$")]
# Braces mark replaced values; queries are removed.
Path_ = Annotated[str, Field(max_length=200, pattern=r"^/[A-Za-z0-9/._{}~-]*$")]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Part(BaseModel):
    """The base of all parts of a profile: strict, closed, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Source(Part):
    """The log that the profile was learnt from."""

    format: Literal["haproxy", "nginx"]
    lines: Count = Field(description="lines that were understood")
    bad_lines: Count = Field(0, description="lines that were not")
    span_seconds: Rate = Field(0.0, description="from the first request to the last")


class Row(Part):
    """A group of similar requests and its share of all requests."""

    listener: Annotated[str, Field(max_length=80)] = Field("", description='"" where none is known')
    host: Host = Field("", description='"" where the log does not have it')
    path: Path_
    method: Method = "GET"
    share: Share


class Heaviness(Part):
    """The share of all requests that the heaviest clients make."""

    top_1_percent: Share = 0.05
    top_10_percent: Share = 0.3
    top_50_percent: Share = 0.75


class Profile(Part):
    """What users send. The rehearsal sends the defaults where no log was learnt."""

    schema_version: Literal[1] = 1
    source: Source | None = None
    concurrency: Annotated[int, Field(ge=1, le=100_000)] = Field(
        32, description="concurrent requests at the peak"
    )
    clients: Annotated[int, Field(ge=1)] = Field(65_536, description="distinct client addresses")
    requests_per_connection: Annotated[float, Field(ge=1, le=1e6)] = Field(
        8.0, description="average requests on one kept connection"
    )
    mean_requests_per_second: Rate | None = None
    peak_requests_per_second: Rate | None = None
    largest_header_bytes: Annotated[int, Field(ge=256, le=1024**2)] = Field(
        8000, description="a request's complete head: its first line, headers and cookies"
    )
    largest_body_bytes: Annotated[int, Field(ge=0, le=1024**3)] = Field(
        262_144, description="a request's body"
    )
    largest_answer_bytes: Count | None = None
    slowest_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        5.0, description="the slowest answer that users wait for"
    )
    heaviness: Heaviness = Heaviness()
    methods: Annotated[dict[Method, Share], Field(min_length=1)] = Field(
        {"GET": 0.9, "POST": 0.1}, description="shares of all requests"
    )
    rows: Annotated[list[Row], Field(max_length=MOST_ROWS)] = Field(
        [], description="the largest groups of requests, with their shares"
    )
    other_share: Share = Field(0.0, description="all requests that are in no row")


DEFAULT = Profile()


def words_of(profile: Profile) -> str:
    """Describe a profile for people: its source and its main numbers."""
    source = profile.source
    of = f"a profile of {source.lines} requests ({source.format})" if source else "a profile"
    methods = ", ".join(f"{name} {share:.1%}" for name, share in profile.methods.items())
    return (
        f"{of}: {len(profile.rows)} groups, {profile.clients} clients, {methods},"
        f" {profile.concurrency} concurrent requests, answers up to {profile.slowest_seconds:g} s"
    )


def parse_profile(data: object, *, where: str = "") -> Profile:
    """Give the profile that `data` describes: a value, or the bytes of its JSON.

    Raises Problems for wrong values.
    """
    try:
        return Profile.model_validate_json(data if isinstance(data, bytes) else json.dumps(data))
    except ValidationError as error:
        problems = [
            Problem(
                ".".join(["profile", *(str(step) for step in item["loc"])]),
                item["msg"][:1].lower() + item["msg"][1:],
                "nothing" if item["type"] == "missing" else repr(item["input"])[:_LONGEST_SHOWN],
            )
            for item in error.errors(include_url=False)
        ]
    raise Problems("The traffic profile cannot be used", problems, where=where, next_step=_NEXT)


def read_profile(path: Path) -> tuple[Profile, bytes]:
    """Give the profile in the file at `path` and its bytes.

    Raises Refused for a file that is missing, too large or not JSON, Problems for wrong values.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_PROFILE_BYTES + 1)
        if len(data) > LARGEST_PROFILE_BYTES:
            raise ValueError(f"more than {LARGEST_PROFILE_BYTES} bytes")
        value: Any = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(
            "The traffic profile cannot be read",
            where=str(path),
            wanted="the JSON that scripts/learn_profile writes",
            got=(getattr(error, "strerror", None) or str(error))[:_LONGEST_SHOWN],
            next_step=_NEXT,
        ) from None
    return parse_profile(value, where=str(path)), data
