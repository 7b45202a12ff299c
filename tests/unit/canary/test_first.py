"""The first host of the plan decides which of two changes gets the fleet."""

import pytest
from unit.change.build import Sample, result

from evenkeel.canary.first import LONGEST_WAIT_SECONDS, wait_for_first_host
from evenkeel.errors import Refused


@pytest.fixture
def change(tmp_path):
    """A change whose first stage is the whole fleet."""
    return Sample(tmp_path).rendered().planned((3,))


def answered(change, host, status, **said):
    value = {"host": host, "verb": "activate", "status": status, "result": said}
    change.folder.write_json(f"hosts/{host}/activate.json", value)


class Time:
    """A clock that only a sleep moves; at each sleep something may happen."""

    def __init__(self, *happens):
        self.now, self.happens = 0.0, list(happens)

    def sleep(self, seconds):
        self.now += seconds
        if self.happens:
            self.happens.pop(0)()

    def clock(self):
        return self.now


def wait(change, host, number=1, time=None):
    time = time or Time()
    wait_for_first_host(change.folder, number, host, time.sleep, time.clock)


def test_the_first_host_waits_for_nobody(change):
    wait(change, "lb1")


def test_the_others_go_once_the_first_has_taken_the_change(change):
    time = Time(lambda: None, lambda: answered(change, "lb1", "ok"))
    wait(change, "lb2", time=time)
    assert time.now > 0 and not time.happens


def test_no_other_host_is_touched_when_another_change_holds_the_first(change):
    error = {"what": "Change other holds this host"}
    answered(change, "lb1", "failed", outcome="untouched", error=error)
    with pytest.raises(Refused, match="lb1 goes first") as refusal:
        wait(change, "lb3")
    assert refusal.value.got == "Change other holds this host"


def test_no_other_host_is_touched_when_the_first_fell_silent(change):
    change.saw(1, result("lb1", status="failed"))
    with pytest.raises(Refused, match="lb1 goes first"):
        wait(change, "lb2")


def test_nobody_waits_for_ever(change):
    time = Time()
    with pytest.raises(Refused) as refusal:
        wait(change, "lb2", time=time)
    assert time.now >= LONGEST_WAIT_SECONDS
    assert "within 150 s" in refusal.value.got


def test_a_later_stage_does_not_wait(change):
    change.planned((1, 2))
    wait(change, "lb2", number=2)
