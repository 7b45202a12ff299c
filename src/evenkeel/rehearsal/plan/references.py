"""What the files of a bundle and of what is live name: hosts, name servers, addresses, protocols.

The world is made from an intent; the files name more, and what is live names what the candidate
does not. Each gets a stand-in, so that both start in the container as they do in production.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenkeel.change.dialect import Dialect
from evenkeel.rehearsal.plan import health, world
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.world_types import Plan, ReferencedPlan

Files = Mapping[str, bytes]


def with_all_named(made: Plan, dialect: Dialect, live: Files, new: Files) -> ReferencedPlan:
    """Give the world `made` with what the files `live` (empty: nothing is) and `new` name.

    Added are "names" that nobody had an address for, "addresses" that are listened at,
    "nameservers" [[address, port], ...], "speaks" {endpoint: what its health checks want to hear},
    "over_tls", the endpoints that are spoken to by TLS, and "unchanged", the pools that the change
    leaves as they are. "health" is what the stubs answer to health checks, and "live_health" what
    they answer as long as what is live runs.
    """
    readings = [dialect.by_hand(files) for files in (live, new) if files]
    needs = [dialect.needs(files) for files in (live, new) if files]
    hosts = {host for one in needs for host in one.get("hosts", ())} - set(made["names"])
    names = {**made["names"], **world.more_stand_ins(made["names"], sorted(hosts))}
    servers = [
        {
            **server,
            "here": endpoint_of(names.get(server["address"], server["address"]), server["port"]),
            "speaks": pool["speaks"],
        }
        for reading in readings
        for pool in reading["pools"]
        for server in pool["servers"]
    ]
    # What is live comes first: a server that is there speaks as it does now, whatever is asked.
    running = readings[0]["pools"] if live else ()
    before, after = health.answers(health.well(running, names), made["wanted_statuses"])
    over_tls: dict[str, bool] = {}
    for server in servers:
        over_tls.setdefault(server["here"], server["tls"])
    binds = [bind for reading in readings for one in reading["listeners"] for bind in one["binds"]]
    listens = {bind["address"] for bind in binds} - {"*", "::"}
    return {
        **made,
        "names": names,
        "health": after,
        "live_health": before,
        "addresses": sorted({*made["addresses"], *listens}),
        "nameservers": sorted(
            {_place(one) for need in needs for one in need.get("nameservers", ())}
        ),
        "speaks": {one["here"]: one["speaks"] for one in servers if one["speaks"]},
        "over_tls": sorted(endpoint for endpoint, tls in over_tls.items() if tls),
        "unchanged": sorted(dialect.unchanged(new, live)) if live and dialect.unchanged else [],
    }


def _place(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)
