import pytest
from unit.host.fakes import FIRST, SECOND, THIRD, Host, digest


def damage(host: Host, data: bytes) -> None:
    (host.root / "releases" / digest(data) / "fake.cfg").write_bytes(b"damaged")


def test_a_pending_change_goes_back_to_the_last_confirmed_state(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.deploy("c2", THIRD, confirm=False)
    answer = host.must("rollback")
    assert (answer["outcome"], answer["to"]) == ("reverted", digest(SECOND))
    assert host.live() == host.driver.running() == SECOND


def test_without_a_pending_change_it_goes_one_generation_back(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.deploy("c2", THIRD)
    assert host.must("rollback")["to"] == digest(SECOND)
    assert host.must("rollback")["to"] == digest(FIRST)
    code, answer = host.program("rollback")
    assert code == 10 and "nothing to go back to" in answer["error"]["what"]
    assert host.live() == host.driver.running() == FIRST


def test_undoing_a_change_twice_undoes_it_once(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.deploy("c2", THIRD)
    assert host.must("rollback", "--undo", "c2")["changed"]
    again = host.must("rollback", "--undo", "c2")
    assert (again["changed"], again["outcome"]) == (False, "untouched")
    assert host.live() == SECOND


def test_undoing_a_change_leaves_another_pending_one(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.deploy("c2", THIRD, confirm=False)
    assert host.must("rollback", "--undo", "c1")["outcome"] == "untouched"
    assert host.live() == THIRD


def test_goes_to_a_named_snapshot(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.must("snapshot", "--name", "friday")
    host.deploy("c2", THIRD)
    assert host.must("rollback", "--to", "friday")["to"] == digest(SECOND)
    assert host.status()["live"]["change"] == "c1"
    assert host.driver.running() == SECOND


def test_goes_to_a_release_that_was_confirmed_once(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.deploy("c2", THIRD)
    assert host.must("rollback", "--to", digest(FIRST))["to"] == digest(FIRST)


def test_going_to_what_is_confirmed_and_loaded_touches_nothing(host: Host) -> None:
    host.deploy("c1", SECOND)
    before = host.driver.loaded()
    answer = host.must("rollback", "--to", digest(SECOND))
    assert (answer["outcome"], answer["changed"]) == ("untouched", False)
    assert host.driver.loaded() == before


def test_going_to_what_is_live_but_not_loaded_loads_it(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.driver.run_with(FIRST)
    assert host.must("rollback", "--to", digest(SECOND))["changed"]
    assert host.driver.running() == SECOND


def test_a_release_that_was_never_confirmed_is_nothing_to_go_back_to(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.prepare("c2", THIRD)
    code, answer = host.program("rollback", "--to", digest(THIRD))
    assert code == 10 and "never confirmed" in answer["error"]["what"]


def test_a_snapshot_of_an_unconfirmed_change_is_nothing_to_go_back_to(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.must("snapshot", "--name", "early")
    host.must("rollback")
    assert host.program("rollback", "--to", "early")[0] == 10
    assert host.live() == FIRST


def test_a_damaged_snapshot_is_refused_and_the_next_good_state_offered(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.must("snapshot", "--name", "friday")
    host.deploy("c2", THIRD)
    (host.root / "snapshots" / "friday" / "files" / "fake.cfg").write_bytes(b"x")
    code, answer = host.program("rollback", "--to", "friday")
    assert code == 10 and "damaged" in answer["error"]["what"]
    assert answer["error"]["next_step"] == f"rollback --to {digest(SECOND)}"
    assert host.live() == THIRD
    host.must(*answer["error"]["next_step"].split())
    assert host.driver.running() == SECOND


def test_a_damaged_release_is_mended_from_its_snapshot(host: Host) -> None:
    host.deploy("c1", SECOND)
    damage(host, FIRST)
    assert host.must("rollback")["to"] == digest(FIRST)
    assert host.live() == host.driver.running() == FIRST


def test_a_revert_whose_goal_is_lost_takes_the_next_good_generation(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.deploy("c2", THIRD, confirm=False)
    damage(host, SECOND)
    for name in ("before-c2", "confirmed-c1"):
        (host.root / "snapshots" / name / "files" / "fake.cfg").write_bytes(b"x")
    host.clock.moved += 61
    assert host.must("expire")["to"] == digest(FIRST)
    assert host.driver.running() == FIRST


def test_a_rollback_that_cannot_be_loaded_keeps_what_was_confirmed(host: Host) -> None:
    from evenkeel.host.errors import BalancerError

    host.deploy("c1", SECOND)
    reload = host.driver.reload

    def picky(timeout: float) -> dict:
        if host.live() == FIRST:
            raise BalancerError("not this one")
        return reload(timeout)

    host.driver.reload = picky
    code, answer = host.program("rollback")
    assert (code, answer["outcome"]) == (12, "failed")
    assert host.live() == host.driver.running() == SECOND
    status = host.status()
    assert status["pending"] is None and status["live"]["confirmed"]


def test_an_edit_by_hand_is_kept_as_a_release_when_it_is_rolled_back(host: Host) -> None:
    host.deploy("c1", SECOND)
    edited = SECOND + b"web z\n"
    host.driver.native.write_bytes(edited)
    host.must("rollback")
    assert host.live() == FIRST
    assert (host.root / "releases" / digest(edited) / "fake.cfg").read_bytes() == edited


def test_at_boot_what_is_unconfirmed_goes_back_on_disk_before_the_balancer_starts(
    host: Host,
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.driver.die()
    host.clock.boot = "boot-2"
    host.must("recover", "--boot")
    assert host.live() == FIRST
    with pytest.raises(Exception, match="does not run"):
        host.driver.loaded()
    host.clock.moved += 1
    host.driver.spawn()
    assert host.status()["running"]["agrees"]
    assert not host.must("recover", "--boot")["changed"]


def test_at_boot_what_is_confirmed_stays(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.clock.boot = "boot-2"
    assert not host.must("recover", "--boot")["changed"]
    assert host.live() == SECOND


def test_recover_arms_a_lost_timer_again(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.units.armed.clear()
    host.must("recover")
    assert len(host.units.armed) == 1 and host.live() == SECOND


def test_a_journal_that_cannot_be_read_is_never_guessed(host: Host) -> None:
    host.deploy("c1", SECOND)
    (host.root / "journal").write_bytes(b"{")
    code, answer = host.program("rollback")
    assert code == 12 and host.live() == SECOND and answer["error"]["next_step"]
