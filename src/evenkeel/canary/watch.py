"""Watch one host while a stage bakes: observe in slices, renew its lease, stop when it is decided.

Each slice is one round trip to the host's own judge. A slice is much shorter than the lease, so a
controller that dies lets the lease run out; a controller that lives renews it with every slice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.canary.history import extend
from evenkeel.canary.progress import write_progress
from evenkeel.errors import one_line
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS
from evenkeel.records import canonical_json, read_json, utc_now, write_atomically
from evenkeel.remote import Answer

# A host carries the change since this stage, since an earlier one, or not at all.
CANARY = "canary"
CARRIER = "carrier"
CONTROL = "control"

# Long enough that a slice costs little beside its round trip, short enough to read as progress.
LONGEST_SLICE_SECONDS = 3
# Added to the bake time before hosts that only accompany a stage stop waiting for its canaries.
GRACE_SECONDS = 30

Observe = Callable[[dict[str, object], bytes], Answer]
"""Runs the verb `observe` on the host with these options and this standard input."""


@dataclass(frozen=True)
class Watch:
    """What to watch: one host in one stage of one change. Times are in seconds."""

    folder: Path
    change_id: str
    stage: int
    host: str
    role: str
    canaries: tuple[str, ...]
    bake_seconds: float
    lease_seconds: float
    policy: Mapping[str, Any]
    # A host that has confirmed the change already has no lease to renew.
    leased: bool = True

    @property
    def slice_seconds(self) -> int:
        """The length of one slice: at most a third of the lease, so two can be missed."""
        return max(1, min(LONGEST_SLICE_SECONDS, int(self.lease_seconds / 3)))

    def result_path(self, host: str) -> Path:
        """Where the result of `host` in this stage is kept."""
        return self.folder / "canary" / str(self.stage) / f"{host}.json"

    def options(self, *, fresh: bool) -> dict[str, object]:
        """The options of one slice of `observe`."""
        options: dict[str, object] = {
            "change": self.change_id,
            "seconds": self.slice_seconds,
            "fresh": fresh,
        }
        if self.role == CANARY:
            # Nothing more is learnt from a canary whose verdict is clear.
            options["until_decided"] = True
        if self.role != CONTROL:
            options |= {"judge": True, "revert_on_fail": True}
            if self.leased:
                options["lease_seconds"] = int(self.lease_seconds)
        return options


def write_result(watch: Watch, verb: str, status: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Write what became of a host in a stage, atomically, and give it."""
    value = {
        "host": watch.host,
        "role": watch.role,
        "verb": verb,
        "status": status,
        "result": dict(result),
    }
    write_atomically(watch.result_path(watch.host), canonical_json(value))
    return value


def follow(
    watch: Watch,
    observe: Observe,
    show: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Observe until the host is decided or the bake time is over, and write the result.

    A canary ends early on pass or fail, and when another host has failed the stage already. Every
    other host observes for as long as the stage's canaries are undecided. Raises the host's own
    error when it refuses to be observed.
    """
    policy = canonical_json(watch.policy)
    history: list[dict[str, Any]] = []
    began = clock()
    until = began + watch.bake_seconds + (0 if watch.role == CANARY else GRACE_SECONDS)
    fresh = True
    while True:
        options, renewed = watch.options(fresh=fresh), utc_now()
        answer = observe(options, policy)
        result = answer.result
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
        if _is_over(watch, verdict) or clock() >= until or _is_lost(watch):
            return write_result(watch, "observe", "ok", {**result, "history": history})


def _is_over(watch: Watch, verdict: str) -> bool:
    """Whether a host that says `verdict` has said what the stage needs of it."""
    if watch.role == CANARY:
        return verdict in (PASS, FAIL)
    return (watch.role != CONTROL and verdict == FAIL) or _canaries_are_decided(watch)


def progress_line(watch: Watch, result: Mapping[str, Any]) -> str:
    """One line for a person: the host, what it saw so far, and what its judge says of it."""
    parts = [f"{watch.host} ({watch.role}): {result.get('requests', 0)} requests"]
    probes = (result.get("probe") or {}).get("sent")
    parts += [f"{probes} of them probes"] if probes else []
    for name, pool in sorted((result.get("pools") or {}).items()):
        shares = " ".join(
            f"{server} {100 * float(facts['share']):.0f}%"
            for server, facts in sorted((pool.get("servers") or {}).items())
            if facts.get("share") is not None
        )
        if shares:
            unit = pool.get("unit") or "requests"
            parts.append(f"{name}{'' if unit == 'requests' else f' ({unit})'}: {shares}")
    if watch.role != CONTROL:
        parts.append(str(result.get("verdict") or INCONCLUSIVE))
    # Names and verdict are the host's own words.
    return one_line("  ".join(parts))


def _canaries_are_decided(watch: Watch) -> bool:
    return all(watch.result_path(host).exists() for host in watch.canaries)


def _is_lost(watch: Watch) -> bool:
    """Whether a host has failed the stage: then every second more is one on a change that goes."""
    for path in watch.result_path(watch.host).parent.glob("*.json"):
        value = read_json(path, what=f"The result of {path.stem}", next_step="deploy again")
        if value["status"] != "ok" or value["result"].get("verdict") == FAIL:
            return True
    return False
