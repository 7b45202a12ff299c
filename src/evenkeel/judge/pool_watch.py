"""One pool under watch: its shares, its errors and the guards that need no statistics."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from .error_rates import error_budget
from .guards import active_problem, burst_problem, few_clients_problem, silent_problem
from .inputs import intended_shares
from .pool_counters import PoolCounters
from .settings import CLIENTS, REQUESTS_ONLY
from .share import ShareJudge
from .unit import Servers, assumption, in_service, increments, intended_weights
from .verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS, worst

# A later silence needs this multiple of the usual due.
LATER_SILENCE = 2
# The part of alpha for shares; errors also show in guards and controls.
SHARES_PART = 0.9
# Clients need time: a server may be silent for so many samples, and so many times its due.
FEW_CLIENTS_SAMPLES = 10
FEW_CLIENTS_SILENCE = 10


def _signature(servers: Servers) -> Dict[str, Tuple[Any, ...]]:
    return {n: (row["weight"], row["status"], row["backup"]) for n, row in servers.items()}


class PoolWatch:
    """The watch over one pool; SHARES_PART of its `alpha` is for shares, the rest for errors.

    An interval in which a weight or a status changed is counted, but its shares are judged by
    nobody: which part of it belongs to which weights is unknown. With several backups in service
    the intended shares depend on an option that the counters do not show, so they are not judged.
    A draining server may still be sent requests (its clients stay with it); one that is down,
    inactive or an unused backup may not, beyond what was on its way.
    """

    def __init__(
        self, name: str, settings: Mapping[str, Any], policy: Mapping[str, Any], pass_alpha: float
    ) -> None:
        self.name = name
        self.settings = settings
        self.policy = policy
        # A wrong `fail` on one host reverts all of them.
        self.alpha = pass_alpha / policy["watched_hosts"]
        self.pass_alpha = pass_alpha
        self.present = True
        self.requests = 0
        self.errors = 0
        self.unjudged = 0
        self._whole = PoolCounters()
        # Of the segment under way, for `few_clients_fail`.
        self._sent: Dict[str, int] = {}
        self._sent_samples = 0
        # The balancer does not report the unit at all.
        self._uncounted = False
        self._judge: Optional[ShareJudge] = None
        self._servers: Dict[str, Dict[str, Any]] = {}
        self._problems: List[str] = []

    def sample(self, before: Optional[Servers], now: Servers, restarted: bool = False) -> None:
        """Add one interval; `before` is None when there is nothing to compare with.

        `restarted`: the worker changed in the interval, so a new segment starts.
        """
        unit = self.settings["unit"]
        # Clients are assigned, but errors are counted against requests.
        sent = "requests" if unit == CLIENTS else unit
        added, assigned, failed = (
            increments(before, now, counter) if before is not None else None
            for counter in (sent, unit, "errors")
        )
        self._know(now)
        if before is None:
            self._judge_shares(now, None, restarted)
        elif added is None or failed is None:
            self._judge_shares(now, None, True)
        else:
            self._count(added, failed)
            steady = _signature(before) == _signature(now)
            self._uncounted = assigned is None
            self.unjudged += 0 if steady else sum(added.values())
            self._judge_shares(now, assigned if steady else None, not steady)
            if self.settings.get("few_clients_fail") and steady and any(added.values()):
                self._sent_samples += 1
                for name, count in added.items():
                    self._sent[name] = self._sent.get(name, 0) + count
        self._guard(now)

    def sample_whole(self, before: Optional[Mapping[str, Any]], now: Mapping[str, Any]) -> None:
        """Add what is counted of the pool as a whole; after `sample`, of the same interval."""
        self._problem(self._whole.sample(self.name, self.settings, before, now))

    def _know(self, now: Servers) -> None:
        for name, row in now.items():
            known = self._servers.setdefault(name, {"requests": 0, "errors": 0})
            known["status"] = row["status"]
            known["weight"] = float(row["weight"])

    def _count(self, added: Mapping[str, int], failed: Mapping[str, int]) -> None:
        for name, count in added.items():
            self._servers[name]["requests"] += count
            self._servers[name]["errors"] += failed[name]
        requests, errors = sum(added.values()), sum(failed.values())
        self.requests += requests
        self.errors += errors
        self._problem(
            burst_problem(
                self.name, errors, requests,
                self.policy["burst_errors"], self.policy["burst_percent"],
            )
        )  # fmt: skip
        budget = self._budget()
        if budget["verdict"] == FAIL:
            self._problem(budget["reasons"][0])

    def _budget(self) -> Dict[str, Any]:
        # A retry that fails counts twice, so errors are capped.
        return error_budget(
            min(self.errors, self.requests), self.requests, self.settings["error_budget_percent"],
            alpha=self.alpha * (1.0 - SHARES_PART), where="pool " + self.name,
            minimum_requests=self.settings["minimum_requests"],
        )  # fmt: skip

    def _judge_shares(self, now: Servers, added: Optional[Mapping[str, int]], fresh: bool) -> None:
        """Give `added` to the share judge; None only sets the weights, `fresh` starts a segment."""
        if self.settings["judged"] == REQUESTS_ONLY:
            return
        weights = intended_weights(now, self.settings.get("intended"))
        exempt = [n for n, row in now.items() if row["status"] == "draining"]
        if self._judge is None:
            self._judge = ShareJudge(
                weights, self.settings["tolerance"], self.alpha * SHARES_PART,
                self.settings["minimum_requests"], pool=self.name, exempt=exempt,
                pass_alpha=self.pass_alpha * SHARES_PART,
            )  # fmt: skip
        elif fresh or weights != self._judge.segment.weights:
            self._judge.new_segment(weights, exempt)
            self._sent, self._sent_samples = {}, 0
        if added is None:
            return
        if sum(1 for n in in_service(now) if now[n]["backup"]) > 1:
            self.unjudged += sum(added.values())
        else:
            self._judge.update(added)

    def _guard(self, now: Servers) -> None:
        wanted = self.settings["minimum_active_servers"]
        self._problem(active_problem(self.name, len(in_service(now)), wanted))
        if self._judge is None:
            return
        part, expected = self._judge.segment, self.policy["silent_server_requests"]
        counts, requests = part.judged(), part.requests
        self._problem(
            silent_problem(self.name, part.names, part.shares, counts, requests, expected)
        )
        # Since the bet was opened: many bets leave more room for bad luck.
        counts, requests = part.bet()
        expected *= LATER_SILENCE
        self._problem(
            silent_problem(self.name, part.names, part.shares, counts, requests, expected)
        )
        if self._sent_samples >= FEW_CLIENTS_SAMPLES:
            sent = [self._sent.get(name, 0) for name in part.names]
            expected = self.policy["silent_server_requests"] * FEW_CLIENTS_SILENCE
            clients = sum(row.get(CLIENTS, 0) for row in now.values())
            self._problem(
                few_clients_problem(self.name, part.names, part.shares, sent, clients, expected)
            )

    def _problem(self, reason: Optional[str]) -> None:
        """Keep the first problem: it is final, and later ones only repeat it."""
        if reason and not self._problems:
            self._problems.append(reason)

    def verdict(self) -> str:
        """Return the verdict of this pool alone."""
        if self._problems or (self._judge is not None and self._judge.verdict() == FAIL):
            return FAIL
        if not self.requests or not self.present:
            return NO_DATA
        verdicts = [str(self._budget()["verdict"])]
        if self._judge is not None:
            shares = self._judge.verdict()
            # Requests came only in intervals that could not be judged.
            verdicts.append(INCONCLUSIVE if shares == NO_DATA else shares)
        return worst(verdicts)

    def blocks(self) -> bool:
        """Return whether this pool's verdict counts for the host (see HostWatch)."""
        if self.settings["required"] or self.verdict() in (PASS, FAIL):
            return True
        return self.requests > 0 and self.requests >= int(self.settings["minimum_requests"])

    def result(self) -> Dict[str, Any]:
        """Return the pool's part of the observe result, with every number."""
        verdict, budget = self.verdict(), self._budget()
        share = self._judge.result() if self._judge else None
        judged = share.pop("servers") if share else {}
        return {
            "verdict": verdict,
            "reasons": self._reasons(verdict, budget, share),
            "required": self.settings["required"],
            "judged": self.settings["judged"],
            "unit": self.settings["unit"],
            "assumption": assumption(self.settings),
            "requests": self.requests,
            "errors": self.errors,
            "unjudged": self.unjudged,
            "servers": {
                name: dict(judged.get(name) or self._unjudged_row(name), **row)
                for name, row in sorted(self._servers.items())
            },
            "share": share,
            "error_budget": budget,
            "answers": self._whole.result(),
        }

    def _unjudged_row(self, name: str) -> Dict[str, Any]:
        """Return the numbers of a server whose share is reported but not judged.

        In a pool that is judged, that is a server which the balancer does not have any more.
        """
        weights = {n: row["weight"] for n, row in self._servers.items()}
        return {
            "segment_requests": 0,
            "share": self._servers[name]["requests"] / self.requests if self.requests else 0.0,
            "intended": 0.0 if self._judge else intended_shares(weights)[name],
            "low": 0.0,
            "high": 1.0,
        }

    def _reasons(
        self, verdict: str, budget: Mapping[str, Any], share: Optional[Mapping[str, Any]]
    ) -> List[str]:
        if verdict == NO_DATA:
            words = "was sent no request" if self.present else "is not reported any more"
            return ["pool %s %s" % (self.name, words)]
        reasons = list(self._problems)
        for part in (share, budget):
            if part and part["verdict"] == verdict:
                reasons += [each for each in part["reasons"] if each not in reasons]
        if verdict == INCONCLUSIVE and not reasons:
            why = "no interval had steady weights to judge"
            if self._uncounted:
                why = "the balancer does not count its %s" % self.settings["unit"]
            reasons = ["pool %s: %s" % (self.name, why)]
        return reasons

    def state(self) -> Dict[str, Any]:
        """Return everything that `from_state` needs, as plain JSON values."""
        return {
            "pass_alpha": self.pass_alpha,
            "present": self.present,
            "requests": self.requests,
            "errors": self.errors,
            "unjudged": self.unjudged,
            "servers": {name: dict(row) for name, row in self._servers.items()},
            "problems": list(self._problems),
            "whole": self._whole.state(),
            "uncounted": self._uncounted,
            "sent": dict(self._sent),
            "sent_samples": self._sent_samples,
            "judge": self._judge.state() if self._judge else None,
        }

    @classmethod
    def from_state(
        cls,
        name: str,
        settings: Mapping[str, Any],
        policy: Mapping[str, Any],
        state: Mapping[str, Any],
    ) -> PoolWatch:
        """Return the watch that `state()` described; KeyError or TypeError for a damaged one."""
        watch = cls(name, settings, policy, float(state["pass_alpha"]))
        watch.present = bool(state["present"])
        watch.requests = int(state["requests"])
        watch.errors = int(state["errors"])
        watch.unjudged = int(state["unjudged"])
        watch._servers = {server: dict(row) for server, row in state["servers"].items()}
        watch._problems = [str(one) for one in state["problems"]]
        watch._whole = PoolCounters.from_state(state["whole"])
        watch._uncounted = bool(state["uncounted"])
        watch._sent = {server: int(count) for server, count in state["sent"].items()}
        watch._sent_samples = int(state["sent_samples"])
        if state["judge"] is not None:
            watch._judge = ShareJudge.from_state(state["judge"])
        return watch
