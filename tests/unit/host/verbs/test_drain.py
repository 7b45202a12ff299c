"""Drains that people can account for: on record with a reason and an owner, in force, ended."""

import json
from pathlib import Path
from typing import Any

import pytest
from unit.host.fakes import FIRST, SECOND, THIRD, Host, Recorded, digest

from evenkeel.host.errors import BalancerError
from evenkeel.host.system.lease import iso, seconds_of

B = ("--pool", "web", "--server", "b")
WHY = ("--reason", "disk full: see ticket 12", "--owner", "ann@example.com")
DRAIN_B = ("drain", *B, *WHY)
AN_HOUR = ("--for-seconds", "3600")


def drains(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.status()["drains"]
    return found


def in_force(host: Host, server: str = "b") -> bool:
    return server in host.driver.drained().get("web", {})


def restarted(host: Host) -> None:
    """The balancer was restarted: what was ordered at run time is forgotten."""
    host.driver.die()
    host.clock.moved += 1
    host.driver.spawn()


def boot(host: Host) -> None:
    host.clock.boot = "boot-2"
    host.driver.die()
    host.must("recover", "--boot")
    host.driver.spawn()


def test_a_drain_is_in_force_and_on_record_with_its_reason_owner_and_times(host: Host) -> None:
    answer = host.must(*DRAIN_B, *AN_HOUR)
    assert answer["changed"] and in_force(host)
    (shown,) = drains(host)
    assert shown.pop("since") < shown["until"] == answer["until"]
    assert 3590 < seconds_of(shown.pop("until")) - host.clock.wall() <= 3600
    assert shown == {
        "pool": "web",
        "server": "b",
        "reason": "disk full: see ticket 12",
        "owner": "ann@example.com",
        "in_force": True,
    }


def test_the_same_order_once_more_changes_nothing(host: Host) -> None:
    for words in ((*DRAIN_B, *AN_HOUR), DRAIN_B):
        assert host.must(*words)["changed"]
        before = (drains(host), dict(host.units.armed))
        assert not host.must(*words)["changed"]
        assert (drains(host), host.units.armed) == before


def test_other_words_replace_the_record_but_not_since_when_the_server_is_out(host: Host) -> None:
    host.must(*DRAIN_B)
    (before,) = drains(host)
    assert host.must("drain", *B, "--reason", "new board", "--owner", "bob", *AN_HOUR)["changed"]
    (after,) = drains(host)
    assert (after["reason"], after["owner"]) == ("new board", "bob") and after["until"]
    assert after["since"] == before["since"]


def test_undrain_ends_a_drain_and_its_record_and_repeating_it_changes_nothing(host: Host) -> None:
    host.must(*DRAIN_B, *AN_HOUR)
    assert host.must("undrain", *B)["changed"]
    assert not in_force(host) and drains(host) == [] and host.units.armed == {}
    assert not host.must("undrain", *B)["changed"]


@pytest.mark.parametrize("verb", ["drain", "undrain"])
@pytest.mark.parametrize(
    ("pool", "server", "wanted"), [("shop", "b", "web"), ("web", "z", "a, b"), ("a", "b", "web")]
)
def test_an_unknown_server_is_refused_and_the_known_ones_are_named(
    host: Host, verb: str, pool: str, server: str, wanted: str
) -> None:
    why = WHY if verb == "drain" else ()
    code, answer = host.program(verb, "--pool", pool, "--server", server, *why)
    assert (code, answer["outcome"]) == (10, "untouched")
    assert wanted in answer["error"]["wanted"]
    assert drains(host) == []


@pytest.mark.parametrize(
    "words",
    [
        (*B, "--owner", "ann"),
        (*B, "--reason", "why"),
        (*B, "--owner", "ann", "--reason", ""),
        (*B, "--owner", "ann", "--reason", "   "),
        (*B, "--owner", "ann", "--reason", "x" * 201),
        (*B, "--owner", "ann", "--reason", "a\nb"),
        (*B, "--owner", "ann", "--reason", "Väter"),
        (*B, "--owner", "ann smith", "--reason", "why"),
        (*B, *WHY, "--for-seconds", "0"),
        (*B, *WHY, "--for-seconds", "1.5"),
        ("--pool", "web;shutdown", "--server", "b", *WHY),
    ],
)
def test_a_drain_without_usable_words_is_refused(host: Host, words: tuple[str, ...]) -> None:
    assert host.program("drain", *words)[0] == 2
    assert not in_force(host)


def test_a_balancer_that_cannot_drain_refuses_it(host: Host) -> None:
    host.driver.CAPABILITIES = {**host.driver.CAPABILITIES, "drain": False}
    code, answer = host.program(*DRAIN_B)
    assert code == 10 and "cannot drain" in answer["error"]["what"]
    assert drains(host) == []


def test_a_drain_that_the_balancer_refuses_leaves_no_record(host: Host) -> None:
    def refuses(pool: str, server: str) -> None:
        raise BalancerError("no")

    host.driver.drain = refuses
    code, answer = host.program(*DRAIN_B)
    assert code == 10 and "does not drain" in answer["error"]["what"]
    assert drains(host) == []


def test_a_drain_with_an_end_that_no_timer_can_bring_is_refused(host: Host) -> None:
    host.units.failing = True
    assert host.program(*DRAIN_B, *AN_HOUR)[0] == 10
    assert not in_force(host) and drains(host) == []


def test_a_server_that_was_drained_by_hand_is_listed_without_a_word(host: Host) -> None:
    host.driver.drain("web", "a")
    (shown,) = drains(host)
    assert (shown["pool"], shown["server"], shown["in_force"]) == ("web", "a", True)
    assert (shown["reason"], shown["owner"], shown["until"]) == ("", "", None)
    assert host.must("undrain", "--pool", "web", "--server", "a")["changed"]
    assert not in_force(host, "a") and drains(host) == []


def test_a_journal_from_before_there_were_drains_is_read(host: Host) -> None:
    host.deploy("c1", SECOND)
    path = host.root / "journal"
    content = json.loads(path.read_bytes())
    for key in ("drains", "drain_timer", "pins"):
        del content[key]
    path.write_text(json.dumps(content))
    assert drains(host) == []
    assert host.must(*DRAIN_B)["changed"] and drains(host)[0]["in_force"]


def test_a_journal_with_a_damaged_drain_is_not_guessed_at(host: Host) -> None:
    host.must(*DRAIN_B)
    path = host.root / "journal"
    path.write_text(path.read_text().replace('"owner"', '"owned"'))
    code, answer = host.program("rollback")
    assert code == 12 and "drains without a usable owner" in answer["error"]["got"]


# Through every switch.


def test_a_drain_survives_activate_confirm_and_rollback(host: Host) -> None:
    host.must(*DRAIN_B)
    host.deploy("c1", SECOND, confirm=False)
    assert in_force(host)
    host.must("confirm", "--change", "c1")
    assert in_force(host)
    host.must("rollback")
    assert host.driver.running() == FIRST and in_force(host)
    assert [one["in_force"] for one in drains(host)] == [True]


def test_a_drain_survives_the_revert_of_a_change_that_had_taken_its_server_away(
    host: Host,
) -> None:
    host.must(*DRAIN_B)
    host.driver.drain("web", "a")
    host.deploy("c1", THIRD, confirm=False)
    (gone, by_hand) = drains(host)
    assert not gone["in_force"] and by_hand["server"] == "a"
    host.clock.moved += 61
    assert host.must("expire")["outcome"] == "reverted"
    assert host.driver.running() == FIRST and in_force(host) and in_force(host, "a")


def test_what_was_drained_by_hand_survives_the_same_revert(host: Host) -> None:
    host.driver.drain("web", "b")
    host.deploy("c1", THIRD, confirm=False)
    host.must("rollback")
    assert host.driver.running() == FIRST and in_force(host)


def test_the_record_of_a_server_that_left_is_dropped_by_the_confirm_and_noted(host: Host) -> None:
    host.must(*DRAIN_B)
    host.deploy("c1", THIRD, confirm=False)
    assert len(drains(host)) == 1
    (note,) = host.must("confirm", "--change", "c1")["notes"]
    assert "web/b" in note and "ann@example.com" in note
    assert drains(host) == []


def test_a_drain_that_was_ended_during_a_change_stays_ended_when_the_change_goes_back(
    host: Host,
) -> None:
    host.must(*DRAIN_B)
    host.deploy("c1", THIRD, confirm=False)
    assert host.must("undrain", *B)["changed"]
    host.must("rollback")
    assert host.driver.running() == FIRST and not in_force(host)


# A balancer that was restarted.


@pytest.mark.parametrize(
    "words", [("recover",), ("prune",), ("expire",), ("undrain", "--pool", "web", "--server", "a")]
)
def test_a_drain_that_a_restart_ended_is_shown_as_such_until_the_next_verb_that_writes(
    host: Host, words: tuple[str, ...]
) -> None:
    host.must(*DRAIN_B)
    restarted(host)
    assert [one["in_force"] for one in drains(host)] == [False]
    answer = host.must(*words)
    assert [one["in_force"] for one in drains(host)] == [True]
    assert any("web/b" in note for note in answer["notes"])
    assert not host.must("recover")["changed"]


def test_a_switch_after_a_restart_puts_the_drain_in_force_before_it_reloads(host: Host) -> None:
    host.must(*DRAIN_B)
    restarted(host)
    host.prepare("c1", SECOND)
    steps = Recorded()
    code, _ = host.program(*host.activate_words("c1", SECOND), steps=steps)
    assert code == 0 and in_force(host)
    assert steps.names.index("balancer: drain") < steps.names.index("balancer: reload")


def test_a_boot_leaves_a_timer_that_puts_drains_in_force(host: Host) -> None:
    host.must(*DRAIN_B)
    host.units.armed.clear()
    boot(host)
    assert list(host.units.armed.values()) == [10.0]
    host.must("expire")
    assert in_force(host)


def test_a_balancer_that_is_down_keeps_no_host_from_going_back(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.must(*DRAIN_B)
    host.driver.die()
    answer = host.must("rollback")
    assert answer["outcome"] == "rolled back"
    assert host.driver.running() == FIRST and in_force(host)


# The end.


def test_no_end_is_on_record_without_a_timer_that_was_armed_for_it(host: Host) -> None:
    steps = Recorded()
    assert host.program(*DRAIN_B, *AN_HOUR, steps=steps)[0] == 0
    names = steps.names
    order = [names.index(n) for n in ("timer: arm", "journal drained: rename", "balancer: drain")]
    assert order == sorted(order)


def test_a_timer_is_armed_for_the_next_end_alone(host: Host) -> None:
    host.must(*DRAIN_B, *AN_HOUR)
    host.must("drain", "--pool", "web", "--server", "a", *WHY, "--for-seconds", "60")
    (left,) = host.units.armed.values()
    assert 58 < left <= 60
    host.clock.moved += 60
    host.units.armed.clear()
    assert host.must("expire")["changed"]
    assert [one["server"] for one in drains(host)] == ["b"] and not in_force(host, "a")
    (left,) = host.units.armed.values()
    assert 3500 < left < 3541


@pytest.mark.parametrize("words", [("prune",), ("recover",), ("expire",), ("snapshot",)])
def test_whoever_writes_next_ends_a_drain_whose_end_has_come(
    host: Host, words: tuple[str, ...]
) -> None:
    host.deploy("c1", SECOND)
    host.must(*DRAIN_B, *AN_HOUR)
    host.clock.moved += 3600
    answer = host.must(*words, *(("--name", "friday") if words == ("snapshot",) else ()))
    assert not in_force(host) and drains(host) == []
    assert "came to its end" in answer["notes"][0]
    assert host.units.armed == {}


def test_a_timer_that_comes_early_by_the_wall_clock_is_armed_again(host: Host) -> None:
    host.must(*DRAIN_B, *AN_HOUR)
    host.units.armed.clear()
    host.clock.moved += 3000
    host.must("expire")
    (left,) = host.units.armed.values()
    assert in_force(host) and 590 < left < 600


def test_a_boot_does_not_lose_the_end_of_a_drain(host: Host) -> None:
    host.must(*DRAIN_B, *AN_HOUR)
    host.units.armed.clear()
    boot(host)
    host.must("recover")
    assert any(3500 < left < 3600 for left in host.units.armed.values())
    armed = dict(host.units.armed)
    assert not host.must("recover")["changed"] and host.units.armed == armed


def test_an_end_that_the_balancer_cannot_be_told_of_is_tried_again(host: Host) -> None:
    host.must(*DRAIN_B, *AN_HOUR)
    host.clock.moved += 3600
    worker = host.driver._worker()
    host.driver.die()
    host.units.armed.clear()
    assert "could not be looked after" in host.must("expire")["notes"][0]
    assert list(host.units.armed.values()) == [30.0]
    host.driver._save(worker)
    host.must("expire")
    assert not in_force(host) and drains(host) == []


def test_the_end_of_a_drain_leaves_a_server_out_that_somebody_took_out_of_service(
    host: Host,
) -> None:
    host.must(*DRAIN_B, *AN_HOUR)
    worker = host.driver._worker()
    worker["runtime"]["web"]["b"] = {"state": "maint"}
    host.driver._save(worker)
    host.clock.moved += 3600
    host.must("prune")
    assert host.driver.drained() == {"web": {"b": "inactive"}}
    assert [(one["server"], one["owner"]) for one in drains(host)] == [("b", "")]


def test_drains_do_not_make_a_lease_any_longer(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.must(*DRAIN_B, *AN_HOUR)
    host.clock.moved += 61
    assert host.must("expire")["outcome"] == "reverted"
    assert host.status()["generations"][-1]["release"] == digest(FIRST)


def test_the_metrics_say_who_drained_what_and_never_why(host: Host) -> None:
    host.must(*DRAIN_B)
    host.driver.drain("web", "a")
    text = host.must("metrics")["text"]
    row = 'evenkeel_drain_in_force{balancer="fake",pool="web",server="%s",owner="%s"} 1\n'
    assert row % ("b", "ann@example.com") in text and row % ("a", "") in text
    assert "disk full" not in text
    restarted(host)
    assert row.replace("1\n", "0\n") % ("b", "ann@example.com") in host.must("metrics")["text"]


@pytest.mark.parametrize("seconds", [0.0, 1.5, 1_800_000_000.999])
def test_what_iso_writes_is_read_back_to_the_millisecond(seconds: float) -> None:
    assert abs(seconds_of(iso(seconds)) - seconds) <= 0.001
    assert iso(seconds) < iso(seconds + 1) < iso(seconds + 3600)


# Killed at every step.

VERBS = {
    "drain": (*DRAIN_B, *AN_HOUR),
    "drain for longer": (*DRAIN_B, "--for-seconds", "7200"),
    "undrain": ("undrain", *B),
    "end": ("expire",),
    "snapshot": ("snapshot", "--name", "friday", "--pinned"),
    "unpin": ("snapshot", "--name", "friday", "--unpin"),
}


def ready(folder: Path, case: str) -> Host:
    folder.mkdir()
    host = Host(folder)
    host.deploy("c1", SECOND)
    if case == "unpin":
        host.must("snapshot", "--name", "friday", "--pinned")
    if case not in ("drain", "unpin", "snapshot"):
        host.must(*DRAIN_B, *AN_HOUR)
    if case == "end":
        host.clock.moved += 3600
    return host


@pytest.mark.parametrize("case", VERBS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_step_a_server_is_drained_when_that_is_on_record_and_only_then(
    tmp_path: Path, case: str, moment: str
) -> None:
    host, steps = ready(tmp_path / "all", case), Recorded()
    assert host.program(*VERBS[case], steps=steps)[0] == 0
    wanted = [one["in_force"] for one in drains(host)]
    assert len(steps.names) >= 2
    for at in range(1, len(steps.names) + 1):
        host = ready(tmp_path / str(at), case)
        host.killed(*VERBS[case], at=at, moment=moment)
        host.must("recover")
        assert in_force(host) == bool(drains(host)), steps.names[at - 1]
        assert not host.must("recover")["changed"]
        host.must(*VERBS[case])
        assert [one["in_force"] for one in drains(host)] == wanted
        assert host.live() == host.driver.running() == SECOND
