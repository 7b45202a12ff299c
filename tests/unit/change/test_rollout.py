from dataclasses import replace

import pytest
from unit.change.build import Sample

from evenkeel.change.rollout import Place, Rollout, check, load, require_same
from evenkeel.errors import Problems, Refused

PLACES = (Place("lb2", "standby", "ams"), Place("lb1", "active", "ams"), Place("lb3"))
STAGES = ({"hosts": 1, "bake_seconds": 30}, {"hosts": "100%"})
PROBE = {"listener": "shop", "path": "/", "host": "shop.example", "requests_per_second": 5}
BOUND = Rollout(PLACES, STAGES, 2, "stage", "hold", 300, 30, PROBE)


@pytest.fixture
def folder(tmp_path):
    folder = Sample(tmp_path).rendered().folder
    folder.write_json("rollout.json", BOUND.as_dict())
    return folder


def test_what_is_written_is_read_back_the_same(folder):
    assert load(folder) == BOUND
    assert require_same(folder, BOUND) == BOUND


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"canary_stages": ({"hosts": 3},)}, ["canary_stages"]),
        (
            {"canary_stages": ({"hosts": 1, "bake_seconds": 5}, {"hosts": "100%"})},
            ["canary_stages"],
        ),
        ({"canary_confirm": "change"}, ["canary_confirm"]),
        ({"canary_on_inconclusive": "revert"}, ["canary_on_inconclusive"]),
        ({"canary_hold_seconds": 3000}, ["canary_hold_seconds"]),
        ({"approvals_required": 1}, ["approvals_required"]),
        ({"canary_lease_seconds": 600}, ["canary_lease_seconds"]),
        ({"canary_probe": None}, ["canary_probe"]),
        ({"canary_probe": {**PROBE, "requests_per_second": 50}}, ["canary_probe"]),
        ({"places": (Place("lb2", "active", "ams"),)}, ["lb2: balancer_ha_role"]),
        ({"places": (Place("lb2", "standby", "fra"),)}, ["lb2: balancer_zone"]),
        (
            {"canary_confirm": "change", "approvals_required": 1},
            ["canary_confirm", "approvals_required"],
        ),
    ],
)
def test_another_rollout_than_the_approved_one_is_refused_by_name(folder, change, names):
    with pytest.raises(Problems, match="would not be the one that was approved") as refused:
        require_same(folder, replace(BOUND, **change))
    assert [problem.path for problem in refused.value.problems] == names
    assert refused.value.exit_code == 10


def test_more_approvals_than_were_bound_may_be_demanded(folder):
    assert require_same(folder, replace(BOUND, approvals_required=3)).approvals_required == 2


def test_how_long_a_hold_lasts_does_not_matter_to_a_change_that_is_never_held(folder):
    folder.write_json("rollout.json", replace(BOUND, canary_on_inconclusive="revert").as_dict())
    wanted = replace(BOUND, canary_on_inconclusive="revert", canary_hold_seconds=99)
    assert require_same(folder, wanted).canary_hold_seconds == 300


def test_hosts_that_the_deploy_leaves_out_do_not_matter(folder):
    assert require_same(folder, replace(BOUND, places=PLACES[:1])).hosts == ("lb2", "lb1", "lb3")


def test_every_value_without_a_meaning_is_told_at_once():
    wrong = Rollout(
        (Place("lb1", "master"), Place("lb2", zone="a\nb")),
        *((), 0, "later", "ask", True, 5),
        {"listener": "a\r\nb", "path": "shop", "host": "x", "requests_per_second": 51, "port": 1},
    )
    with pytest.raises(Problems) as caught:
        check(wrong)
    assert [problem.path for problem in caught.value.problems] == [
        "canary_confirm",
        "canary_on_inconclusive",
        "canary_hold_seconds",
        "approvals_required",
        "canary_lease_seconds",
        "lb1: balancer_ha_role",
        "lb2: balancer_zone",
        "canary_probe.port",
        "canary_probe.listener",
        "canary_probe.path",
        "canary_probe.requests_per_second",
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"places":[{}]}', '{"places":[],"canary_stages":[],"more":1}', "nope"]
)
def test_a_damaged_rollout_is_refused_without_a_traceback(folder, text):
    (folder.path / "rollout.json").write_text(text)
    with pytest.raises(Refused, match="rollout"):
        load(folder)


def test_a_change_without_a_rollout_is_rendered_again(folder):
    (folder.path / "rollout.json").unlink()
    with pytest.raises(Refused, match="missing") as refused:
        require_same(folder, BOUND)
    assert "render.yml" in refused.value.next_step
