"""What stub servers answer to HTTP health checks, while the base runs and afterwards.

Where the candidate changes a check, stubs answer as each release wants it: the real answers of
production's servers are unknown here. The canary finds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evenkeel.balancer.types import HandwrittenPool
from evenkeel.rehearsal.plan.intent_types import IntentPool
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.world_types import HealthAnswers, HealthStatuses


def well(
    pools: Iterable[IntentPool] | Iterable[HandwrittenPool], names: Mapping[str, str]
) -> HealthStatuses:
    """Give the statuses that the checks of `pools` accept.

    `names` has the address of each server that is known by a host name.
    """
    statuses: HealthStatuses = {}
    for pool in pools:
        check = pool["check"]
        if check["kind"] != "http":
            continue
        path = (check["path"] or "/").partition("?")[0]
        for server in pool["servers"]:
            address = names.get(server["address"], server["address"])
            paths = statuses.setdefault(endpoint_of(address, server["port"]), {})
            paths[path] = check["expect_status"] or [200]
    return statuses


def answers(live: HealthStatuses, new: HealthStatuses) -> tuple[HealthAnswers, HealthAnswers]:
    """Give the answers while the base runs, and while the candidate does.

    They are the same wherever one status is well for both: a reload changes no server.
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
