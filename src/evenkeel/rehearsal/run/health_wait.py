"""Waits for the balancer's health checks: the first ones, and those that bring servers back.

It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import time

from evenkeel.host.system.driver import Driver
from evenkeel.rehearsal.protocol.measured_types import Health
from evenkeel.rehearsal.protocol.world_types import World
from evenkeel.rehearsal.run import probes
from evenkeel.rehearsal.stubs.control import StubControl

LONGEST_CHECK_SECONDS = 12.0
LONGEST_RECOVERY_SECONDS = 20.0
CHECK_SLACK_SECONDS = 0.3


async def checked(world: World, stubs: StubControl) -> list[str]:
    """Wait until the balancer has checked every server once; gives the endpoints it has not.

    A server counts as well until its first check, so a check that cannot succeed shows only
    then. The balancer resets a TCP check's connection before the server can see it, so those
    take one interval.
    """
    wanted, seen, longest = set(), set[str](), 0.0
    for pool in world["pools"].values():
        if pool["check_seconds"] is not None:
            wanted |= {pool["endpoints"][name] for name in pool["expected_up"]}
            longest = max(longest, pool["check_seconds"])
    deadline = time.monotonic() + min(LONGEST_CHECK_SECONDS, longest + CHECK_SLACK_SECONDS)
    while wanted - seen and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        seen = set(stubs.report()["checked"])
    # The balancer needs a moment to read the response.
    await asyncio.sleep(0.1)
    waited = min(LONGEST_CHECK_SECONDS, longest) >= longest
    return [] if waited else sorted(wanted - seen)


async def recovered(driver: Driver, health: Health) -> None:
    """Wait until servers are as `health` has them, after they were made to fail.

    A busy machine checks late; a server that is still away shows in the requests that follow.
    """
    deadline = time.monotonic() + LONGEST_RECOVERY_SECONDS
    while time.monotonic() < deadline:
        now = probes.health(driver.observe())
        if all(now.get(pool) == servers for pool, servers in health.items()):
            return
        await asyncio.sleep(0.1)
