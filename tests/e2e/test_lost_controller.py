"""The controller dies in the middle of a deploy: hosts go home alone, and a rerun is safe."""

import pytest
from e2e.helpers import AT_ONCE, SHORT_LEASE, STAGE, kill, timeout, wait_until

LONG_WATCH = ({**STAGE, "bake_seconds": 120, "minimum_requests": 1_000_000}, STAGE)


@pytest.fixture(scope="module")
def busy(road):
    """A fleet under traffic; hand-made, or with the change that a test before left confirmed."""
    road.forget()
    with road.traffic():
        yield road


# Longer than a playbook needs to start, however busy the machine is.
LONG_LEASE = ("-e", "canary_lease_seconds=90")


def killed_while_watched(road, change, stages, *words):
    """Deploy, and kill the controller once the canary is being watched."""
    with road.deploying(change, stages, *words) as deploy:
        road.wait_for(deploy, lambda: road.is_observed("lb1", change))
        kill(deploy)


def generations_of(road, host, change):
    return [g for g in road.status(host)["generations"] if g["change"] == change]


def test_a_host_whose_controller_died_reverts_by_itself_and_the_rerun_confirms_once(busy):
    road = busy
    before = road.live()
    road.ready("died", timeout(41))
    others = road.untouched("lb2", "lb3")
    road.bind("died", canary_lease_seconds=15)
    killed_while_watched(road, "died", LONG_WATCH, *SHORT_LEASE)
    assert road.pending("lb1") == "died"
    wait_until(lambda: not road.pending("lb1"), "lb1 goes back by itself")
    assert road.status("lb1")["last"]["reason"] == "nobody confirmed it within its lease"
    assert road.live() == before
    assert road.untouched("lb2", "lb3") == others

    said = road.deploy("died", *SHORT_LEASE, stages=AT_ONCE)
    assert said.code == 0, said.text
    assert road.live() == dict.fromkeys(road.hosts, "died")
    assert road.outcome("died")["hosts"] == dict.fromkeys(road.hosts, "confirmed")
    assert [len(generations_of(road, host, "died")) for host in road.hosts] == [1, 1, 1]

    before = road.traces()
    said = road.deploy("died", *SHORT_LEASE, stages=AT_ONCE)
    assert said.code == 10
    assert "was decided already" in said
    assert road.traces() == before


def test_a_rerun_within_the_lease_goes_on_without_another_reload(busy):
    road = busy
    road.ready("again", timeout(42))
    road.bind("again", canary_lease_seconds=90)
    killed_while_watched(road, "again", AT_ONCE, *LONG_LEASE)
    worker = road.status("lb1")["running"]["worker_pid"]
    said = road.deploy("again", *LONG_LEASE, stages=AT_ONCE)
    assert said.code == 0, said.text
    assert road.live() == dict.fromkeys(road.hosts, "again")
    assert road.status("lb1")["running"]["worker_pid"] == worker
    assert [len(generations_of(road, host, "again")) for host in road.hosts] == [1, 1, 1]


def test_a_deploy_that_died_between_two_confirms_leaves_one_state_when_it_is_run_again(busy):
    road = busy
    road.ready("halfway", timeout(43))
    before = road.live()
    road.activate("halfway")
    road.confirm("halfway", "lb1")
    said = road.deploy("halfway", stages=AT_ONCE)
    after = dict.fromkeys(road.hosts, "halfway") if said.code == 0 else before
    assert said.code in (0, 11), said.text
    assert road.live() == after
    assert not any(road.pending(host) for host in road.hosts)
