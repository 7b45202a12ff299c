"""One host, watched: from successive counters of its balancer to one verdict.

`HostWatch` takes cumulative observations of a driver (shape: `{"worker_pid", "worker_started",
"pools": {pool: {"servers": {server: {"weight", "status", "backup", "requests", "connections",
"errors", ...}}}}}`; also `clients` of a server, and `queue`, `timed` and `slow` of a pool, where
the driver reports them), forms the differences and judges every pool: shares, errors, and guards
that need no statistics.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .guards import worker_problem
from .pool_watch import PoolWatch
from .settings import checked_policy, pool_policy
from .verdict import FAIL, INCONCLUSIVE, NO_DATA, worst

STATE_VERSION = 6
WORKER = ("worker_pid", "worker_started")
# The part of alpha for pools that appear later.
LATE_POOLS_PART = 0.05


class HostWatch:
    """Judges one host as its counters are sampled.

    `alpha` of the policy bounds the probability of one wrong `fail` on `watched_hosts` hosts (1 by
    default), of which this is one, over the whole watch: it is spent over the hosts and over the
    pools of the first observation, LATE_POOLS_PART is kept for pools that appear later, and each
    pool spends most of its own on shares and the rest on errors. A `pass` is each host's own.

    An optional pool that is idle, or has fewer requests than its `minimum_requests`, is reported
    and does not block; it can still fail. A required pool without requests is `no_data`.
    """

    def __init__(
        self, policy: Mapping[str, Any], former: Optional[Mapping[str, Any]] = None
    ) -> None:
        """`former` is an observation from before the change: its worker must not serve any more.

        Raises ValueError that lists every problem of `policy` (see `settings.checked_policy`).
        """
        self.policy = checked_policy(policy)
        self._former = None if former is None else {key: former[key] for key in WORKER}
        self._problems: List[str] = []
        self.samples = 0
        self.worker_changes = 0
        self.open_connections = 0
        self._first_pools = 0
        self._pools: Dict[str, PoolWatch] = {}

    def sample(self, previous: Optional[Mapping[str, Any]], observation: Mapping[str, Any]) -> None:
        """Add what happened between two observations; `previous` is None for the first.

        A worker that changed, or a counter that went backwards, starts a new segment and this
        interval is not counted: the last requests of the old worker are unknown. Raises ValueError
        for an observation that lacks a field.
        """
        try:
            self._sample(previous, observation)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("observation: %r is missing or of a wrong type" % error) from None

    def _sample(
        self, previous: Optional[Mapping[str, Any]], observation: Mapping[str, Any]
    ) -> None:
        pools: Mapping[str, Any] = observation["pools"]
        self.samples += 1
        self.open_connections = sum(
            row.get("open", 0) for pool in pools.values() for row in pool["servers"].values()
        )
        if not self._first_pools:
            self._first_pools = len(pools)
        restarted = previous is not None and any(
            previous[key] != observation[key] for key in WORKER
        )
        problem = worker_problem(self._former, observation)
        if problem and not self._problems:
            self._problems.append(problem)
        self.worker_changes += restarted
        before = {} if previous is None or restarted else previous["pools"]
        for name in sorted(pools):
            if name not in self._pools:
                self._pools[name] = PoolWatch(
                    name, pool_policy(self.policy, name), self.policy, self._spend()
                )
            old = before.get(name)
            self._pools[name].sample(old and old["servers"], pools[name]["servers"], restarted)
            self._pools[name].sample_whole(old, pools[name])
        for name, watch in self._pools.items():
            watch.present = name in pools

    def _spend(self) -> float:
        """Return the part of alpha of the next new pool (see the class)."""
        alpha: float = self.policy["alpha"]
        late = len(self._pools) - self._first_pools + 1
        if late > 0:
            return alpha * LATE_POOLS_PART / 2.0**late
        return alpha * (1.0 - LATE_POOLS_PART) / self._first_pools

    def verdict(self) -> str:
        """Return the verdict alone; cheaper than `result`."""
        if self._problems:
            return FAIL
        watches = self._pools.values()
        missing = [name for name in self._required() if name not in self._pools]
        blocking = [watch.verdict() for watch in watches if watch.blocks()]
        blocking += [NO_DATA] * len(missing)
        if blocking:
            return worst(blocking)
        return INCONCLUSIVE if any(watch.requests for watch in watches) else NO_DATA

    def _required(self) -> List[str]:
        pools = self.policy["pools"]
        return [name for name in pools if pool_policy(self.policy, name)["required"]]

    def result(self) -> Dict[str, Any]:
        """Return the verdict, its reasons, the pools, and the requests and errors of the host.

        The reasons are those of the pools that decided; what optional pools had to report stands
        in `pools` and, in words, in `notes`.
        """
        verdict = self.verdict()
        pools = {name: watch.result() for name, watch in sorted(self._pools.items())}
        reasons = list(self._problems)
        notes: List[str] = []
        for name, row in pools.items():
            decided = self._pools[name].blocks() and row["verdict"] == verdict
            (reasons if decided else notes).extend(row["reasons"])
        for name in self._required():
            if name not in pools:
                (notes if verdict == FAIL else reasons).append(
                    "pool %s is required and is not reported by the balancer" % name
                )
        if not reasons and verdict in (NO_DATA, INCONCLUSIVE):
            reasons.append("no pool had enough requests to be judged")
        if self.worker_changes:
            notes.append("the worker changed %d times under the watch" % self.worker_changes)
        return {
            "verdict": verdict,
            "reasons": reasons,
            "notes": notes,
            "pools": pools,
            "requests": sum(row["requests"] for row in pools.values()),
            "errors": sum(row["errors"] for row in pools.values()),
            "samples": self.samples,
            "worker_changes": self.worker_changes,
            "open_connections": self.open_connections,
            "policy": self.policy,
        }

    def state(self) -> Dict[str, Any]:
        """Return everything that `from_state` needs, as plain JSON values."""
        return {
            "state_version": STATE_VERSION,
            "policy": self.policy,
            "samples": self.samples,
            "worker_changes": self.worker_changes,
            "first_pools": self._first_pools,
            "pools": {name: watch.state() for name, watch in self._pools.items()},
            "former": self._former,
            "problems": list(self._problems),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> HostWatch:
        """Return the watch that `state()` described. Raises ValueError for a damaged state."""
        if not isinstance(state, Mapping) or state.get("state_version") != STATE_VERSION:
            raise ValueError("state of a watch: wanted state_version %d" % STATE_VERSION)
        try:
            watch = cls(state["policy"], state["former"])
            watch._problems = [str(one) for one in state["problems"]]
            watch.samples = int(state["samples"])
            watch.worker_changes = int(state["worker_changes"])
            watch._first_pools = int(state["first_pools"])
            for name, saved in state["pools"].items():
                settings = pool_policy(watch.policy, name)
                watch._pools[name] = PoolWatch.from_state(name, settings, watch.policy, saved)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("state of a watch: %r is missing or damaged" % error) from None
        return watch
