"""The host verifies approvals by itself: the deploy user, through real sudo, is not believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from contract.deploy_user import TRAPS, is_ours, line, program, user
from contract.hosts import PROGRAM, STORE, Host, Release
from unit.host.approved import APPROVER, Change, People

# How a process may be made before sudo starts: signals, limits, priority, a mask.
HANDED_DOWN = """
import os, resource, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGALRM])
os.umask(0)
os.nice(5)
os.execvp("sudo", ["sudo", "-n", *sys.argv[1:]])
"""


def change_of(host: Host, people: People, release: Release, **more: Any) -> Change:
    about = {"change_id": "pushed", "balancer": host.kind, **more}
    return Change(people, release.digest, **about)


def push(host: Host, release: Release, approved: Mapping[str, bytes]) -> tuple[int, dict[str, Any]]:
    """Prepare a release as the deploy user."""
    words = ("prepare", "--change", "pushed", "--release", release.digest)
    return program(host, *words, stdin=release.archive("pushed", approved))


def unapproved(change: Change) -> Mapping[str, bytes]:
    return {}


def forged(change: Change) -> Mapping[str, bytes]:
    return {**change.approved(), **change.signed(change.record(), APPROVER, "mallory")}


def expired(change: Change) -> Mapping[str, bytes]:
    return change.approved(hours=-1)


def for_another_host(change: Change) -> Mapping[str, bytes]:
    other = Change(change.people, change.release, "pushed", host="lb2", balancer=change.balancer)
    return other.approved()


@pytest.mark.parametrize("way", [unapproved, forged, expired, for_another_host])
def test_a_release_that_nobody_approved_for_this_host_is_refused(
    strict: Host, people: People, wanted: Release, way: Any
) -> None:
    code, answer = push(strict, wanted, way(change_of(strict, people, wanted)))
    assert (code, answer["outcome"]) == (10, "untouched") and answer["error"]["next_step"]
    words = ("activate", "--change", "pushed", "--release", wanted.digest, "--lease-seconds", "60")
    code, answer = program(strict, *words)
    assert (code, answer["outcome"]) == (10, "untouched")


def test_a_forged_approval_is_refused_however_the_caller_has_made_its_process(
    strict: Host, people: People, wanted: Release, traps: None
) -> None:
    sent = wanted.archive("pushed", forged(change_of(strict, people, wanted)))
    words = (PROGRAM, *line(strict, "prepare", "--change", "pushed", "--release", wanted.digest))
    code, said = user(strict, "/usr/bin/python3", "-c", HANDED_DOWN, *words, stdin=sent)
    answer = json.loads(said)
    assert code == 10 and "is not signed by that person" in answer["error"]["got"]
    words = ("/usr/bin/env", f"PATH={TRAPS}", "/usr/bin/sudo", "-n", *words)
    code, said = user(strict, *words, stdin=sent, folder=TRAPS)
    assert code == 10 and is_ours(said)


def test_what_was_approved_goes_all_the_way_by_the_same_rule(
    asking: Host, people: People, wanted: Release
) -> None:
    base = asking.must("status")["live"]["release"]
    change = change_of(asking, people, wanted, base=base)
    code, answer = push(asking, wanted, change.approved())
    assert code == 0, answer
    words = ("activate", "--change", "pushed", "--release", wanted.digest, "--lease-seconds", "60")
    code, answer = program(asking, *words)
    assert (code, answer["outcome"]) == (0, "activated"), answer
    timers = ("find", "/run", "-name", "*evenkeel-expire*", "!", "-type", "l")
    assert asking.run(*timers) != "" and asking.run(*timers, "-perm", "/022") == ""
    assert program(asking, "confirm", "--change", "pushed")[0] == 0
    assert asking.live_files() == wanted.files
    assert program(asking, "status")[1]["approvals_required"] == 1
    find = ("find", f"{STORE}/{asking.kind}/approvals")
    assert asking.run(*find, "-type", "f").count("\n") == 1
    assert asking.run(*find, "-perm", "/077") == ""
    assert program(asking, "rollback")[0] == 0
