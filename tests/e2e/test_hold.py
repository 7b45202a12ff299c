"""A stage without a clear verdict waits for a person; when nobody decides, the hosts go home."""

import pytest
from e2e.helpers import AT_ONCE, STAGE, timeout, wait_until
from evenkeel_proof.lab import client_unit, production

from evenkeel.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REFUSED, EXIT_ROLLED_BACK

# More than anybody sends in so short a time.
UNCLEAR = {"hosts": 1, "bake_seconds": 4, "minimum_requests": 1_000_000}
SERVERS = ("web1", "web2", "web3")
# A lease that a busy machine's renewals never let end.
HELD = {
    "canary_on_inconclusive": "hold",
    "canary_hold_seconds": 120,
    "canary_lease_seconds": 60,
}


@pytest.fixture(scope="module")
def busy(road):
    road.forget()
    with road.traffic():
        yield road


def one_more_server(value):
    web4 = {"name": "web4", "address": "{{ lab.web.web4 }}", "port": 80, "weight": 100}
    value["pools"][0]["servers"].append(web4)


def requests_of(road, host):
    return client_unit.read(road.fleet)["balancers"][host]["requests"]


def deployed(road, change, *stages, **extra):
    """Deploy with the rules that were bound to the change, as an inventory would give them."""
    words = [word for name, value in extra.items() for word in ("-e", f"{name}={value}")]
    return road.deploy(change, *words, stages=stages)


def held(road, change, edit):
    road.ready(change, edit)
    road.bind(change, **HELD)
    said = deployed(road, change, UNCLEAR, *AT_ONCE, **HELD)
    assert said.code == EXIT_INCONCLUSIVE, said.text
    assert "canary_start_at=2" in said
    assert "rescued=0" in said
    return said


def test_a_held_deploy_keeps_its_canary_under_lease_and_goes_on_when_a_person_says_so(busy):
    road = busy
    held(road, "held", timeout(41))
    status = road.status("lb1")
    assert status["pending"]["change"] == "held"
    assert status["pending"]["remaining_seconds"] > 60
    assert not any(road.pending(host) for host in road.hosts[1:])
    assert not road.folder("held").outcome_json.exists()
    worker = status["running"]["worker_pid"]

    # The records are all that a controller needs to go on: here they come from elsewhere.
    here, elsewhere = road.changes / "held", road.changes.with_name("elsewhere")
    elsewhere.mkdir()
    here.rename(elsewhere / "held")
    rules = {**HELD, "evenkeel_changes_dir": elsewhere}
    words = [word for name, value in rules.items() for word in ("-e", f"{name}={value}")]
    stages = (UNCLEAR, *AT_ONCE)
    said = road.play("deploy", *words, stages=stages, change="held", canary_start_at="2")
    (elsewhere / "held").rename(here)
    assert said.code == EXIT_OK, said.text
    assert road.outcome("held")["hosts"] == dict.fromkeys(road.hosts, "confirmed")
    assert road.live() == dict.fromkeys(road.hosts, "held")
    assert road.status("lb1")["running"]["worker_pid"] == worker


def test_a_person_who_comes_when_the_lease_is_over_is_refused_and_nothing_is_touched(busy):
    road = busy
    before = road.live()
    held(road, "too-late", timeout(42))
    # Nobody comes: the same as waiting for the end of the hold, sooner.
    road.on_host("lb1", "renew", {"change": "too-late", "lease_seconds": 1})
    wait_until(lambda: not road.pending("lb1"), "lb1 goes back by itself")
    assert road.live() == before
    traces = road.traces()
    said = deployed(road, "too-late", UNCLEAR, *AT_ONCE, **HELD, canary_start_at=2)
    assert said.code == EXIT_REFUSED, said.text
    assert "The hold of too-late is over" in said
    assert "it went back at" in said
    assert road.traces() == traces


def test_a_held_change_that_goes_wrong_goes_back_with_no_controller_to_see_it(busy):
    road = busy
    before = road.live()
    held(road, "went-wrong", timeout(47))
    for server in SERVERS:
        production.forbid(road.fleet, "lb1", server)
    counted = requests_of(road, "lb1")
    wait_until(lambda: requests_of(road, "lb1") > counted + 50, "more was asked of lb1")
    # What the timer runs every 30 seconds, sooner.
    road.on_host("lb1", "expire", {})
    for server in SERVERS:
        production.allow(road.fleet, "lb1", server)
    assert not road.pending("lb1")
    assert road.status("lb1")["last"]["change"] == "went-wrong"
    assert road.live() == before


def test_a_rollback_decides_a_hold_too(busy):
    road = busy
    before = road.live()
    held(road, "no-thanks", timeout(43))
    said = road.rollback("-e", "undo=no-thanks")
    assert said.code == EXIT_OK, said.text
    assert road.live() == before
    assert not any(road.pending(host) for host in road.hosts)


def test_confirmed_by_stages_a_stage_is_kept_as_it_passes_and_all_go_back_when_a_later_one_does_not(
    busy,
):
    road = busy
    before = road.live()
    rules = {"canary_confirm": "stage"}
    # Nobody but lb2 is kept from the new server.
    production.forbid(road.fleet, "lb2", "web4")
    road.ready("by-stages", one_more_server)
    road.bind("by-stages", **rules)
    said = deployed(road, "by-stages", STAGE, STAGE, STAGE, **rules)
    assert said.code == EXIT_ROLLED_BACK, said.text
    assert said.changed("Confirm the release on the hosts that may keep it") == {"lb1"}
    hosts = road.outcome("by-stages")["hosts"]
    assert hosts == {"lb1": "reverted", "lb2": "reverted", "lb3": "untouched"}
    assert road.live() == before

    road.ready("all-stages", timeout(45))
    road.bind("all-stages", **rules)
    said = deployed(road, "all-stages", STAGE, STAGE, STAGE, **rules)
    assert said.code == EXIT_OK, said.text
    assert road.live() == dict.fromkeys(road.hosts, "all-stages")
    assert not any(road.pending(host) for host in road.hosts)


def test_a_deploy_that_is_told_of_other_stages_than_were_approved_touches_nothing(busy):
    road = busy
    road.ready("all-at-once", timeout(46))
    traces = road.traces()
    said = road.play("deploy", change="all-at-once", stages=AT_ONCE)
    assert said.code == EXIT_REFUSED, said.text
    assert "would not be the one that was approved" in said
    assert road.traces() == traces
