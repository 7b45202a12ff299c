"""Put a release on the host and let the balancer check it; the live one stays."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from evenkeel.host.errors import Refused
from evenkeel.host.state import archive
from evenkeel.host.state.machine import Machine
from evenkeel.host.system.driver import Check
from evenkeel.host.system.stdin import Stream

Answer = Dict[str, Any]


def prepare(
    machine: Machine, change: str, release: str, stream: Stream, check_only: bool
) -> Answer:
    """Unpack the release on `stream`, check it, and keep it under its digest.

    A release that is there already and intact is left as it is; a damaged one is replaced unless it
    is live. Raises Refused for a release that is not what it says, that is not approved where the
    host's policy asks for that, or that the balancer refuses.
    """
    received = archive.unpack(stream)
    _require_named(machine, received, change, release)
    policy = machine.policy()
    if policy is None:
        return _bring(machine, received, check_only)
    from evenkeel.host.state import approvals

    # Before any write or balancer check: both happen as root.
    approvals.require(machine, policy, change, release, received.approved)
    answer = _bring(machine, received, check_only)
    if not check_only:
        with machine.locked("prepare"):
            answer["changed"] |= approvals.keep(machine, change, received.approved)
    return answer


def _bring(machine: Machine, received: archive.Release, check_only: bool) -> Answer:
    store, release = machine.store, received.digest
    error = store.release_damage(release)
    if error is None:
        check = _check(machine, store.release_dir(release))
        return _answer(False, release, check, _certificates(machine, store.release_dir(release)))
    folder = store.write_release(received, machine.clock.now())
    try:
        check = _check(machine, folder)
        notes = _certificates(machine, folder)
        if not check_only:
            _publish(machine, folder, release)
    finally:
        # Publishing renames it, so the name is free again.
        store.discard(folder)
    return _answer(True, release, check, notes)


def _answer(changed: bool, release: str, check: Check, notes: List[str]) -> Answer:
    return {
        **({"notes": notes} if notes else {}),
        "changed": changed,
        "release": release,
        "check": {"ok": check.ok, "output": check.output},
    }


def _require_named(machine: Machine, received: archive.Release, change: str, release: str) -> None:
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
    """Give a note on each certificate that ends soon, or that has expired and is live already.

    Raises Refused for an expired one that the change brings.
    """
    named = machine.driver.certificates(folder)
    if not named:
        return []
    # Its import takes a tenth of a prepare.
    from evenkeel.host.system import certificates

    now = machine.clock.wall()
    over, soon = certificates.notes(named, now)
    if over:
        # What the balancer reads, the files before a takeover too.
        native = os.path.dirname(sorted(machine.driver.NATIVE_PATHS.values())[0])
        try:
            old, _ = certificates.notes(machine.driver.certificates(native), now)
        except OSError:
            old = []
        new = [one for one in over if one not in old]
        if new:
            raise Refused(
                "A certificate that the release names has expired",
                where=machine.driver.KIND,
                wanted="certificates that clients accept",
                got="; ".join(new)[:500],
                next_step="put the new certificate in its place, then deploy again",
            )
    return [*over, *soon]


def _publish(machine: Machine, folder: str, release: str) -> None:
    store = machine.store
    with machine.locked("prepare"):
        if store.release_damage(release) is None:
            return
        if store.live_digest() == release:
            raise Refused(
                "The release is live and was edited by hand",
                where=store.release_dir(release),
                wanted="the bytes of its digest",
                got=str(store.release_damage(release)),
                next_step="roll the host back, or adopt the edit: render from what is live now",
            )
        store.publish_release(folder, release)
