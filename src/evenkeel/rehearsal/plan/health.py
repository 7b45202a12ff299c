"""What stub servers answer to health checks over HTTP, while what is live runs and afterwards.

A check that the candidate changes is answered as each of the two wants it: what production's
servers answer is not known here. The canary finds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evenkeel.rehearsal.plan.intent_types import IntentPool
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.world_types import HealthAnswers, HealthStatuses


def well(pools: Iterable[IntentPool], names: Mapping[str, str]) -> HealthStatuses:
    """Give the statuses that the checks of `pools` take for well.

    `names` has the address of each server that is known by a host name.
    """
    found: HealthStatuses = {}
    for pool in pools:
        check = pool["check"]
        if check["kind"] != "http":
            continue
        path = (check["path"] or "/").partition("?")[0]
        for server in pool["servers"]:
            endpoint = endpoint_of(names.get(server["address"], server["address"]), server["port"])
            found.setdefault(endpoint, {})[path] = check["expect_status"] or [200]
    return found


def answers(live: HealthStatuses, new: HealthStatuses) -> tuple[HealthAnswers, HealthAnswers]:
    """Give what is answered while what is live runs, and what while the candidate does.

    One status that is well for both wherever there is one: a server does not change its answers
    because its balancer was reloaded.
    """
    before: HealthAnswers = {}
    after: HealthAnswers = {}
    for endpoint in {**live, **new}:
        old, now = live.get(endpoint, {}), new.get(endpoint, {})
        for path in {**old, **now}:
            first, second = old.get(path) or now[path], now.get(path) or old[path]
            both = [status for status in second if status in first]
            before.setdefault(endpoint, {})[path] = (both or first)[0]
            after.setdefault(endpoint, {})[path] = (both or second)[0]
    return before, after
