"""What is asked within a class of requests: hosts, paths and methods, each with its share.

A *mix* is a list of entries `{"share", "host", "path", "grows", "method", "learnt"}`; `host` is ""
where it is any of the class's own, `grows` says that a part may be added to the path, `learnt` that
a traffic profile has it. The rows of a profile belong to the class whose route takes them.

Pure functions, standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from evenkeel.rehearsal.plan.requests import ANY_HOST, is_host, is_path
from evenkeel.rehearsal.protocol.seeded import Draws, evenly
from evenkeel.rehearsal.protocol.world_types import (
    MixEntry,
    ProfileFacts,
    ProfileRow,
    RequestClass,
    RouteRequests,
)

WITH_BODY = ("POST", "PUT", "PATCH")
SAFE = ("GET", "HEAD", "OPTIONS")
# Pairs of a host and a path that a route is asked for, where no profile says which.
MOST_PAIRS = 100
# Of those, so many with another method than GET: each is tried before it is counted.
MOST_TRIED = 20
_PLACEHOLDER = re.compile(r"\{(number|uuid|token|more)\}")


def mixes(
    classes: Sequence[RouteRequests], profile: ProfileFacts, rows: Sequence[ProfileRow]
) -> dict[str, list[MixEntry]]:
    """Give the mix of each class by its name.

    A class that no row belongs to is asked for what its route looks at, by the profile's methods.
    """
    learnt = _assigned(classes, rows)
    named = sum(row["share"] for row in rows)
    found = {}
    for request_class in classes:
        own = list(_own(request_class, profile["methods"]))
        known = learnt.get(request_class["name"], [])
        if known and named:
            # Requests of no named row are the route's as well, in its part of the named ones.
            part = profile["other_share"] * weight_of(known) / named
            own = [{**one, "share": one["share"] * part} for one in own if part]
        found[request_class["name"]] = [*known, *own]
    return found


def weight_of(mix: Sequence[MixEntry]) -> float:
    """Give the share of all requests that the learnt entries of a mix have."""
    return math.fsum(entry["share"] for entry in mix if entry["learnt"])


def unrouted(classes: Sequence[RouteRequests], rows: Sequence[ProfileRow]) -> float:
    """Give the share of all requests whose rows no route takes: nobody but the balancer answers."""
    return math.fsum(row["share"] for row in rows if not _takers(classes, row))


def _own(request_class: RouteRequests, methods: Mapping[str, float]) -> Iterator[MixEntry]:
    hosts, paths = request_class["hosts"], request_class["paths"]
    count = max(len(hosts), len(paths), min(len(hosts) * len(paths), MOST_PAIRS))
    if count == len(hosts) * len(paths):
        pairs = [(host, path) for host in hosts for path in paths]
    else:
        pairs = [(hosts[n % len(hosts)], paths[n % len(paths)]) for n in range(count)]
    shares = methods if request_class["web"] else {"GET": 1.0}
    for method, share in shares.items():
        asked = pairs if method == "GET" else pairs[:MOST_TRIED]
        for host, (path, grows) in asked:
            yield _entry(share / len(asked), host, path, grows, method, learnt=False)


def _assigned(
    classes: Sequence[RouteRequests], rows: Sequence[ProfileRow]
) -> dict[str, list[MixEntry]]:
    found: dict[str, list[MixEntry]] = {}
    for row in rows:
        takers = _takers(classes, row)
        for request_class in takers:
            path = row["path"]
            # A hash of the path would send every request of a row to one server.
            grows = request_class["key"] == "uri" and (path, False) not in request_class["paths"]
            share = row["share"] / len(takers)
            entry = _entry(share, row["host"], path, grows, row["method"], learnt=True)
            found.setdefault(request_class["name"], []).append(entry)
    return found


def _entry(
    share: float, host: str, path: str, grows: bool, method: str, *, learnt: bool
) -> MixEntry:
    return {
        "share": share,
        "host": host,
        "path": path,
        "grows": grows,
        "method": method,
        "learnt": learnt,
    }


def _takers(classes: Sequence[RouteRequests], row: ProfileRow) -> list[RouteRequests]:
    """Give the classes that a row belongs to, one or more for each place that it could arrive at.

    Without a host it may be any route's that looks at hosts, up to the first that does not.
    """
    web = [request_class for request_class in classes if request_class["web"]]
    named = [request_class for request_class in web if request_class["listener"] == row["listener"]]
    places: dict[tuple[str, int], list[RouteRequests]] = {}
    for request_class in named or web:
        places.setdefault((request_class["address"], request_class["port"]), []).append(
            request_class
        )
    found = []
    for in_order in places.values():
        for request_class in in_order:
            if not _takes(request_class, row):
                continue
            found.append(request_class)
            if row["host"] or request_class["hosts"] == [ANY_HOST]:
                break
    return found


def _takes(request_class: RouteRequests, row: ProfileRow) -> bool:
    """Whether a class's route takes a row; no log has the headers that a route may look at."""
    if request_class["route"] == "default":
        return True
    return (
        not request_class["headers"]
        and (not row["host"] or any(is_host(row["host"], one) for one in request_class["hosts"]))
        and any(is_path(row["path"], one, grows) for one, grows in request_class["paths"])
    )


class Picker:
    """Picks the entries of one mix in their shares, however many requests there are."""

    def __init__(self, mix: Sequence[MixEntry], start: float) -> None:
        self.mix, self.start = mix, start
        self.ends = list(accumulate(float(entry["share"]) for entry in mix))

    def pick(self, number: int) -> MixEntry | None:
        """Give the entry of the `number`-th request; None of an empty mix."""
        if not self.mix:
            return None
        at = bisect_right(self.ends, evenly(self.start, number) * self.ends[-1])
        return self.mix[min(at, len(self.mix) - 1)]


def filled(path: str, draws: Draws) -> str:
    """Give a row's path with values in the place of its placeholders."""

    def value(found: re.Match[str]) -> str:
        if found[1] == "number":
            return str(1 + draws.below(999_999))
        if found[1] == "uuid":
            digits = f"{draws.below(1 << 60):015x}{draws.below(1 << 60):015x}00"
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        if found[1] == "token":
            return draws.hexadecimal()
        return f"{draws.hexadecimal()}/{draws.hexadecimal()}"

    return _PLACEHOLDER.sub(value, path)


def calm(request_class: RequestClass) -> RequestClass:
    """Give a class that is asked with GET alone; where it has none, with what changes nothing.

    What a balancer may try again, and what it must not, depends on the method; and it may answer
    HEAD or OPTIONS itself. A class of nothing but changes is asked for those.
    """
    mix = request_class["mix"]
    plain = [entry for entry in mix if entry["method"] == "GET"]
    safe = [entry for entry in mix if entry["method"] in SAFE]
    return {**request_class, "mix": plain or safe or mix}


def certain(request_class: RequestClass) -> RequestClass:
    """Give a class that is asked for what users are known to send: learnt entries, and GET.

    OPTIONS are left out: a candidate may answer them itself, where a server did before.
    """
    mix = request_class["mix"]
    known = [
        entry
        for entry in mix
        if entry["method"] == "GET" or (entry["learnt"] and entry["method"] != "OPTIONS")
    ]
    return {**request_class, "mix": known}
