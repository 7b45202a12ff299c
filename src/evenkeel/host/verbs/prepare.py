"""Bring a release onto the host and let the balancer's own check judge it; what is live stays."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from evenkeel.host.errors import Refused
from evenkeel.host.state import archive
from evenkeel.host.state.host import Machine
from evenkeel.host.system.driver import Check
from evenkeel.host.system.stdin import Stream

Answer = Dict[str, Any]


def prepare(
    machine: Machine, change: str, release: str, stream: Stream, check_only: bool
) -> Answer:
    """Unpack the release on `stream`, check it, and keep it under its digest.

    A release that is there already and whole is left as it is; a damaged one is replaced unless it
    is live. Raises Refused for a release that is not what it says, that is not approved where the
    host's policy asks for that, or that the balancer refuses.
    """
    received = archive.unpack(stream)
    _demand_named(machine, received, change, release)
    policy = machine.policy()
    if policy is None:
        return _bring(machine, received, check_only)
    from evenkeel.host.state import approvals

    # Before anything is written or the balancer looks at it: both happen as root.
    approvals.demand(machine, policy, change, release, received.approved)
    answer = _bring(machine, received, check_only)
    if not check_only:
        with machine.locked("prepare"):
            answer["changed"] |= approvals.keep(machine, change, received.approved)
    return answer


def _bring(machine: Machine, received: archive.Release, check_only: bool) -> Answer:
    store, release = machine.store, received.digest
    fault = store.release_fault(release)
    if fault is None:
        check = _check(machine, store.release_dir(release))
        return _answer(False, release, check, _certificates(machine, store.release_dir(release)))
    folder = store.write_release(received, machine.clock.now())
    try:
        check = _check(machine, folder)
        notes = _certificates(machine, folder)
        if not check_only:
            _publish(machine, folder, release)
    finally:
        # Nothing has this name any more once it was published.
        store.discard(folder)
    return _answer(True, release, check, notes)


def _answer(changed: bool, release: str, check: Check, notes: List[str]) -> Answer:
    return {
        **({"notes": notes} if notes else {}),
        "changed": changed,
        "release": release,
        "check": {"ok": check.ok, "output": check.output},
    }


def _demand_named(machine: Machine, received: archive.Release, change: str, release: str) -> None:
    for what, wanted, got in (
        ("change", change, received.change),
        ("release", release, received.digest),
    ):
        if wanted != got:
            raise Refused(
                f"The release on standard input belongs to another {what}",
                where="standard input",
                wanted=f"{what} {wanted}",
                got=f"{what} {got}",
                next_step="send the release of the change that is named",
            )
    surplus = sorted(set(received.files) - set(machine.driver.NATIVE_PATHS))
    if surplus:
        raise Refused(
            "The release holds a file that the balancer does not read",
            where="standard input",
            wanted=", ".join(sorted(machine.driver.NATIVE_PATHS)),
            got=", ".join(surplus)[:200],
            next_step="render the change again",
        )
    missing = sorted(set(machine.driver.NATIVE_PATHS) - set(received.files))
    if missing:
        raise Refused(
            "The release lacks a file that the balancer reads",
            where="standard input",
            wanted=", ".join(sorted(machine.driver.NATIVE_PATHS)),
            got=f"no {', '.join(missing)}",
            next_step="render the change again",
        )


def _check(machine: Machine, folder: str) -> Check:
    check = machine.driver.check(folder)
    if not check.ok:
        raise Refused(
            "The balancer's own check refuses the release",
            where=machine.driver.KIND,
            wanted="a configuration that the balancer accepts",
            got=check.output,
            next_step="correct the intent and render the change again",
        )
    return check


def _certificates(machine: Machine, folder: str) -> List[str]:
    """Give a note on each certificate that ends soon, or that is over and live already.

    Raises Refused for one that is over and that the change brings.
    """
    named = machine.driver.certificates(folder)
    if not named:
        return []
    # Not before there is one to read: its imports take a tenth of what a prepare takes.
    from evenkeel.host.system import certificates

    now = machine.clock.wall()
    over, soon = certificates.notes(named, now)
    if over:
        # Where the balancer reads: also what was there before we came.
        native = os.path.dirname(sorted(machine.driver.NATIVE_PATHS.values())[0])
        try:
            old, _ = certificates.notes(machine.driver.certificates(native), now)
        except OSError:
            old = []
        new = [one for one in over if one not in old]
        if new:
            raise Refused(
                "A certificate that the release names is over",
                where=machine.driver.KIND,
                wanted="certificates that clients accept",
                got="; ".join(new)[:500],
                next_step="put the new certificate in its place, then deploy again",
            )
    return [*over, *soon]


def _publish(machine: Machine, folder: str, release: str) -> None:
    store = machine.store
    with machine.locked("prepare"):
        if store.release_fault(release) is None:
            return
        if store.live_digest() == release:
            raise Refused(
                "The release is live, and somebody edited it by hand",
                where=store.release_dir(release),
                wanted="the bytes that its name stands for",
                got=str(store.release_fault(release)),
                next_step="roll the host back, or adopt the edit: render from what is live now",
            )
        store.publish_release(folder, release)
