"""The mix of requests within a class: hosts, paths and methods, each with its share.

The rows of a traffic profile belong to the class whose route takes them.
Pure functions, standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from evenkeel.rehearsal.plan.requests import ANY_HOST, is_host, is_path
from evenkeel.rehearsal.protocol.seeded import Draws, evenly
from evenkeel.rehearsal.protocol.world_types import (
    MixEntry,
    RequestClass,
    RouteRequests,
)

if TYPE_CHECKING:
    from evenkeel.profile.traffic_profile import Method, Profile, Row

WITH_BODY = ("POST", "PUT", "PATCH")
SAFE = ("GET", "HEAD", "OPTIONS")
# Pairs of host and path, where no profile names them.
MOST_PAIRS = 100
# Other methods than GET are tried one by one.
MOST_TRIED = 20
_PLACEHOLDER = re.compile(r"\{(number|uuid|token|more)\}")


def mixes(classes: Sequence[RouteRequests], profile: Profile) -> dict[str, list[MixEntry]]:
    """Give the mix of each class by its name.

    A class without a row gets what its route looks at, with the methods of the profile.
    """
    learnt = _by_class(classes, profile.rows)
    row_share = sum(row.share for row in profile.rows)
    mix_of = {}
    for request_class in classes:
        own = list(_own(request_class, profile))
        entries = learnt.get(request_class["name"], [])
        if entries and row_share:
            # Requests outside the rows are spread in proportion.
            part = profile.other_share * weight_of(entries) / row_share
            own = [{**entry, "share": entry["share"] * part} for entry in own if part]
        mix_of[request_class["name"]] = [*entries, *own]
    return mix_of


def weight_of(mix: Sequence[MixEntry]) -> float:
    """Give the share of all requests that the learnt entries of a mix have."""
    return math.fsum(entry["share"] for entry in mix if entry["learnt"])


def unrouted(classes: Sequence[RouteRequests], profile: Profile) -> float:
    """Give the share of all requests that no route takes: only the balancer can answer them."""
    return math.fsum(row.share for row in profile.rows if not _takers(classes, row))


def _own(request_class: RouteRequests, profile: Profile) -> Iterator[MixEntry]:
    """Give entries for what the route of a class looks at."""
    hosts, paths = request_class["hosts"], request_class["paths"]
    count = max(len(hosts), len(paths), min(len(hosts) * len(paths), MOST_PAIRS))
    if count == len(hosts) * len(paths):
        pairs = [(host, path) for host in hosts for path in paths]
    else:
        pairs = [(hosts[n % len(hosts)], paths[n % len(paths)]) for n in range(count)]
    web = request_class["web"]
    shares: Mapping[Method, float] = profile.methods if web else {"GET": 1.0}
    for method, share in shares.items():
        used = pairs if method == "GET" else pairs[:MOST_TRIED]
        for host, (path, grows) in used:
            yield {
                "share": share / len(used),
                "host": host,
                "path": path,
                "grows": grows,
                "method": method,
                "learnt": False,
            }


def _by_class(classes: Sequence[RouteRequests], rows: Sequence[Row]) -> dict[str, list[MixEntry]]:
    """Give the entries that the rows make, by the name of their class."""
    entries: dict[str, list[MixEntry]] = {}
    for row in rows:
        takers = _takers(classes, row)
        for request_class in takers:
            path = row.path
            entry: MixEntry = {
                "share": row.share / len(takers),
                "host": row.host,
                "path": path,
                # A path hash would send a row to one server.
                "grows": request_class["key"] == "uri"
                and (path, False) not in request_class["paths"],
                "method": row.method,
                "learnt": True,
            }
            entries.setdefault(request_class["name"], []).append(entry)
    return entries


def _takers(classes: Sequence[RouteRequests], row: Row) -> list[RouteRequests]:
    """Give the classes that a row belongs to: one for each place where it may arrive.

    A row without a host belongs to every route that looks at hosts, up to the first that does not.
    """
    web = [request_class for request_class in classes if request_class["web"]]
    of_listener = [one for one in web if one["listener"] == row.listener]
    places: dict[tuple[str, int], list[RouteRequests]] = {}
    for request_class in of_listener or web:
        place = request_class["address"], request_class["port"]
        places.setdefault(place, []).append(request_class)
    takers = []
    for in_order in places.values():
        for request_class in in_order:
            if not _takes(request_class, row):
                continue
            takers.append(request_class)
            if row.host or request_class["hosts"] == [ANY_HOST]:
                break
    return takers


def _takes(request_class: RouteRequests, row: Row) -> bool:
    """Whether a class's route takes a row; logs lack the headers that a route may look at."""
    if request_class["route"] == "default":
        return True
    return (
        not request_class["headers"]
        and (not row.host or any(is_host(row.host, host) for host in request_class["hosts"]))
        and any(is_path(row.path, path, grows) for path, grows in request_class["paths"])
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
    """Give a row's path with values in place of its placeholders."""

    def value(placeholder: re.Match[str]) -> str:
        if placeholder[1] == "number":
            return str(1 + draws.below(999_999))
        if placeholder[1] == "uuid":
            digits = f"{draws.below(1 << 60):015x}{draws.below(1 << 60):015x}00"
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        if placeholder[1] == "token":
            return draws.hexadecimal()
        return f"{draws.hexadecimal()}/{draws.hexadecimal()}"

    return _PLACEHOLDER.sub(value, path)


def calm(request_class: RequestClass) -> RequestClass:
    """Give a class with its GETs alone; without one, with its safe methods or else as it is.

    Whether a balancer retries a request depends on the method, and it may answer HEAD or OPTIONS
    itself.
    """
    mix = request_class["mix"]
    plain = [entry for entry in mix if entry["method"] == "GET"]
    safe = [entry for entry in mix if entry["method"] in SAFE]
    return {**request_class, "mix": plain or safe or mix}


def certain(request_class: RequestClass) -> RequestClass:
    """Give a class with what users surely send: learnt entries, and GET.

    OPTIONS are left out: a candidate may start to answer them itself.
    """
    known = [
        entry
        for entry in request_class["mix"]
        if entry["method"] == "GET" or (entry["learnt"] and entry["method"] != "OPTIONS")
    ]
    return {**request_class, "mix": known}
