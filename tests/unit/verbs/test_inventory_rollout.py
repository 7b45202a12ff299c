"""What inventory and -e ask for is read the same way by render and by deploy."""

import pytest

from evenkeel.canary.plan import DEFAULT_STAGES
from evenkeel.change.rollout import DEFAULT_HOLD_SECONDS, Rollout
from evenkeel.errors import Problems
from evenkeel.verbs.inventory import freezes, from_inventory


def rollout(*variables, **of_all) -> Rollout:
    hosts = {f"lb{n}": {**of_all, **more} for n, more in enumerate(variables or ({},), 1)}
    return from_inventory(list(hosts), hosts)


def test_an_inventory_that_says_nothing_gets_the_careful_defaults():
    found = rollout({}, {})
    assert found.hosts == ("lb1", "lb2")
    assert found.canary_stages == DEFAULT_STAGES
    assert (found.approvals_required, found.canary_confirm) == (1, "change")
    assert (found.canary_on_inconclusive, found.canary_hold_seconds) == (
        "revert",
        DEFAULT_HOLD_SECONDS,
    )


def test_hosts_come_in_the_order_of_the_rollout():
    found = rollout({}, {"balancer_ha_role": "standby", "balancer_zone": 7})
    assert found.hosts == ("lb2", "lb1")
    assert found.places[0].zone == "7"


def test_numbers_that_came_as_text_are_numbers():
    found = rollout(approvals_required="2", canary_hold_seconds="90")
    assert (found.approvals_required, found.canary_hold_seconds) == (2, 90)


@pytest.mark.parametrize(
    ("name", "values", "decides"),
    [
        ("canary_on_inconclusive", ("hold", "revert", "hold"), "revert"),
        ("canary_on_inconclusive", ("hold", None, "hold"), "revert"),
        ("canary_confirm", ("stage", "change", "stage"), "change"),
        ("canary_hold_seconds", (900, 300, 600), 300),
        ("approvals_required", (1, 2, 1), 2),
        ("canary_lease_seconds", (60, 15, 30), 15),
    ],
)
def test_where_hosts_differ_the_more_careful_value_decides(name, values, decides):
    assert getattr(rollout(*({name: value} for value in values)), name) == decides


@pytest.mark.parametrize(
    "variables",
    [
        {"canary_on_inconclusive": "ask"},
        {"canary_confirm": ["stage"]},
        {"canary_hold_seconds": 5},
        {"canary_hold_seconds": "long"},
        {"approvals_required": 0},
        {"balancer_ha_role": "master"},
        {"canary_stages": "all"},
        {"canary_stages": [{"hosts": 0}]},
    ],
)
def test_a_value_without_a_meaning_is_a_fault_that_names_it(variables):
    with pytest.raises(Problems, match=next(iter(variables))):
        rollout({}, variables, **variables)


def test_hosts_of_one_change_have_one_probe():
    assert rollout({}, {}).canary_probe is None
    probe = {"listener": "web", "path": "/health"}
    same = rollout(canary_probe=probe).canary_probe
    assert same == {**probe, "host": "localhost", "requests_per_second": 5}
    with pytest.raises(Problems, match="agree on a probe"):
        rollout({"canary_probe": probe}, {})


def test_a_freeze_of_any_host_of_the_change_counts_once():
    sale = {"from": "2026-11-27T00:00Z", "to": "2026-11-30T00:00Z", "reason": "the sale"}
    move = {**sale, "reason": "the move"}
    hosts = {
        "lb1": {},
        "lb2": {"freeze_windows": [sale]},
        "lb3": {"freeze_windows": [move, dict(sale)]},
    }
    assert freezes(list(hosts), hosts) == [sale, move]
    assert freezes(["lb1"], hosts) == []
    assert freezes(["lb1", "lb4"], {**hosts, "lb4": {"freeze_windows": "soon"}}) == "soon"
