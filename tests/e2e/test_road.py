"""The whole road under traffic, as an operator goes it; each claim is checked on the hosts."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from e2e.helpers import APPROVER, ONE_THEN_ALL, Road, Said, timeout


@dataclass
class Journey:
    """What was said and seen on the way, by the step."""

    road: Road
    said: dict[str, Said] = field(default_factory=dict)
    live: dict[str, dict[str, str | None]] = field(default_factory=dict)
    process: dict[str, dict[str, str]] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)

    def step(self, name: str, said: Said) -> None:
        assert said.code == 0, said.text
        self.said[name] = said
        self.live[name] = self.road.live()
        self.process[name] = self.road.each(self.road.process)


@pytest.fixture(scope="module")
def journey(road):
    """Takeover by the whole pipeline in one command, a snapshot, a second change, and back."""
    road.forget()
    gone = Journey(road)
    gone.process["by hand"] = road.each(road.process)
    with road.traffic(rate=60) as totals:
        people = {"approver": APPROVER, "approver_key": str(road.fleet.person("approver"))}
        words = road.intent_words("takeover", road.intent())
        gone.step(
            "takeover",
            road.play("change", *words, stages=ONE_THEN_ALL, change="takeover", **people),
        )
        gone.step("snapshot", road.play("snapshot", snapshot="friday"))
        road.ready("second", timeout(45))
        gone.step("second", road.deploy("second", stages=ONE_THEN_ALL))
        gone.step("status", road.play("status"))
        gone.step("back", road.rollback("-e", "to=friday"))
        gone.totals = totals()
    return gone


def test_a_hand_made_configuration_is_taken_over_without_a_restart(journey):
    assert journey.live["takeover"] == dict.fromkeys(journey.road.hosts, "takeover")
    assert journey.process["takeover"] == journey.process["by hand"]


def test_nothing_on_the_road_restarts_a_balancer(journey):
    assert journey.process["back"] == journey.process["by hand"]


def test_no_request_fails_on_the_whole_road(journey):
    assert journey.totals["requests"] > 1000
    assert (journey.totals["failed"], journey.totals["reasons"]) == (0, {})


def test_the_pipeline_on_one_page_leaves_a_whole_chain_from_render_to_outcome(journey):
    road, folder = journey.road, journey.road.folder("takeover")
    assert road.outcome("takeover")["hosts"] == dict.fromkeys(road.hosts, "confirmed")
    assert [path.stem for path in folder.approvals.glob("*.json")] == [APPROVER]
    assert folder.stage_json(2).exists()
    assert (folder.path / "report.html").stat().st_size > 1000


def test_a_second_change_goes_over_the_first(journey):
    assert journey.live["second"] == dict.fromkeys(journey.road.hosts, "second")
    assert "second: confirmed" in journey.said["second"]


def test_status_shows_what_is_live_confirmed_and_loaded_on_each_host(journey):
    table = journey.said["status"].text.split("\nhost ")[1].splitlines()
    rows = {line.split()[0]: line.split() for line in table[1:]}
    for host, row in rows.items():
        release = journey.road.folder("second").manifest()["hosts"][host]["release"]
        assert row[1:] == [release[:12], "second", "confirmed", "as", "rendered", "loaded"]
    assert list(rows) == journey.road.hosts


def test_a_rollback_to_a_named_snapshot_brings_back_its_bytes(journey):
    road = journey.road
    assert journey.live["back"] == dict.fromkeys(road.hosts, "takeover")
    for host in road.hosts:
        live = road.shell(host, "cat /etc/haproxy/haproxy.cfg")
        assert live == (road.folder("takeover").bundle / host / "haproxy.cfg").read_text()


# A wrong change that no rehearsal can know: every client of the lab comes from one address.


def test_a_change_that_fails_on_the_canary_goes_back_alone_and_reaches_no_other_host(journey):
    road = journey.road
    before = road.live()
    others = road.untouched("lb2", "lb3")

    def hash_on_source(value):
        value["pools"][0]["algorithm"] = {"kind": "hash", "key": "source"}

    folder = road.ready("hash-on-source", hash_on_source)
    with road.traffic():
        said = road.deploy("hash-on-source")
    assert said.code == 11, said.text
    assert road.live() == before
    assert road.untouched("lb2", "lb3") == others
    outcome = road.outcome("hash-on-source")
    assert outcome["hosts"] == {"lb1": "reverted", "lb2": "untouched", "lb3": "untouched"}
    assert road.status("lb1")["last"]["change"] == "hash-on-source"
    assert "pool web" in said
    assert (folder.path / "report.html").stat().st_size > 1000
