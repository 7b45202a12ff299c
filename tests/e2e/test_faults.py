"""The fast part of `scripts/faults`, each fault as the claim that it proves.

See docs/explanation/faults.md.
"""

from __future__ import annotations

import pytest
from evenkeel_proof import lab
from evenkeel_proof.commands.faults import bring_up
from evenkeel_proof.fault_injection import crash, reloads, silence, under_traffic
from evenkeel_proof.fault_injection.tally import Tally

from evenkeel.containers.names import lab_name


@pytest.fixture(scope="module")
def host():
    """One balancer in a lab of its own, hurt by one test after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_LAB", f"{lab_name().removesuffix('-e2e')[:33]}-faults")
        try:
            yield bring_up("haproxy")
        finally:
            lab.stop()


@pytest.fixture
def tally():
    return Tally()


def demand_none_stranded(tally):
    assert tally.ended and not tally.stranded, [vars(ended) for ended in tally.stranded]


def only(monkeypatch, part, name):
    monkeypatch.setattr(part, "FAST", (name,))


def test_killed_after_any_step_of_activate_or_before_any_of_confirm_the_host_is_whole(host, tally):
    crash.run(host, tally, fast=True)
    demand_none_stranded(tally)
    assert tally.points == len(tally.ended) >= 12


@pytest.mark.parametrize(
    "name", ["controller killed", "network cut", "session cut in observe", "power cut"]
)
def test_a_host_without_its_controller_goes_back_by_itself_and_says_so(
    host, tally, monkeypatch, name
):
    only(monkeypatch, silence, name)
    silence.run(host, tally, fast=True)
    demand_none_stranded(tally)
    assert tally.ended[0].outcome == "went back"


@pytest.mark.parametrize(
    "name",
    [
        "reload accepted, worker unchanged",
        "worker dies later, seen by observe",
        "worker dies later, seen by confirm",
        "port taken",
        "certificate missing",
        "reload slower than its limit",
    ],
)
def test_a_reload_that_is_not_what_it_seems_is_named_and_taken_back(host, tally, monkeypatch, name):
    only(monkeypatch, reloads, name)
    reloads.run(host, tally, fast=True)
    demand_none_stranded(tally)
    assert tally.ended[0].outcome == "went back" and tally.ended[0].detail


def test_a_reload_on_top_of_many_old_workers_is_refused(host, tally, monkeypatch):
    only(monkeypatch, reloads, "old workers pile up")
    reloads.run(host, tally, fast=True)
    demand_none_stranded(tally)
    assert tally.ended[0].outcome == "refused"


def test_no_request_is_lost_and_a_drained_server_gets_none_while_the_host_switches(host, tally):
    under_traffic.run(host, tally, fast=True)
    demand_none_stranded(tally)
    assert tally.traffic["requests"] >= under_traffic.FAST_REQUESTS
    assert tally.traffic["lost"] == 0, tally.traffic["reasons"]
    assert tally.traffic["drained"] == 0
