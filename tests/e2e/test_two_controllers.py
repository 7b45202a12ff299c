"""Two changes are deployed to one fleet at the same time: one gets all of it, the other nothing."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from e2e.helpers import AT_ONCE, ONE_THEN_ALL, timeout, wait_until

HOLDER = "two-controllers-holder"
LOCK = "/var/lib/evenkeel/haproxy/lock"


@pytest.fixture(scope="module")
def busy(road):
    """A fleet that serves steady traffic by hand-made configurations."""
    road.forget()
    with road.traffic():
        yield road


@contextmanager
def held_up(road, host):
    """Hold a host's lock, so that whoever prepares a release there waits."""
    # One process alone: in a container nobody tells systemd when the last child of a unit has gone.
    hold = f"flock --no-fork {LOCK} sleep infinity"
    limit = "--property=TimeoutStopSec=2"
    road.shell(host, f"systemd-run --quiet {limit} --unit={HOLDER} {hold}")
    wait_until(lambda: road.shell(host, f"flock -n {LOCK} true || echo taken"), "the lock is taken")
    try:
        yield
    finally:
        road.shell(host, f"systemctl stop {HOLDER}")


def both_are_prepared(road, changes):
    """Whether each change has got past its gate, and at least the first host has its release."""
    paths = [road.folder(change).path / "hosts" / "lb1" / "prepare.json" for change in changes]
    return all(path.exists() for path in paths)


def end(road, first, second):
    """Give (winner, loser, what the loser's deploy said); demand one of each, on every host."""
    ended = {change: run.result() for change, run in (first, second)}
    by_code = {said.code: change for change, said in ended.items()}
    assert sorted(by_code) == [0, 10], [said.text for said in ended.values()]
    winner, loser = by_code[0], by_code[10]
    assert road.live() == dict.fromkeys(road.hosts, winner)
    entries = road.folder(winner).manifest()["hosts"]
    for host, status in road.each(road.status).items():
        assert status["live"]["release"] == entries[host]["release"] and not status["pending"]
        changes = [generation["change"] for generation in status["generations"]]
        assert changes.count(winner) == 1 and loser not in changes
        assert (status["last"]["change"], status["last"]["outcome"]) == (winner, "confirmed")
    assert road.outcome(winner)["hosts"] == dict.fromkeys(road.hosts, "confirmed")
    return winner, loser, ended[loser]


@pytest.mark.parametrize("stages", [ONE_THEN_ALL, AT_ONCE], ids=["canary_first", "all_at_once"])
def test_of_two_changes_that_both_passed_the_gate_one_wins_and_the_other_touches_nothing(
    busy, stages
):
    road = busy
    changes = [f"{name}-{len(stages)}" for name in ("left", "right")]
    for number, change in enumerate(changes):
        road.ready(change, timeout(50 + 2 * len(stages) + number))
    with ThreadPoolExecutor() as pool, held_up(road, "lb3"):
        runs = [(change, pool.submit(road.deploy, change, stages=stages)) for change in changes]
        wait_until(lambda: both_are_prepared(road, changes), "both passed the gate", 30)
        road.shell("lb3", f"systemctl stop {HOLDER}")
        winner, loser, said = end(road, *runs)
    assert f"Change {winner} holds this host" in said
    assert f"lb1   untouched  Change {winner} holds this host" in said
    body = road.outcome(loser)
    assert (body["outcome"], body["exit_code"]) == ("refused", 10)
    assert body["hosts"] == dict.fromkeys(road.hosts, "untouched")


def test_of_two_changes_that_are_deployed_at_the_same_moment_one_wins(busy):
    road = busy
    for number, change in enumerate(("early", "late")):
        road.ready(change, timeout(60 + number))
    with ThreadPoolExecutor() as pool:
        runs = [(change, pool.submit(road.deploy, change)) for change in ("early", "late")]
        winner, loser, said = end(road, *runs)
    assert f"hange {winner}" in said

    before = road.traces()
    again = road.deploy(loser)
    assert again.code == 10
    assert f"of change {winner}" in again
    assert road.traces() == before


def test_of_two_deploys_of_the_same_change_one_goes_on_and_the_other_is_refused(busy):
    road = busy
    road.ready("twice", timeout(70))
    with ThreadPoolExecutor() as pool, held_up(road, "lb1"):
        first = pool.submit(road.deploy, "twice")
        signed = road.folder("twice").path / "deploying"
        wait_until(lambda: signed.exists() and signed.read_text(), "the first passed its gate", 30)
        second = road.deploy("twice")
        road.shell("lb1", f"systemctl stop {HOLDER}")
        said = first.result()
    assert second.code == 10 and "is being deployed by another run" in second
    assert said.code == 0, said.text
    assert road.outcome("twice")["hosts"] == dict.fromkeys(road.hosts, "confirmed")
