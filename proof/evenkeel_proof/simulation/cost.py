"""What an update of the judge costs, and how many requests a good canary needs."""

from __future__ import annotations

import random
import time
from typing import Any

from evenkeel.judge.share import ShareJudge
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel_proof.simulation.false_alarms import ALPHA, TOLERANCE, judge_for

POOL_SERVERS = (3, 10, 100)
FLEET_SERVERS = 10_000
# Requests of one server in one second: few are the dearest, because luck is outside the band then.
SERVER_REQUESTS_PER_SECOND = 5
SECONDS = 120


def update_cost(servers: int) -> dict[str, Any]:
    """Return microseconds of processor time per update of one pool, once a second, and per server.

    Even random traffic, from the first second on; `part_of_one_core` is what FLEET_SERVERS servers
    in such pools need at one update a second.
    """
    judge = judge_for(servers)
    names = judge.segment.names
    draw = random.Random(servers)
    batches = []
    for _ in range(SECONDS):
        batch = dict.fromkeys(names, 0)
        for name in draw.choices(names, k=SERVER_REQUESTS_PER_SECOND * servers):
            batch[name] += 1
        batches.append(batch)
    began = time.process_time()
    for batch in batches:
        judge.update(batch)
    seconds = (time.process_time() - began) / SECONDS
    return {
        "servers": servers,
        "microseconds": 1e6 * seconds,
        "microseconds_per_server": 1e6 * seconds / servers,
        "part_of_one_core": seconds * FLEET_SERVERS / servers,
        "failed": judge.failed(),
    }


def requests_to_pass(servers: int, random_draws: bool, runs: int) -> dict[str, Any]:
    """Return the median requests until an even pool passes with the default band and minimum."""
    needed = sorted(_until_pass(judge_for(servers), random_draws, run) for run in range(runs))
    return {
        "servers": servers, "assigned": "random" if random_draws else "round robin",
        "median": needed[runs // 2], "most": needed[-1], "alpha": ALPHA, "tolerance": TOLERANCE,
    }  # fmt: skip


def _until_pass(judge: ShareJudge, random_draws: bool, run: int) -> int:
    """Return the requests until the pass; looked at every 10 per server."""
    names = judge.segment.names
    draw = random.Random(f"pass {len(names)} {run}")
    while judge.verdict() not in (PASS, FAIL):
        batch = dict.fromkeys(names, 0 if random_draws else 10)
        for name in draw.choices(names, k=10 * len(names)) if random_draws else ():
            batch[name] += 1
        judge.update(batch)
    return judge.requests
