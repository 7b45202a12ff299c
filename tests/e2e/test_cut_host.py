"""A host that is cut off in the middle of a stage fails the stage, and no later stage starts."""

import pytest
from e2e.helpers import ONE_BY_ONE, STAGE, timeout, wait_until

# Longer than a test takes to see that a host was cut off, so that only that can end the watch.
LONG_WATCH = {**STAGE, "bake_seconds": 60, "minimum_requests": 1_000_000}


@pytest.fixture(scope="module")
def busy(road):
    """A fleet that serves steady traffic by hand-made configurations."""
    road.forget()
    with road.traffic():
        yield road


def cut_while_watched(road, change, host, *, canary, stages):
    """Deploy, and cut `host` off once `canary` is being watched; give how the deploy ended."""
    road.ready(change, timeout(45))
    with road.deploying(change, stages) as deploy:
        road.wait_for(deploy, lambda: road.is_observed(canary, change))
        road.fleet.cut(host)
        try:
            return road.end(deploy)
        finally:
            road.fleet.heal(host)


def test_a_canary_that_is_cut_off_fails_its_stage_and_what_was_reached_goes_back(busy):
    road = busy
    before = road.untouched(*road.hosts)
    said = cut_while_watched(
        road, "cut-canary", "lb2", canary="lb2", stages=(STAGE, LONG_WATCH, STAGE)
    )
    assert said.code == 12, said.text
    folder, outcome = road.folder("cut-canary"), road.outcome("cut-canary")
    assert outcome["hosts"] == {"lb1": "reverted", "lb2": "failed", "lb3": "untouched"}
    assert not folder.stage_results(3).exists()
    assert road.untouched("lb3") == {"lb3": before["lb3"]}
    assert not (folder.path / "hosts" / "lb3" / "activate.json").exists()
    assert road.live()["lb1"] is None
    # The one that nobody could reach goes back by its lease.
    wait_until(lambda: not road.pending("lb2"), "lb2 goes back by itself")
    assert road.live() == dict.fromkeys(road.hosts)
    assert road.status("lb2")["last"]["outcome"] == "reverted"
    # And the next command, as the recap says it, finds nothing left to do.
    assert "-e undo=cut-canary --limit lb2" in said
    again = road.rollback("-e", "undo=cut-canary", "--limit", "lb2")
    assert again.code == 0, again.text


def test_a_host_that_is_cut_off_before_its_own_stage_stops_the_change(busy):
    road = busy
    before = road.untouched("lb2", "lb3")
    said = cut_while_watched(road, "cut-control", "lb2", canary="lb1", stages=(LONG_WATCH,) * 3)
    assert said.code == 11, said.text
    assert "lb2: it fell silent before its own stage" in said
    outcome = road.outcome("cut-control")
    assert outcome["hosts"] == {"lb1": "reverted", "lb2": "untouched", "lb3": "untouched"}
    assert not road.folder("cut-control").stage_results(2).exists()
    assert road.untouched("lb2", "lb3") == before
    assert road.live() == dict.fromkeys(road.hosts)


def test_a_host_that_cannot_be_reached_keeps_a_deploy_from_beginning(busy):
    road = busy
    road.ready("unreachable", timeout(45))
    before = road.traces()
    road.fleet.cut("lb3")
    try:
        said = road.deploy("unreachable", stages=ONE_BY_ONE)
    finally:
        road.fleet.heal("lb3")
    assert said.code == 10, said.text
    assert "lb3: wanted an answer to status" in said
    assert road.traces() == before
