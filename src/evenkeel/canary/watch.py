"""Watch one host while a stage bakes: observe in slices, renew its lease, end with its verdict.

Each slice is one round trip to the host's own judge. A slice is much shorter than the lease and
renews it, so the lease ends soon after the controller dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from evenkeel.answers import Observed, SharePoint
from evenkeel.canary.progress import extend, write_progress
from evenkeel.errors import one_line
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS
from evenkeel.records import canonical_json, read_json, utc_now, write_atomically
from evenkeel.remote import Answer, OptionValue

# Roles: the change since this stage, earlier, or never.
CANARY = "canary"
CARRIER = "carrier"
CONTROL = "control"

# Long beside a round trip, short as progress.
LONGEST_SLICE_SECONDS = 3
# Carriers and controls wait longer for the canaries.
GRACE_SECONDS = 30

Observe = Callable[[dict[str, OptionValue], bytes], Answer]
"""Runs the verb `observe` on the host with these options and this standard input."""


class WatchResult(TypedDict):
    """One file `canary/<stage>/<host>.json`; `status` is "ok" or "failed"."""

    host: str
    role: str
    verb: str
    status: str
    result: Observed


@dataclass(frozen=True)
class Watch:
    """One host in one stage of one change. Times are in seconds; `policy` is the judge's."""

    folder: Path
    change_id: str
    stage: int
    host: str
    role: str
    canaries: tuple[str, ...]
    bake_seconds: float
    lease_seconds: float
    policy: Mapping[str, Any]
    # A host that has confirmed has no lease to renew.
    leased: bool = True

    @property
    def slice_seconds(self) -> int:
        """The length of one slice: at most a third of the lease, so that two may be lost."""
        return max(1, min(LONGEST_SLICE_SECONDS, int(self.lease_seconds / 3)))

    def result_path(self, host: str) -> Path:
        """The result file of `host` in this stage."""
        return self.folder / "canary" / str(self.stage) / f"{host}.json"

    def options(self, *, fresh: bool) -> dict[str, OptionValue]:
        """The options of one slice of `observe`."""
        options: dict[str, OptionValue] = {
            "change": self.change_id,
            "seconds": self.slice_seconds,
            "fresh": fresh,
        }
        if self.role == CANARY:
            # A clear verdict needs no more requests.
            options["until_decided"] = True
        if self.role != CONTROL:
            options |= {"judge": True, "revert_on_fail": True}
            if self.leased:
                options["lease_seconds"] = int(self.lease_seconds)
        return options


def write_result(watch: Watch, verb: str, status: str, result: Observed) -> WatchResult:
    """Write the result file of a host in a stage, atomically, and give its content."""
    value: WatchResult = {
        "host": watch.host,
        "role": watch.role,
        "verb": verb,
        "status": status,
        "result": result,
    }
    write_atomically(watch.result_path(watch.host), canonical_json(value))
    return value


def follow(
    watch: Watch,
    observe: Observe,
    show: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> WatchResult:
    """Observe until the host has a verdict or the bake time is over, and write the result.

    A canary ends early on pass or fail, and when another host has failed the stage. Every other
    host observes until all canaries of the stage have a result. Raises the host's own error when it
    refuses to be observed.
    """
    policy = canonical_json(watch.policy)
    history: list[SharePoint] = []
    began = clock()
    until = began + watch.bake_seconds + (0 if watch.role == CANARY else GRACE_SECONDS)
    fresh = True
    while True:
        options, renewed = watch.options(fresh=fresh), utc_now()
        answer = observe(options, policy)
        result = cast("Observed", dict(answer.result))
        verdict = str(result.get("verdict") or NO_DATA)
        error = answer.error(watch.host)
        if error and not result.get("reverted"):
            raise error
        fresh = False
        seconds = clock() - began
        history = extend(history, seconds, result)
        write_progress(
            watch.result_path(watch.host).parent,
            watch.host,
            watch.role,
            result,
            renewed=renewed,
            at=utc_now(),
            seconds=seconds,
            lease_seconds=watch.lease_seconds if "lease_seconds" in options else 0,
        )
        show(progress_line(watch, result))
        if _is_over(watch, verdict) or clock() >= until or _stage_has_failed(watch):
            result["history"] = history
            return write_result(watch, "observe", "ok", result)


def _is_over(watch: Watch, verdict: str) -> bool:
    """Whether the stage needs nothing more of a host with this `verdict`."""
    if watch.role == CANARY:
        return verdict in (PASS, FAIL)
    if watch.role == CARRIER and verdict == FAIL:
        return True
    return all(watch.result_path(host).exists() for host in watch.canaries)


def _stage_has_failed(watch: Watch) -> bool:
    """Whether a host has failed the stage: then the change goes back, and waiting delays that."""
    for path in watch.result_path(watch.host).parent.glob("*.json"):
        value = read_json(path, what=f"The result of {path.stem}", next_step="deploy again")
        if value["status"] != "ok" or value["result"].get("verdict") == FAIL:
            return True
    return False


def progress_line(watch: Watch, result: Observed) -> str:
    """One line for a person: the host, its requests and shares so far, and its verdict."""
    parts = [f"{watch.host} ({watch.role}): {result.get('requests', 0)} requests"]
    probes = (result.get("probe") or {}).get("sent")
    parts += [f"{probes} of them probes"] if probes else []
    for name, pool in sorted((result.get("pools") or {}).items()):
        shares = " ".join(
            f"{server} {100 * float(share):.0f}%"
            for server, counts in sorted((pool.get("servers") or {}).items())
            if (share := counts.get("share")) is not None
        )
        if shares:
            unit = pool.get("unit") or "requests"
            parts.append(f"{name}{'' if unit == 'requests' else f' ({unit})'}: {shares}")
    if watch.role != CONTROL:
        parts.append(str(result.get("verdict") or INCONCLUSIVE))
    # The text is the host's: keep it on one line.
    return one_line("  ".join(parts))
