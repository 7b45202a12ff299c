"""One change on its way over a simulated fleet: the shipped judge on every host, and on the sum.

Hosts are alike. Each sends its requests, at a steady rate, to servers in turn, or, where the shares
are wrong or `at_random` is asked for, to servers that are drawn anew for each. The balancer's
counters are what `HostWatch` gets, as on a real host, and the stage is closed by
`canary.stage.judge_results` on what the hosts saw. Only hosts of stages that were reached are
simulated one by one; those without the change, whose errors are compared, are one sum.

The model of time: a stage is switched in SWITCH_SECONDS, in which nobody judges; a host that fails
is back within OWN_REVERT_SECONDS; the others learn of it with their next slice, and are taken back
OTHERS_REVERT_SECONDS after it. One controller is taken to reach all hosts of a stage at once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evenkeel.canary.plan import Plan, Stage
from evenkeel.canary.stage import judge_results
from evenkeel.canary.watch import CANARY, CONTROL
from evenkeel.judge.host_watch import HostWatch
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel_proof.simulation.fleet_faults import EVEN, RARE, SERVERS, WEB, Fault

ALPHA = 0.01
SWITCH_SECONDS = 2.0
OWN_REVERT_SECONDS = 0.5
OTHERS_REVERT_SECONDS = 5.0
# A host looks each second. The simulation pays for every look, so it waits for so many requests of
# a host, and for this part of those so far; longer while more than FEW hosts carry the change.
FEW = 200
LOOK_REQUESTS, LOOK_PART = 10, 0.1
LOOK_REQUESTS_OF_MANY, LOOK_PART_OF_MANY = 20, 0.5
CONTROLS = "controls"


@dataclass(frozen=True)
class Went:
    """What became of one change.

    `verdict` is that of the last stage that was reached (`pass`: nobody saw anything); `seconds`
    from the first activation to that; `touched` the requests that went through hosts while these
    had the fault; `hosts` how many got the change; `stages` how many stages began; `by` who said
    fail: "a host", "the sum" over all hosts, or nobody.
    """

    verdict: str
    seconds: float
    touched: float
    hosts: int
    stages: int
    by: str


class Host:
    """One balancer that carries the change: its counters, and its judge."""

    def __init__(
        self, fault: Fault, wrong: bool, draw: random.Random, rate: float, at_random: bool
    ) -> None:
        self.wrong = wrong
        self._draw = draw
        self._rate = rate
        self._at_random = at_random
        self._turn = draw.randrange(len(SERVERS))
        self._pools = {WEB: fault.shares if wrong else EVEN}
        if fault.rare_part:
            self._pools[RARE] = fault.rare_shares if wrong else EVEN
        self._rare_part = fault.rare_part
        self._error_rate = fault.error_rate if wrong else fault.usual_error_rate
        self.judging(1)

    def judging(self, hosts: int) -> None:
        """Begin a watch, as every host does in every stage; `hosts` carry the change."""
        pools = {WEB: {"required": True}}
        self.watch = HostWatch({"alpha": ALPHA, "watched_hosts": hosts, "pools": pools})
        self._requests = {pool: dict.fromkeys(SERVERS, 0) for pool in self._pools}
        self._errors = {pool: dict.fromkeys(SERVERS, 0) for pool in self._pools}
        self._before = self._observation()
        self.watch.sample(None, self._before)

    def look(self, seconds: float) -> str:
        """Let `seconds` pass and give the verdict after them."""
        for pool, shares in self._pools.items():
            part = self._rare_part if pool == RARE else 1.0 - self._rare_part
            mean = self._rate * part * seconds
            count = int(mean) + (self._draw.random() < mean - int(mean))
            requests, errors = self._requests[pool], self._errors[pool]
            for name in self._assigned(shares, count):
                requests[name] += 1
            for _ in range(poisson(self._draw, count * self._error_rate)):
                errors[self._draw.choice(SERVERS)] += 1
        now = self._observation()
        self.watch.sample(self._before, now)
        self._before = now
        return self.watch.verdict()

    def _assigned(self, shares: Sequence[float], count: int) -> Iterable[str]:
        if self._at_random or shares != EVEN:
            return self._draw.choices(SERVERS, shares, k=count)
        first, self._turn = self._turn, self._turn + count
        return (SERVERS[at % len(SERVERS)] for at in range(first, self._turn))

    def _observation(self) -> dict[str, Any]:
        pools = {
            pool: {
                "servers": {
                    name: {
                        "weight": 1, "status": "active", "backup": False, "requests": count,
                        "connections": count, "errors": self._errors[pool][name],
                    }
                    for name, count in requests.items()
                }
            }
            for pool, requests in self._requests.items()
        }  # fmt: skip
        return {"worker_pid": 1, "worker_started": 1.0, "pools": pools}


def poisson(draw: random.Random, mean: float) -> int:
    """Draw a Poisson number: exactly when it is small, by the normal law when it is large."""
    if mean > 200.0:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    count, left = 0, mean
    while left > 0.0:
        left -= draw.expovariate(1.0)
        count += left > 0.0
    return count


class Fleet:
    """A fleet in the middle of a rollout: the hosts that carry the change, and what they did."""

    def __init__(
        self, fault: Fault, plan: Plan, rate: float, seed: str, at_random: bool = False
    ) -> None:
        """`rate` is the requests a second of one host."""
        self.fault, self.plan, self.rate, self.at_random = fault, plan, rate, at_random
        self.draw = random.Random(seed)
        self.carrying: dict[str, Host] = {}
        self.touched = 0.0
        self.size = len(plan.hosts)

    def roll_out(self) -> Went:
        """Go through the stages until one does not pass; give what became of the change."""
        seconds, verdict, by = 0.0, PASS, ""
        for stage in self.plan.stages:
            for host in stage.hosts:
                wrong = self.draw.random() < self.fault.hosts_part
                self.carrying[host] = Host(self.fault, wrong, self.draw, self.rate, self.at_random)
            took, verdict, by = self._stage(stage)
            seconds += took
            if verdict != PASS:
                break
        return Went(verdict, seconds, self.touched, len(self.carrying), stage.number, by)

    def _stage(self, stage: Stage) -> tuple[float, str, str]:
        """Give the seconds, the verdict and who found it: a host, or the sum over all of them."""
        self._carry(SWITCH_SECONDS)
        for host in self.carrying.values():
            host.judging(len(self.carrying))
        undecided, seconds = list(stage.hosts), SWITCH_SECONDS
        while undecided and seconds < SWITCH_SECONDS + stage.bake_seconds:
            look = self._until_next_look(seconds - SWITCH_SECONDS)
            seconds += look
            self._carry(look)
            verdicts = {host: self.carrying[host].look(look) for host in undecided}
            verdicts |= {host: self.carrying[host].look(look) for host in stage.carriers}
            failed = [host for host, verdict in verdicts.items() if verdict == FAIL]
            if failed:
                return seconds, FAIL, self._taken_back(failed)
            undecided = [host for host in undecided if verdicts[host] != PASS]
        verdict = str(judge_results(stage, self._results(seconds))["verdict"])
        if verdict != PASS:
            self._carry(OTHERS_REVERT_SECONDS)
        return seconds, verdict, "the sum" if verdict == FAIL else ""

    def _until_next_look(self, watched: float) -> float:
        few = len(self.carrying) <= FEW
        requests = LOOK_REQUESTS if few else LOOK_REQUESTS_OF_MANY
        part = LOOK_PART if few else LOOK_PART_OF_MANY
        return float(max(1, round(max(requests / self.rate, part * watched))))

    def _carry(self, seconds: float) -> None:
        """Count the requests of hosts that have the fault."""
        wrong = sum(host.wrong for host in self.carrying.values())
        self.touched += wrong * seconds * self.rate * self.fault.touched_part

    def _taken_back(self, failed: Sequence[str]) -> str:
        quick = sum(self.carrying[host].wrong for host in failed)
        self._carry(OTHERS_REVERT_SECONDS)
        saved = quick * (OTHERS_REVERT_SECONDS - OWN_REVERT_SECONDS)
        self.touched -= saved * self.rate * self.fault.touched_part
        return "a host"

    def _results(self, seconds: float) -> dict[str, dict[str, Any]]:
        results = {host: _result(host, self.carrying[host]) for host in self.carrying}
        without = self.size - len(self.carrying)
        if without:
            requests = round(without * self.rate * seconds)
            errors = poisson(self.draw, requests * self.fault.usual_error_rate)
            seen = {"requests": requests, "errors": min(errors, requests), "pools": {}}
            results[CONTROLS] = {
                "host": CONTROLS, "role": CONTROL, "status": "ok", "result": seen,
            }  # fmt: skip
        return results


def _result(name: str, host: Host) -> dict[str, Any]:
    """Give what the stage's judgement reads of a host's result, and no more: it is hashed."""
    seen = host.watch.result()
    pools = {
        pool: {
            "required": row["required"],
            "share": {key: row["share"][key] for key in ("tolerance", "pass_alpha")},
            "servers": {
                server: {key: facts[key] for key in ("segment_requests", "intended", "status")}
                for server, facts in row["servers"].items()
            },
        }
        for pool, row in seen["pools"].items()
        if row["share"]
    }
    keys = ("verdict", "reasons", "requests", "errors")
    result = {key: seen[key] for key in keys} | {"pools": pools}
    return {"host": name, "role": CANARY, "status": "ok", "result": result}
