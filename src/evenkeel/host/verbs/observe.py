"""Watch the balancer's counters for a while, judge them, and go back when the judge says fail.

What was counted is kept between calls, per change and release, so that a controller can look at it
in short slices while one judgement runs through all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any, Dict, Optional

from evenkeel.host.errors import BalancerDown, BalancerError, Refused, Reverted
from evenkeel.host.state import live
from evenkeel.host.state.machine import LARGEST_WATCH_BYTES, Machine
from evenkeel.host.system import durable
from evenkeel.host.system.driver import Observation
from evenkeel.host.system.probe import Probe, open_probe
from evenkeel.host.system.sha256 import canonical
from evenkeel.host.verbs import confirm, reload_proof, revert
from evenkeel.judge.host_watch import HostWatch
from evenkeel.judge.verdict import FAIL, PASS

SAMPLE_SECONDS = 1.0

Answer = Dict[str, Any]


class Orders:
    """The arguments of one call of `observe`."""

    def __init__(
        self,
        change: str,
        seconds: float,
        lease_seconds: Optional[float] = None,
        judge: bool = False,
        revert_on_fail: bool = False,
        fresh: bool = False,
        until_decided: bool = False,
    ) -> None:
        self.change = change
        self.seconds = seconds
        self.lease_seconds = lease_seconds
        self.judge = judge
        self.revert_on_fail = revert_on_fail
        self.fresh = fresh
        self.until_decided = until_decided


def observe(machine: Machine, orders: Orders, policy: Dict[str, Any]) -> Answer:
    """Sample for `orders.seconds`, ending early on `fail` (and on `pass` with `until_decided`).

    Without `judge` (a control host) the same numbers are given and no verdict. Raises Reverted when
    the change that is watched is not live any more, Refused when somebody else watches it.
    `policy` is the judge's; its key `probe` says what a judged host sends itself (see probe.py).
    """
    with machine.locked("observe") as journal:
        revert.settle(machine, journal)
    if orders.lease_seconds is not None:
        confirm.renew(machine, orders.change, orders.lease_seconds)
    elif orders.judge:
        _require_carried(machine, orders.change)
    release = machine.store.live_digest() or "none"
    path = os.path.join(machine.store.observations, f"{orders.change}-{release[:16]}.json")
    handle = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(handle, orders.change)
        return _observe(machine, orders, policy, path)
    finally:
        os.close(handle)


def _lock(handle: int, change: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refused(
            f"Change {change} is being observed already",
            where="observations",
            wanted="one observer",
            got="another one",
            next_step="wait for it to end",
        ) from None


def _observe(machine: Machine, orders: Orders, policy: Dict[str, Any], path: str) -> Answer:
    began = machine.clock.boottime()
    wanted = {key: value for key, value in policy.items() if key != "probe"}
    watch, saved = _resume(path, wanted, orders.fresh)
    previous, seconds = saved.get("previous"), float(saved.get("seconds", 0.0))
    probe = open_probe(policy.get("probe") if orders.judge else None, machine.driver)
    if probe is not None:
        probe.sent, probe.failed = saved.get("probe", (0, 0))
    until = began + orders.seconds
    while True:
        last_look = machine.clock.boottime() >= until
        try:
            seen = machine.driver.observe()
            watch.sample(previous, seen)
            previous = seen
            fallen = orders.judge and _restarted(machine, orders.change, seen)
        except BalancerDown as error:
            return _down(machine, orders, f"the balancer does not run: {error}")
        except ValueError as error:
            raise BalancerError(f"what it counts cannot be read: {error}"[:300]) from None
        if fallen:
            return _down(machine, orders, fallen)
        decided = orders.judge and watch.verdict() in (
            (FAIL, PASS) if orders.until_decided else (FAIL,)
        )
        if decided or last_look:
            break
        if orders.judge:
            _require_carried(machine, orders.change)
        _wait(machine, min(machine.clock.boottime() + SAMPLE_SECONDS, until), probe)
    seconds += machine.clock.boottime() - began
    state = {"watch": watch.state(), "previous": previous, "seconds": round(seconds, 3)}
    if probe is not None:
        state["probe"] = [probe.sent, probe.failed]
    durable.write_file(machine.steps, "observation", path, canonical(state))
    result = dict(watch.result())
    result.pop("policy", None)
    if probe is not None:
        result["probe"] = probe.result()
        result["notes"].append(f"{probe.sent} of the requests are probes of the host itself")
    return _answer(machine, orders, {**result, "seconds": round(seconds, 3)})


def _wait(machine: Machine, until: float, probe: Optional[Probe]) -> None:
    """Let the time until the next sample pass, with the probes that belong to it."""
    if probe is not None:
        probe.send(until, machine.clock.boottime)
    machine.clock.sleep(max(0.0, until - machine.clock.boottime()))


def _resume(path: str, policy: Dict[str, Any], fresh: bool) -> "tuple[HostWatch, Dict[str, Any]]":
    """Give the watch so far and what was saved beside it: the saved ones, or new and nothing."""
    data = None if fresh else durable.read_if_there(path, LARGEST_WATCH_BYTES)
    try:
        new = HostWatch(policy)
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise Refused(
            "The policy on standard input cannot be used",
            where="standard input",
            wanted="the policy of the judge, as JSON",
            got=str(error)[:300],
            next_step="correct the guardrails of the intent",
        ) from None
    if data is None:
        return new, {}
    try:
        saved = json.loads(data)
        watch = HostWatch.from_state(saved["watch"])
        if watch.policy == new.policy:
            sent, failed = saved.get("probe", (0, 0))
            beside = {"previous": saved["previous"], "seconds": float(saved["seconds"])}
            return watch, {**beside, "probe": (int(sent), int(failed))}
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        pass
    # A damaged or foreign state would judge wrongly.
    return new, {}


def _require_carried(machine: Machine, change: str) -> None:
    journal = machine.journal()
    pending, confirmed = journal.pending, journal.confirmed() or {}
    if pending is not None and pending["change"] == change:
        return
    if pending is None and confirmed.get("change") == change:
        return
    last = journal.last or {}
    if (last.get("change"), last.get("outcome")) == (change, "reverted"):
        raise Reverted(
            f"Change {change} is not live any more: the host went back",
            where="journal",
            wanted=f"change {change}",
            got=f"{last.get('reason')}, at {last.get('at')}",
            next_step="find out why, then deploy the change again",
        )
    raise Refused(
        f"This host does not carry change {change}",
        where="journal",
        wanted=f"change {change}",
        got=f"change {(pending or confirmed).get('change')}",
        next_step="activate the change first",
    )


def _restarted(machine: Machine, change: str, seen: Observation) -> str:
    pending = machine.journal().pending
    if pending is None or pending["change"] != change:
        return ""
    return reload_proof.restarted(pending.get("proof"), seen)


def _down(machine: Machine, orders: Orders, reason: str) -> Answer:
    """A balancer that died under the watch is a fail that needs no statistics."""
    result = {
        "verdict": FAIL,
        "reasons": [reason[:300]],
        "pools": {},
        "requests": 0,
        "errors": 0,
        "seconds": 0.0,
    }
    return _answer(machine, orders, result)


def _answer(machine: Machine, orders: Orders, result: Dict[str, Any]) -> Answer:
    answer = {**result, "changed": False, "reverted": False, "judged": orders.judge}
    if not orders.judge:
        answer["verdict"] = None
        answer["reasons"] = []
        return answer
    if answer["verdict"] == FAIL and orders.revert_on_fail:
        _revert(machine, orders.change, answer)
    return answer


def _revert(machine: Machine, change: str, answer: Answer) -> None:
    with machine.locked("observe") as journal:
        pending = journal.pending
        if pending is not None and pending["change"] == change:
            reason = "; ".join(answer["reasons"])[:500] or "the judge said fail"
            outcome = revert.revert(machine, journal, reason)
            answer.update(changed=True, reverted=True, outcome="reverted", to=outcome["to"])
        elif (journal.last or {}).get("change") == change:
            last = journal.last or {}
            answer.update(reverted=last.get("outcome") == "reverted", to=live.read(machine).digest)
