"""Learn a traffic profile from an access log of any length, in bounded memory.

Clients are counted by keyed hashes; only the counts leave this module. A host or path is named in
the profile only when several clients requested it, so nothing of a single user is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from evenkeel.errors import Refused
from evenkeel.profile.lines import Format, Line, format_of, read_line
from evenkeel.profile.traffic_profile import DEFAULT, Heaviness, Profile, Row, Source

# Default number of rows; the rest is one share.
TOP = 100
# A group of fewer clients is not named.
LEAST_CLIENTS = 3
MOST_COUNTED = 100_000
MOST_GROUPS = 20_000
MOST_SECONDS = 10_000
_HASH_BYTES = 8

Group = tuple[str, str, str, str]


class Distinct:
    """Counts requests per distinct client or connection by keyed hash, in bounded memory.

    Above `most` hashes, half of them are dropped, those counted before included. The rest is a fair
    sample of clients (not of requests), so shares and counts stay right.
    """

    def __init__(self, key: bytes, most: int = MOST_COUNTED) -> None:
        self.key = key
        self.most = most
        self.bits = 0
        self.counts: dict[int, int] = {}

    def add(self, text: str) -> int:
        """Count one request of `text` and give its hash."""
        digest = hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES, key=self.key).digest()
        number = int.from_bytes(digest, "big")
        if not number & ((1 << self.bits) - 1):
            self.counts[number] = self.counts.get(number, 0) + 1
            while len(self.counts) > self.most:
                self.bits += 1
                mask = (1 << self.bits) - 1
                self.counts = {one: n for one, n in self.counts.items() if not one & mask}
        return number

    @property
    def distinct(self) -> int:
        """The estimated number of distinct texts."""
        return len(self.counts) << self.bits

    def top(self, part: float) -> float:
        """Give the share of all requests that the heaviest `part` (0 to 1) made."""
        counts = sorted(self.counts.values(), reverse=True)
        count = max(1, round(part * len(counts)))
        return round(sum(counts[:count]) / max(1, sum(counts)), 4)


@dataclass
class _Seen:
    requests: int = 0
    clients: set[int] = field(default_factory=set)


class Learner:
    """Reads log lines one by one; `profile` sums them up."""

    def __init__(self, key: bytes, host_capture: int = 1) -> None:
        self.host_capture = host_capture
        self.kind: Format | None = None
        self.lines = self.bad = self.unnamed = 0
        self.clients = Distinct(key)
        self.connections = Distinct(key)
        self.groups: dict[Group, _Seen] = {}
        self.methods: Counter[str] = Counter()
        self.rates: Counter[int] = Counter()
        self.first: int | None = None
        self.last = self.peak_rate = self.peak_under_way = self.largest_answer = 0
        self.slowest: float | None = None

    def take(self, text: str) -> None:
        """Count one line; a line of another format counts as bad."""
        if self.kind is None:
            self.kind = format_of(text)
        line = read_line(text, self.kind, self.host_capture) if self.kind else None
        if line is None:
            self.bad += 1
            return
        self.lines += 1
        client = self.clients.add(line.client)
        if line.connection:
            self.connections.add(line.connection)
        self.methods[line.method] += 1
        self._group(line, client)
        self._rate(line.second)
        self.largest_answer = max(self.largest_answer, line.answer_bytes)
        self.peak_under_way = max(self.peak_under_way, line.under_way or 0)
        if line.server_seconds is not None and line.status < 500:
            self.slowest = max(self.slowest or 0.0, line.server_seconds)

    def _group(self, line: Line, client: int) -> None:
        group = (line.listener, line.host, line.path, line.method)
        seen = self.groups.get(group)
        if seen is None:
            if len(self.groups) >= MOST_GROUPS:
                half = MOST_GROUPS // 2
                ranked = sorted(self.groups.items(), key=lambda one: one[1].requests, reverse=True)
                self.groups = dict(ranked[:half])
                self.unnamed += sum(dropped.requests for _, dropped in ranked[half:])
            seen = self.groups[group] = _Seen()
        seen.requests += 1
        if len(seen.clients) < LEAST_CLIENTS:
            seen.clients.add(client)

    def _rate(self, second: int) -> None:
        self.first = second if self.first is None else min(self.first, second)
        self.last = max(self.last, second)
        self.rates[second] += 1
        if len(self.rates) > MOST_SECONDS:
            for old in sorted(self.rates)[: MOST_SECONDS // 2]:
                self.peak_rate = max(self.peak_rate, self.rates.pop(old))

    def profile(self, top: int = TOP) -> Profile:
        """Give the profile; raises Refused when at least half of the lines are bad."""
        if self.lines <= self.bad or self.kind is None:
            raise Refused(
                "The access log has an unknown format",
                wanted="HAProxy's HTTP log format (option httplog) or nginx's combined",
                got=f"{self.bad} of {self.lines + self.bad} lines in neither format",
                next_step="give only the access log, see docs/how-to/learn-a-traffic-profile.md",
            )
        span = self.last - (self.first or 0) + 1
        rows, other = self._rows(top)
        known: dict[str, Any] = {}
        if self.connections.counts:
            counts = self.connections.counts
            known["requests_per_connection"] = round(sum(counts.values()) / len(counts), 2)
        if self.peak_under_way:
            known["concurrency"] = min(100_000, self.peak_under_way)
        if self.slowest is not None:
            known["slowest_seconds"] = min(3600.0, round(self.slowest, 3))
        values = {
            **DEFAULT.model_dump(),
            **known,
            "clients": max(1, self.clients.distinct),
            "mean_requests_per_second": round(self.lines / span, 3),
            "peak_requests_per_second": float(max(self.peak_rate, *self.rates.values())),
            "largest_answer_bytes": self.largest_answer,
            "heaviness": Heaviness(
                top_1_percent=self.clients.top(0.01),
                top_10_percent=self.clients.top(0.1),
                top_50_percent=self.clients.top(0.5),
            ),
            "methods": {m: round(n / self.lines, 6) for m, n in self.methods.most_common()},
            "rows": rows,
            "other_share": other,
            "source": Source(
                format=self.kind, lines=self.lines, bad_lines=self.bad, span_seconds=float(span)
            ),
        }
        return Profile.model_validate(values)

    def _rows(self, top: int) -> tuple[list[Row], float]:
        least = min(LEAST_CLIENTS, self.clients.distinct)
        named = [one for one in self.groups.items() if len(one[1].clients) >= least]
        # Ties sort by name for reproducible bytes.
        named.sort(key=lambda one: (-one[1].requests, one[0]))
        rows = [
            Row(
                listener=listener,
                host=host,
                path=path[:200],
                method=method,  # type: ignore[arg-type]  # read_line gives known methods only
                share=round(seen.requests / self.lines, 6),
            )
            for (listener, host, path, method), seen in named[:top]
        ]
        rest = self.lines - sum(seen.requests for _, seen in named[:top])
        return rows, round(rest / self.lines, 6)


def learn(lines: Iterable[str], key: bytes, *, host_capture: int = 1, top: int = TOP) -> Profile:
    """Give the profile of one log's lines; `key` is the secret key of the clients' hashes.

    Raises Refused when at least half of the lines have an unknown format.
    """
    learner = Learner(key, host_capture)
    for line in lines:
        learner.take(line)
    return learner.profile(top)
