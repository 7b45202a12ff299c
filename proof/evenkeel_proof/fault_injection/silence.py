"""The controller falls silent, in each way that it can; and a confirmed change is nobody's to take.

Measured in seconds from the end of the lease to the revert that was proven and written down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

from evenkeel.remote import PROGRAM, OptionValue
from evenkeel_proof.fault_injection import boot, checks
from evenkeel_proof.fault_injection.fault_host import FaultHost, Release
from evenkeel_proof.fault_injection.tally import Note, Tally, demand

EXPIRE = "evenkeel-expire-*"
LEASE_SECONDS = "3"
# Of a change that has to be confirmed in time, on a machine that may be busy.
CONFIRMED_LEASE_SECONDS = "10"
HOUR_SECONDS = 3600
# Ends the session of the deploy user as soon as the journal on disk says that a change is on.
_CUT_SESSION = (
    'until grep -qF "\\"change\\":\\"$1\\"" "$2/journal" 2>/dev/null && $3; do :; done;'
    ' pkill -KILL -f "^sshd: evenkeel"; echo cut'
)
_OBSERVED = 'ls "$2"/observations/"$1"-*.lock >/dev/null 2>&1'


def run(host: FaultHost, tally: Tally, fast: bool = False) -> None:
    """Inject every loss of the controller, one after the other."""
    for name in FAST if fast else CASES:
        with tally.fault("lease", name) as note:
            try:
                CASES[name](host, note)
                checks.goes_on(host)
            except Exception:
                host.fleet.heal(host.name)
                host.forget()
                raise


def silent(host: FaultHost, note: Note) -> None:
    """The controller renews and renews, and is killed."""
    old, new = host.ready(), host.new_release()
    change = host.activate(new, "4")
    options = {"change": change, "lease_seconds": LEASE_SECONDS}
    script = 'while "$@"; do :; done'
    words = ["sh", "-c", script, "sh", *host.over_ssh("renew", options)]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as controller:
        first = deadline(host)
        # Renewed three times, so that the first lease alone would be over by the last.
        for _ in range(3):
            _wait_for_a_renewal(host)
        demand(deadline(host) > first, "the lease was not renewed")
        os.killpg(controller.pid, signal.SIGKILL)
    went_back(host, change, old, note)


def cut(host: FaultHost, note: Note) -> None:
    """The network of the host is gone while the change waits."""
    old, new = host.ready(), host.new_release()
    change = host.activate(new, LEASE_SECONDS)
    host.fleet.cut(host.name)
    try:
        _closed(host, change)
    finally:
        host.fleet.heal(host.name)
    went_back(host, change, old, note)


def session_in_activate(host: FaultHost, note: Note) -> None:
    """The session breaks off while the program is in the middle of an activation."""
    old, new, change = host.ready(), host.new_release(), host.new_change()
    host.prepare(change, new)
    options: dict[str, OptionValue] = {
        "change": change,
        "release": new.digest,
        "lease_seconds": LEASE_SECONDS,
    }
    _break_off(host, "activate", options, "true")
    went_back(host, change, old, note)


def session_in_observe(host: FaultHost, note: Note) -> None:
    """The session breaks off while the host watches its canary."""
    old, new = host.ready(), host.new_release()
    change = host.activate(new)
    options: dict[str, OptionValue] = {
        "change": change,
        "seconds": 60,
        "lease_seconds": LEASE_SECONDS,
        "judge": True,
    }
    _break_off(host, "observe", options, _OBSERVED.replace("$1", change).replace("$2", host.store))
    went_back(host, change, old, note)


def clock(seconds: int) -> Callable[[FaultHost, Note], None]:
    """Give the case of a wall clock that jumps while the change waits.

    The machine's clock is everybody's, so it is the program's view of it that jumps.
    """

    def jumped(host: FaultHost, note: Note) -> None:
        old, new = host.ready(), host.new_release()
        change = host.activate(new, "5")
        code, answer = host.injected({"wall_seconds": seconds}, "expire")
        demand(code == 0, f"expire ended with {code}")
        demand(answer["outcome"] == "renewed", f"the jump ended the lease: {answer}")
        left = float(answer["remaining_seconds"])
        demand(0 < left <= 5, f"the jump made the lease {left} s long")
        went_back(host, change, old, note)

    return jumped


def clock_at_the_end(seconds: int) -> Callable[[FaultHost, Note], None]:
    """Give the case of a wall clock that has jumped when the revert is due."""

    def jumped(host: FaultHost, note: Note) -> None:
        old, new = host.ready(), host.new_release()
        change = host.activate(new, LEASE_SECONDS)
        host.shell("systemctl stop 'evenkeel-expire-*.timer'")
        orders = {"wall_seconds": seconds, "after_lease": True}
        code, answer = host.injected(orders, "expire")
        demand(code == 0, f"expire ended with {code}")
        demand(answer["outcome"] == "reverted", f"the revert did not come: {answer}")
        demand((host.journal()["last"] or {}).get("change") == change, "another change went")
        checks.one_of(host, [old])
        note.outcome = "went back"

    return jumped


def rebooted(hard: bool) -> Callable[[FaultHost, Note], None]:
    """Give the case of a host that is booted while the change waits."""

    def reboot(host: FaultHost, note: Note) -> None:
        old, new = host.ready(), host.new_release()
        change = host.activate(new)
        seen = boot.asked_throughout(host, lambda: host.fleet.restart(host.name, hard=hard))
        demand(seen.was_down, "the host never stopped answering: it was not rebooted")
        demand(new.server not in seen.after, "the balancer served unconfirmed bytes after the boot")
        demand(old.server in seen.after, "the balancer did not answer after the boot")
        checks.went_back(host, change, old, f"evenkeel-recover@{host.kind}.service")
        note.outcome = "went back"
        note.detail = f"{seen.answers} answers after the boot, all of the confirmed release"

    return reboot


def confirmed(host: FaultHost, note: Note) -> None:
    """Timers of leases that were confirmed away fire late, and a boot comes on top."""
    old, new = host.ready(), host.new_release()
    change = host.activate(new, CONFIRMED_LEASE_SECONDS)
    ends = deadline(host)
    timer = str(host.journal()["pending"]["timer"])
    host.must("confirm", "--change", change)
    host.base = new
    worker = host.must("status")["running"]["worker_pid"]
    # The very timer that was disarmed, come back; and it fires after its lease.
    left = max(0.1, ends - time.clock_gettime(time.CLOCK_BOOTTIME) + 0.5)
    host.shell(
        'systemd-run --quiet --wait --collect --unit="$1-late" --property=ExecStartPre="sleep $2"'
        ' "$3" --balancer "$4" expire',
        timer, f"{left:.2f}", PROGRAM, host.kind,
    )  # fmt: skip
    demand(checks.one_of(host, [old, new]) is new, "a lease took back a confirmed change")
    after = host.must("status")["running"]["worker_pid"]
    demand(after == worker, "a late timer made the balancer reload")
    host.fleet.restart(host.name, hard=True)
    host.wait_for(host.served, "the balancer answers after the boot")
    demand(checks.one_of(host, [old, new]) is new, "a boot took back a confirmed change")
    note.outcome = "stayed confirmed"


CASES: dict[str, Callable[[FaultHost, Note], None]] = {
    "controller killed": silent,
    "network cut": cut,
    "session cut in activate": session_in_activate,
    "session cut in observe": session_in_observe,
    "wall clock 1 h ahead while waiting": clock(HOUR_SECONDS),
    "wall clock 1 h back while waiting": clock(-HOUR_SECONDS),
    "wall clock 1 h ahead at the revert": clock_at_the_end(HOUR_SECONDS),
    "wall clock 1 h back at the revert": clock_at_the_end(-HOUR_SECONDS),
    "rebooted": rebooted(hard=False),
    "power cut": rebooted(hard=True),
    "confirmed, then old timers and a power cut": confirmed,
}
FAST = ("controller killed", "network cut", "power cut")


def deadline(host: FaultHost) -> float:
    """Give when the pending lease ends, in seconds of CLOCK_BOOTTIME; 0.0 when none is pending."""
    pending = host.journal().get("pending") or {}
    return float((pending.get("lease") or {}).get("deadline", 0.0))


def _wait_for_a_renewal(host: FaultHost) -> None:
    before = deadline(host)
    host.wait_for(lambda: deadline(host) > before, "the lease is renewed")


def _closed(host: FaultHost, change: str) -> None:
    def closed() -> bool:
        journal = host.journal()
        return not journal["pending"] and (journal["last"] or {}).get("change") == change

    host.wait_for(closed, f"{change} is taken back")


def went_back(host: FaultHost, change: str, old: Release, note: Note) -> None:
    """Demand that the host goes back by its timer, and note how long after the lease that was."""
    last = checks.went_back(host, change, old, EXPIRE)
    demand(last["late_seconds"] is not None, "the host went back before its lease was over")
    note.outcome, note.seconds = "went back", last["late_seconds"]


def _break_off(host: FaultHost, verb: str, options: Mapping[str, OptionValue], met: str) -> None:
    """Run a verb over ssh and kill both ends of the session in the middle of it."""
    change = str(options["change"])
    script = _CUT_SESSION.replace("$3", met)
    cutter = host.fleet.started(host.name, ["sh", "-c", script, "sh", change, host.store])
    with cutter, subprocess.Popen(
        host.over_ssh(verb, options), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as session:  # fmt: skip
        cutter.wait(60)
        session.kill()
