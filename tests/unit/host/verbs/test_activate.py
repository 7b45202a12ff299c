import pytest
from unit.host.fakes import FIRST, SECOND, THIRD, UNLOADABLE, Host, digest


def test_takes_a_host_over_and_switches_it(host: Host) -> None:
    host.prepare("c1", SECOND)
    code, answer = host.activate("c1", SECOND)
    assert code == 0 and answer["from"] == digest(FIRST) and answer["proof"]["reloaded"]
    assert host.live() == host.driver.running() == SECOND
    assert host.driver.native.is_symlink()
    status = host.status()
    assert status["generations"][0]["release"] == digest(FIRST)
    assert status["live"] == {
        "release": digest(SECOND),
        "change": "c1",
        "confirmed": False,
        "adopted": True,
    }


def test_taking_over_with_the_same_bytes_reloads_nothing(host: Host) -> None:
    before = host.driver.loaded()
    host.prepare("c1", FIRST)
    code, answer = host.activate("c1", FIRST)
    assert code == 0 and not answer["changed"] and host.driver.loaded() == before
    assert host.must("confirm", "--change", "c1")["generation"] == 1


def test_arms_the_timer_before_it_flips(host: Host) -> None:
    from unit.host.fakes import Recorded

    host.prepare("c1", SECOND)
    steps = Recorded()
    host.program(*host.activate_words("c1", SECOND), steps=steps)
    names = [name for name in steps.names if not name.endswith((": write", ": link"))]
    order = ["journal started: rename", "timer: arm", "way back: rename", "live: rename",
             "balancer: reload", "journal activated: rename"]  # fmt: skip
    assert names[-len(order) :] == order
    assert len(host.units.armed) == 1


def test_only_confirm_earns_a_generation_and_disarms(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    assert [g["change"] for g in host.status()["generations"]] == [None]
    host.must("confirm", "--change", "c1")
    assert [g["change"] for g in host.status()["generations"]] == [None, "c1"]
    assert host.units.armed == {}


def test_refuses_while_another_change_is_pending_and_names_it(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.prepare("c2", THIRD)
    code, answer = host.activate("c2", THIRD)
    assert code == 10 and "c1" in answer["error"]["what"] and host.live() == SECOND


def test_refuses_when_live_is_not_the_base(host: Host) -> None:
    host.prepare("c1", SECOND)
    code, answer = host.activate("c1", SECOND, "--base", digest(THIRD))
    assert code == 10 and host.live() == FIRST and not host.driver.native.is_symlink()
    assert host.units.armed == {}
    code, answer = host.activate("c1", SECOND, "--base", digest(FIRST))
    assert code == 0, answer


def test_a_base_that_another_change_has_moved_is_refused_with_that_changes_name(host: Host) -> None:
    host.deploy("faster", SECOND)
    host.prepare("slower", THIRD)
    code, answer = host.activate("slower", THIRD, "--base", digest(FIRST))
    assert (code, answer["outcome"]) == (10, "untouched")
    assert answer["error"]["got"] == f"release {digest(SECOND)[:12]}, of change faster"


def test_refuses_a_release_that_was_not_prepared(host: Host) -> None:
    code, answer = host.activate("c1", SECOND)
    assert code == 10 and "not ready" in answer["error"]["what"]


def test_refuses_a_release_that_was_damaged_after_it_was_prepared(host: Host) -> None:
    host.prepare("c1", SECOND)
    (host.root / "releases" / digest(SECOND) / "fake.cfg").write_bytes(SECOND + b"web z\n")
    assert host.activate("c1", SECOND)[0] == 10
    assert host.live() == FIRST


def test_a_release_that_cannot_be_loaded_goes_back_by_itself(host: Host) -> None:
    host.prepare("c1", UNLOADABLE)
    code, answer = host.activate("c1", UNLOADABLE)
    assert (code, answer["outcome"]) == (11, "reverted")
    assert answer["error"]["got"] == "cannot load it"
    assert host.live() == host.driver.running() == FIRST
    assert host.status()["pending"] is None and host.units.armed == {}


def test_a_balancer_that_claims_to_have_reloaded_is_not_believed(host: Host) -> None:
    host.prepare("c1", SECOND)
    loaded = host.driver._identity
    host.driver.reload = lambda timeout: loaded()
    code, answer = host.activate("c1", SECOND)
    assert code in (11, 12) and "not replaced" in answer["error"]["got"]
    assert host.live() == FIRST


def test_without_a_timer_nothing_is_flipped(host: Host) -> None:
    host.prepare("c1", SECOND)
    host.units.failing = True
    code, _ = host.activate("c1", SECOND)
    assert code == 10 and host.live() == FIRST and host.status()["pending"] is None


def test_refuses_when_the_balancer_does_not_run(host: Host) -> None:
    host.prepare("c1", SECOND)
    host.driver.die()
    code, answer = host.activate("c1", SECOND)
    assert code == 10 and host.live() == FIRST and "does not run" in answer["error"]["got"]


def test_repeating_it_changes_nothing_and_renews_the_lease(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    worker = host.driver.loaded()
    host.clock.moved += 50
    code, answer = host.activate("c1", SECOND)
    assert code == 0 and not answer["changed"] and answer["lease_deadline_seconds"] > 50
    assert host.driver.loaded() == worker


def test_what_is_confirmed_already_stays(host: Host) -> None:
    host.deploy("c1", SECOND)
    code, answer = host.activate("c1", SECOND)
    assert code == 0 and not answer["changed"] and host.status()["pending"] is None


def test_runtime_state_survives(host: Host) -> None:
    host.driver.drain("web", "a")
    host.deploy("c1", SECOND, confirm=False)
    assert host.driver.runtime_state() == {"web": {"a": {"state": "drain"}}}
    host.must("rollback")
    assert host.driver.runtime_state() == {"web": {"a": {"state": "drain"}}}


def test_an_edit_by_hand_is_kept_as_a_generation(host: Host) -> None:
    host.deploy("c1", SECOND)
    edited = SECOND + b"web z\n"
    host.driver.native.write_bytes(edited)
    host.clock.moved += 1
    host.driver.spawn()
    assert host.status()["drift"]
    host.prepare("c2", THIRD)
    assert host.activate("c2", THIRD, "--base", digest(SECOND))[0] == 10
    code, answer = host.activate("c2", THIRD, "--base", digest(edited))
    assert code == 0 and answer["from"] == digest(edited)
    host.must("rollback")
    assert host.live() == edited


def test_files_that_were_never_loaded_are_not_taken_over(host: Host) -> None:
    host.clock.moved -= 2
    host.driver.spawn()
    host.clock.moved += 2
    host.prepare("c1", SECOND)
    code, answer = host.activate("c1", SECOND)
    assert code == 10 and "changed after" in answer["error"]["got"]


def test_confirm_refuses_what_is_not_live_any_more(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.driver.native.write_bytes(SECOND + b"web z\n")
    code, answer = host.program("confirm", "--change", "c1")
    assert code == 10 and "by hand" in answer["error"]["got"]
    assert [g["change"] for g in host.status()["generations"]] == [None]


@pytest.mark.parametrize("verb", [("confirm",), ("renew", "--lease-seconds", "60")])
def test_a_change_that_is_not_pending_is_neither_confirmed_nor_renewed(
    host: Host, verb: tuple[str, ...]
) -> None:
    assert host.program(verb[0], "--change", "c1", *verb[1:])[0] == 10


@pytest.mark.parametrize("seconds", ["0", "0.5", "999999"])
def test_a_lease_has_bounds(host: Host, seconds: str) -> None:
    host.prepare("c1", SECOND)
    words = host.activate_words("c1", SECOND)[:-1]
    assert host.program(*words, seconds)[0] == 10
