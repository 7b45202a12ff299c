"""A deploy begins, or begins again after a crash, from what is on record and what hosts answer."""

from dataclasses import replace

import pytest
from unit.change.build import Sample, make_key, public_key, result
from unit.verbs.tasks import close_stage, run

from evenkeel.canary import hold as holds
from evenkeel.canary import plan as plans
from evenkeel.change import approval, rollout
from evenkeel.errors import EXIT_INCONCLUSIVE, Inconclusive, Refused, RolledBack
from evenkeel.verbs.preconditions import Deploy, open_deploy

HELD = {"canary_on_inconclusive": "hold", "canary_hold_seconds": 600}
BUILD = "0123456789abcdef"
LATER = {"from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "reason": "the sale"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("alice", "bob")}


@pytest.fixture
def approved(tmp_path, keys):
    """Gives an approved change whose rollout has these rules."""

    def approved(**rules):
        signers = tmp_path / "allowed_signers"
        signers.write_text("".join(f"{name} {public_key(key)}\n" for name, key in keys.items()))
        change = Sample(tmp_path / "changes", rollout=rules).rendered().rehearsed()
        approval.approve(change.folder, "bob", keys["bob"], signers)
        change.signers = signers
        return change

    return approved


def answers(change, **of_hosts):
    """What every host answers to `status`: its base, or `carrying` or `confirmed`."""
    said = {}
    for host in change.hosts:
        entry = change.folder.manifest()["hosts"][host]
        word = of_hosts.get(host)
        live = {
            "change": word and change.change_id,
            "release": entry["release" if word else "base"],
        }
        lease = {"change": change.change_id, "phase": "activated", "remaining_seconds": 300.0}
        said[host] = {
            "live": live | {"confirmed": word != "carrying"},
            "pending": lease if word == "carrying" else None,
            "build": BUILD,
        }
    return said


def deploy(change, said=None, **more):
    options = {
        "folder": change.folder,
        "hosts": change.hosts,
        "answers": said or answers(change),
        "allowed_signers": change.signers,
        "build": BUILD,
        "rollout": rollout.load(change.folder),
        "freeze_windows": [],
        "forks": 10,
        "person": "eve",
    }
    return Deploy(**options | more)


def answered(change, verb, *hosts, status="ok", **said):
    for host in hosts:
        value = {"host": host, "verb": verb, "status": status, "result": said}
        change.folder.write_json(f"hosts/{host}/{verb}.json", value)


def stage_saw(change, number, verdict="pass"):
    """Let a stage activate its hosts and see something, and close it; gives how it was closed."""
    stage = plans.load(change.folder).stage(number)
    answered(change, "activate", *stage.hosts, outcome="activated")
    for host in change.hosts:
        role = "canary" if host in stage.hosts else "control"
        role = "carrier" if host in stage.carriers else role
        change.saw(number, result(host, role, verdict=verdict if role == "canary" else "pass"))
    held = rollout.load(change.folder).canary_on_inconclusive == "hold"
    leased = [*stage.carriers, *stage.hosts]
    return close_stage(change.folder, number, leased if held else None)


def began(change):
    """Let a deploy begin and its first stage open."""
    part = open_deploy(deploy(change), write=True)
    answered(change, "prepare", *change.hosts)
    run(change.folder, "open_stage", stage=1)
    return part


def held(change, number=1):
    """Let stage 1 end without a clear verdict, and be held."""
    began(change)
    stage_saw(change, number, "inconclusive")
    answered(change, "renew", "lb1", remaining_seconds=600.0)
    return run(change.folder, "hold", stage={"number": number, "leased": ["lb1"]})


def test_the_plan_follows_the_order_that_was_approved_and_not_that_of_the_inventory(approved):
    change = approved()
    part = open_deploy(deploy(change, hosts=("lb3", "lb1", "lb2")), write=True)
    assert [row["hosts"] for row in part["stages"]] == [["lb1"], ["lb2", "lb3"]]


@pytest.mark.parametrize(
    "weaker",
    [
        {"canary_stages": ({"hosts": "100%"},)},
        {"canary_on_inconclusive": "hold"},
        {"canary_confirm": "stage"},
    ],
)
def test_a_deploy_that_is_told_of_another_rollout_than_was_approved_is_refused(approved, weaker):
    change = approved()
    wanted = replace(rollout.load(change.folder), **weaker)
    with pytest.raises(Refused, match="would not be the one that was approved"):
        open_deploy(deploy(change, rollout=wanted), write=True)
    assert not change.folder.plan_json.exists()


def test_a_rollout_that_was_altered_after_the_approval_makes_it_void(approved):
    change = approved()
    change.folder.write_json(rollout.FILE, replace(rollout.load(change.folder), **HELD).as_dict())
    with pytest.raises(Refused, match=r"rollout\.json moved"):
        open_deploy(deploy(change), write=True)


def test_as_many_approvals_as_were_bound_are_needed_whatever_the_inventory_says(approved):
    change = approved(approvals_required=2)
    with pytest.raises(Refused, match="1 of 2 approvals"):
        open_deploy(deploy(change), write=True)
    with pytest.raises(Refused, match="1 of 2 approvals"):
        once = approved()
        wanted = replace(rollout.load(once.folder), approvals_required=2)
        open_deploy(deploy(once, rollout=wanted), write=True)


def test_a_deploy_that_was_killed_begins_anew_without_what_its_attempt_left(approved):
    change = approved()
    began(change)
    stage_saw(change, 1)
    answered(change, "activate", "lb2", outcome="activated")
    part = open_deploy(deploy(change, answers(change, lb1="carrying")), write=True)
    assert [row["number"] for row in part["stages"]] == [1, 2]
    assert part["prepare"] and part["confirm"]
    assert not list(change.path.glob("hosts/*/activate.json"))
    answered(change, "prepare", *change.hosts)
    run(change.folder, "open_stage", stage=1)
    assert not change.folder.stage_json(1).exists()


def test_a_deploy_that_was_killed_between_two_confirms_renews_nobody_who_confirmed(approved):
    change = approved()
    began(change)
    stage_saw(change, 1)
    stage_saw(change, 2)
    said = answers(change, lb1="confirmed", lb2="carrying", lb3="carrying")
    part = open_deploy(deploy(change, said), write=True)
    assert [row["leased"] for row in part["stages"]] == [[], ["lb2", "lb3"]]
    assert part["leased"] == ["lb2", "lb3"]


@pytest.mark.parametrize("build", ["fedcba9876543210", None])
def test_a_host_with_another_program_than_this_controller_s_is_named(approved, build):
    change = approved()
    said = answers(change)
    said["lb2"]["build"] = build
    with pytest.raises(Refused, match=f"lb2: wanted build {BUILD}; got .+\n.+install.yml"):
        open_deploy(deploy(change, said), write=True)
    assert not change.folder.plan_json.exists()


@pytest.mark.parametrize("build", [7, ["x"], f"{BUILD}0", "x\n  next:   nothing", "b" * 100_000])
def test_whatever_a_host_says_of_its_build_is_one_short_line_that_is_not_the_one(approved, build):
    change = approved()
    said = answers(change)
    said["lb2"]["build"] = build
    with pytest.raises(Refused) as refused:
        open_deploy(deploy(change, said), write=True)
    lines = str(refused.value).splitlines()
    assert [line for line in lines if line.startswith("  next:")] == [lines[-1]]
    assert all(len(line) < 120 for line in lines)


def test_a_host_that_carries_the_change_is_not_told_to_install(approved):
    change = approved()
    said = answers(change, lb1="carrying")
    said["lb1"]["build"] = None
    with pytest.raises(Refused, match=r"the checkout that began it, .+scripts/rollback"):
        open_deploy(deploy(change, said), write=True)


@pytest.mark.parametrize("way", [{"only": "2"}, {"start_at": "2"}])
def test_no_stage_begins_on_hosts_with_another_program(approved, way):
    change = approved(**HELD)
    held(change)
    said = answers(change, lb1="carrying")
    said["lb3"]["build"] = ""
    with pytest.raises(Refused, match=r"lb3: wanted build .+; got files that it cannot read"):
        open_deploy(deploy(change, said, **way), write=True)


def test_what_was_watched_is_confirmed_whatever_program_the_hosts_have_now(approved):
    change = approved()
    began(change)
    for number in (1, 2):
        stage_saw(change, number)
    said = answers(change, lb1="carrying", lb2="carrying", lb3="carrying")
    for answer in said.values():
        del answer["build"]
    assert open_deploy(deploy(change, said, only="confirm"), write=True)["confirm"]


def test_a_deploy_that_was_killed_is_held_to_the_plan_that_it_began_with(approved):
    change = approved()
    began(change)
    stage_saw(change, 1)
    with pytest.raises(Refused, match="middle of a deploy"):
        open_deploy(deploy(change, hosts=("lb1", "lb2")), write=True)


def test_the_lease_is_the_approved_one_and_never_too_short_for_a_part_alone(approved):
    change = approved(canary_lease_seconds=15)
    assert open_deploy(deploy(change), write=False)["stages"][0]["lease_seconds"] == 15
    part = open_deploy(deploy(change, only="1"), write=False)
    assert part["stages"][0]["lease_seconds"] == 60


def test_a_part_alone_goes_on_from_the_record_before_it_and_from_no_other(approved):
    change = approved()
    began(change)
    with pytest.raises(Refused, match=r"canary/1\.json|is missing"):
        run(change.folder, "open_stage", stage=2)
    stage_saw(change, 1)
    said = answers(change, lb1="carrying")
    part = open_deploy(deploy(change, said, only="2"), write=True)
    assert [row["number"] for row in part["stages"]] == [2]
    assert run(change.folder, "open_stage", stage=2) == {"changed": False}
    with pytest.raises(Refused):
        open_deploy(deploy(change, said, only="confirm"), write=True)


def test_a_decided_deploy_is_not_begun_again(approved):
    change = approved()
    began(change)
    with pytest.raises(RolledBack):
        stage_saw(change, 1, "fail")
    answered(change, "rollback", "lb1", outcome="reverted")
    run(change.folder, "outcome")
    with pytest.raises(Refused, match="decided already"):
        open_deploy(deploy(change), write=True)


def test_without_a_clear_verdict_a_change_goes_back_unless_it_may_be_held(approved):
    change = approved()
    began(change)
    with pytest.raises(Inconclusive):
        stage_saw(change, 1, "inconclusive")


def test_a_held_stage_ends_the_run_with_its_own_exit_code_and_says_what_to_do(approved):
    change = approved(**HELD)
    said = held(change)
    assert said["evenkeel"]["exit_code"] == EXIT_INCONCLUSIVE
    recap = said["evenkeel"]["recap"]
    assert "lb1   held       goes back in 600 s unless you decide" in recap
    assert "lb2   untouched" in recap
    assert "-e canary_start_at=2" in recap
    assert f"scripts/rollback -e undo={change.change_id}" in recap
    assert not change.folder.outcome_json.exists()
    assert "held" in (change.path / "report.html").read_text()


def test_a_stage_that_failed_is_never_held(approved):
    change = approved(**HELD)
    began(change)
    with pytest.raises(RolledBack):
        stage_saw(change, 1, "fail")


def test_a_stage_that_passed_is_not_held(approved):
    change = approved(**HELD)
    began(change)
    assert not stage_saw(change, 1)["held"]


def test_what_a_host_renewed_before_is_not_taken_for_the_lease_of_the_hold(approved):
    change = approved(**HELD)
    began(change)
    answered(change, "renew", "lb1", remaining_seconds=60.0)
    stage_saw(change, 1, "no_data")
    with pytest.raises(Inconclusive, match="cannot be held"):
        run(change.folder, "hold", stage={"number": 1, "leased": ["lb1"]})


def test_a_held_deploy_goes_on_to_its_end_from_its_records(approved):
    change = approved(**HELD)
    held(change)
    said = answers(change, lb1="carrying")
    part = open_deploy(deploy(change, said, start_at="2"), write=True)
    assert [row["number"] for row in part["stages"]] == [2]
    assert not part["prepare"] and part["confirm"]
    run(change.folder, "open_stage", stage=2)
    assert stage_saw(change, 2)["verdict"] == "pass"
    record = change.folder.stage_json(2).read_text()
    assert '"let_go_on":{"person":"eve"' in record
    answered(change, "confirm", *change.hosts)
    assert run(change.folder, "outcome")["outcome"] == "confirmed"


def test_what_fails_after_a_hold_is_no_want_of_data(approved):
    change = approved(**HELD)
    held(change)
    open_deploy(deploy(change, answers(change, lb1="carrying"), start_at="2"), write=True)
    answered(change, "rollback", "lb1", "lb2", "lb3", outcome="reverted")
    assert run(change.folder, "outcome")["outcome"] == "rolled_back"


def test_a_held_deploy_does_not_go_on_into_a_freeze(approved):
    change = approved(**HELD)
    held(change)
    said = answers(change, lb1="carrying")
    with pytest.raises(Refused, match="frozen"):
        open_deploy(deploy(change, said, start_at="2", freeze_windows=[LATER]), write=True)


def test_a_held_deploy_whose_leases_ran_out_begins_at_its_first_stage_or_not_at_all(approved):
    change = approved(**HELD)
    held(change)
    with pytest.raises(Refused, match="The hold of"):
        open_deploy(deploy(change, start_at="2"), write=True)
    part = open_deploy(deploy(change), write=True)
    assert [row["number"] for row in part["stages"]] == [1, 2]
    answered(change, "prepare", *change.hosts)
    run(change.folder, "open_stage", stage=1)
    assert holds.open_hold(change.folder) is None
    assert not holds.hold_path(change.folder, 1).exists()


def test_one_part_and_a_part_to_go_on_with_are_not_both_taken(approved):
    with pytest.raises(Refused, match="two are named"):
        open_deploy(deploy(approved(), only="1", start_at="2"), write=True)


def test_confirmed_by_stages_a_later_failure_takes_confirmed_hosts_back_too(approved):
    change = approved(canary_confirm="stage")
    part = began(change)
    assert [row["leased"] for row in part["stages"]] == [["lb1"], ["lb2", "lb3"]]
    stage_saw(change, 1)
    answered(change, "confirm", "lb1")
    assert run(change.folder, "require_confirmed", hosts=["lb1"]) == {"changed": False}
    run(change.folder, "open_stage", stage=2)
    with pytest.raises(RolledBack):
        stage_saw(change, 2, "fail")
    answered(change, "rollback", *change.hosts, outcome="reverted")
    assert run(change.folder, "outcome")["outcome"] == "rolled_back"


def test_confirmed_by_stages_a_host_that_stays_confirmed_leaves_the_fleet_in_two_states(approved):
    change = approved(canary_confirm="stage")
    began(change)
    stage_saw(change, 1)
    answered(change, "confirm", "lb1")
    with pytest.raises(RolledBack):
        stage_saw(change, 2, "fail")
    answered(change, "rollback", "lb2", "lb3", outcome="reverted")
    said = run(change.folder, "outcome")
    assert (said["outcome"], said["evenkeel"]["exit_code"]) == ("split", 14)


@pytest.mark.parametrize("status", [None, "failed"])
def test_confirmed_by_stages_nothing_goes_on_while_a_host_of_the_stage_did_not_confirm(
    approved, status
):
    change = approved(canary_confirm="stage")
    began(change)
    if status:
        answered(change, "confirm", "lb1", status=status)
    with pytest.raises(RolledBack, match="Not every host of the stage confirmed"):
        run(change.folder, "require_confirmed", hosts=["lb1"])


def test_the_preconditions_alone_write_nothing_in_check_mode(approved):
    change = approved(**HELD)
    open_deploy(deploy(change), write=False)
    assert not (change.path / "canary").exists()


def test_what_is_carried_out_is_what_was_signed_for_whatever_lies_there_by_then(
    approved, monkeypatch
):
    change = approved()
    signed = change.folder.digest()

    def swapped(*words, verify=approval.verify, **more):
        given = verify(*words, **more)
        change.rendered(b"backend app\n    server web1 10.0.0.9:80\n")
        return given

    monkeypatch.setattr(approval, "verify", swapped)
    assert open_deploy(deploy(change), write=False)["digest"] == signed != change.folder.digest()
