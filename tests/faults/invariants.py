"""What must hold on a host, whatever happened to it: docs/decisions/0011-what-is-never-violated.md.

Each function demands what it says, by `assert`.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from unit.host.fakes import Host, digest

from evenkeel.host.system.durable import TEMPORARY
from evenkeel.host.system.steps import Steps

NEXT = b"web a\nweb next\n"


def confirmed_of(host: Host) -> str | None:
    """The release that was confirmed last, by the journal's own word."""
    path = host.root / "journal"
    if not path.exists():
        return None
    generations = json.loads(path.read_bytes())["generations"]
    return generations[-1]["release"] if generations else None


def demand_whole(host: Host, allowed: set[bytes]) -> None:
    """Old or new, never a mixture, and what runs is what is live (invariants 1 and 2)."""
    assert host.live() in allowed, "what is live is neither the old nor the new bytes"
    assert host.driver.running() == host.live(), "what runs is not what is live"


def demand_settled(host: Host, allowed: set[bytes], says_so: bool = True) -> None:
    """Nothing waits: what is live is confirmed, agrees with the journal, and runs.

    With `says_so` the host must know that it runs it.
    """
    demand_whole(host, allowed)
    status = host.status()
    assert status["pending"] is None, "something is pending still"
    demand_tidy(host)
    demand_generations(host)
    if host.live() in host.edits:
        # A person's work is left alone and shown; nobody but he says that it is loaded.
        assert status["drift"] or status["live"]["confirmed"] or not status["live"]["adopted"]
        return
    confirmed = confirmed_of(host)
    assert confirmed in (None, digest(host.live())), "what is live is not what was confirmed"
    if confirmed is not None:
        assert status["live"]["adopted"], "the balancer's path does not lead to the live release"
        assert not status["drift"], status["drift_reason"]
    assert status["running"]["agrees"] or not says_so, (
        "the host does not say that it runs what is live"
    )


def demand_idle(host: Host) -> None:
    """A second `recover` is a no-op, to the byte (invariant 7)."""
    before = pictured(host)
    answer = host.must("recover")
    assert not answer["changed"], answer["repaired"]
    assert pictured(host) == before, "a second recover changed something"


def pictured(host: Host) -> dict[str, Any]:
    """Every name and byte below the host, but for the words in locks and the process."""
    found: dict[str, Any] = {"worker": host.driver.running()}
    for folder in (host.root, host.driver.native.parent):
        for at, names, files in os.walk(folder):
            for name in [*names, *files]:
                path = os.path.join(at, name)
                if os.path.islink(path):
                    found[path] = os.readlink(path)
                elif os.path.isfile(path) and not name.endswith("lock"):
                    with open(path, "rb") as file:
                        found[path] = file.read()
                else:
                    found[path] = None
    return found


def demand_tidy(host: Host) -> None:
    """No temporary name and no lock is left (invariant 10)."""
    left = [path for path in pictured(host) if TEMPORARY in path]
    assert not left, f"left behind: {left}"
    with open(host.root / "lock", "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def demand_generations(host: Host) -> None:
    """Generations strictly increase, and each can be gone back to (invariants 6 and 9)."""
    generations = host.status()["generations"]
    numbers = [generation["number"] for generation in generations]
    assert numbers == sorted(set(numbers)), "generations do not strictly increase"
    machine = host.machine("fake", Steps())
    for generation in generations[-2:]:
        release = generation["release"]
        store = machine.store
        whole = store.release_damage(release) is None or any(
            store.snapshot_damage(name) is None and store.snapshot(name)["release"] == release
            for name in store.snapshot_names()
        )
        assert whole, f"generation {generation['number']} cannot be gone back to"


def demand_next(host: Host) -> None:
    """The next change goes all the way, and back (invariants 6 and 11)."""
    old = host.live()
    host.deploy("next", NEXT)
    demand_settled(host, {NEXT})
    assert host.must("rollback")["changed"]
    demand_settled(host, {old})
