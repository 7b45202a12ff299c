"""Counters of a pool: requests that wait for a server, and answers that were slow."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .guards import queue_problem


class PoolCounters:
    """`answers` are those that were timed and those over the limit, None without a count."""

    def __init__(self) -> None:
        self.answers: Optional[List[int]] = None
        self.waiting: List[int] = []

    def sample(
        self,
        name: str,
        settings: Mapping[str, Any],
        before: Optional[Mapping[str, Any]],
        now: Mapping[str, Any],
    ) -> Optional[str]:
        """Add one interval of pool `name`; return what is wrong with its queue, or None.

        `before` is None when there is nothing to compare with.
        """
        self._time(before or now, now)
        if "queue_limit" not in settings:
            return None
        samples = int(settings.get("queue_samples", 1))
        queued = now.get("queue", 0) + sum(r.get("queue", 0) for r in now["servers"].values())
        self.waiting = [*self.waiting, queued][-samples:]
        return queue_problem(name, self.waiting, int(settings["queue_limit"]), samples)

    def _time(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        if "timed" not in now or "slow" not in now:
            return
        timed, slow = (now[key] - before.get(key, 0) for key in ("timed", "slow"))
        total = self.answers or [0, 0]
        if timed >= 0 and slow >= 0:
            # Two threads can lose a count, so slow is capped.
            self.answers = [total[0] + timed, total[1] + min(timed, slow)]

    def result(self) -> Optional[Dict[str, int]]:
        """Return the answers as the pool's result has them."""
        return {"timed": self.answers[0], "slow": self.answers[1]} if self.answers else None

    def state(self) -> Dict[str, Any]:
        """Return everything that `from_state` needs, as plain JSON values."""
        return {"answers": self.answers, "waiting": list(self.waiting)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PoolCounters:
        """Return what `state()` described; KeyError or TypeError for a damaged one."""
        whole = cls()
        if state["answers"] is not None:
            timed, slow = state["answers"]
            whole.answers = [int(timed), int(slow)]
        whole.waiting = [int(each) for each in state["waiting"]]
        return whole
