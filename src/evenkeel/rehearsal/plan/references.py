"""What the files of the candidate and of the base name: hosts, name servers, protocols.

The plan follows from an intent; the files name more, and the base names what the candidate does
not. Each gets a stand-in, so that both releases start in the container as they do in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from evenkeel.balancer.dialect import Dialect
from evenkeel.rehearsal.plan import health, world
from evenkeel.rehearsal.plan.intent_types import IntentPool
from evenkeel.rehearsal.protocol.http import endpoint_of, split_endpoint
from evenkeel.rehearsal.protocol.world_types import Plan, ReferencedPlan, SpeechFacts

Files = Mapping[str, bytes]


def with_references(plan: Plan, dialect: Dialect, live: Files, new: Files) -> ReferencedPlan:
    """Give the plan with everything that the files `live` (empty without a base) and `new` name."""
    readings = [dialect.handwritten(files) for files in (live, new) if files]
    needs = [dialect.references(files) for files in (live, new) if files]
    hosts = {host for need in needs for host in need.get("hosts", ())} - set(plan["names"])
    names = {**plan["names"], **world.more_stand_ins(plan["names"], sorted(hosts))}
    speaks: dict[str, SpeechFacts] = {}
    over_tls: dict[str, bool] = {}
    for pool in (pool for reading in readings for pool in reading["pools"]):
        for server in pool["servers"]:
            address = names.get(server["address"], server["address"])
            endpoint = endpoint_of(address, server["port"])
            if pool["speaks"]:
                speaks[endpoint] = pool["speaks"]
            # An existing server keeps its protocol: the base is first.
            over_tls.setdefault(endpoint, server["tls"])
    # A reading has all keys of an intent's pool, and more.
    running = cast(list[IntentPool], readings[0]["pools"] if live else [])
    before, after = health.answers(health.well(running, names), plan["wanted_statuses"])
    binds = [bind for reading in readings for one in reading["listeners"] for bind in one["binds"]]
    addresses = {bind["address"] for bind in binds} - {"*", "::"}
    nameservers = {place for need in needs for place in need.get("nameservers", ())}
    return {
        **plan,
        "names": names,
        "health": after,
        "live_health": before,
        "addresses": sorted({*plan["addresses"], *addresses}),
        "nameservers": sorted(map(split_endpoint, nameservers)),
        "speaks": speaks,
        "over_tls": sorted(endpoint for endpoint, tls in over_tls.items() if tls),
        "unchanged": sorted(dialect.unchanged(new, live)) if live and dialect.unchanged else [],
    }
