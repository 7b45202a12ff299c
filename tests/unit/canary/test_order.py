from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.change.build import Sample, result

from evenkeel.canary.order import LONGEST_WAIT_SECONDS, order, wait_for_first_host
from evenkeel.change.rollout import ACTIVE, STANDBY, Place
from evenkeel.errors import Refused

fleets = st.lists(
    st.tuples(st.sampled_from([ACTIVE, STANDBY]), st.sampled_from(["", "ams", "fra", "lon"]))
).map(lambda rows: [Place(f"lb{n}", role, zone) for n, (role, zone) in enumerate(rows)])


def rounds(places):
    """For each place, how many of its zone come before it."""
    seen = Counter()
    for place in places:
        yield seen[place.zone]
        seen[place.zone] += 1


@given(fleets)
def test_every_host_is_there_exactly_once(places):
    assert sorted(order(places), key=lambda p: p.host) == sorted(places, key=lambda p: p.host)


@given(fleets)
def test_no_active_host_comes_before_a_standby(places):
    roles = [place.ha_role for place in order(places)]
    assert roles == sorted(roles, reverse=True)


@given(fleets)
def test_no_zone_is_reached_again_before_its_equals_were_reached_as_often(places):
    ordered = order(places)
    for role in (STANDBY, ACTIVE):
        numbers = [n for place, n in zip(ordered, rounds(ordered), strict=True)
                   if place.ha_role == role]  # fmt: skip
        assert numbers == sorted(numbers)


@given(fleets)
def test_hosts_that_nothing_tells_apart_stay_in_the_order_of_the_inventory(places):
    position = {place.host: n for n, place in enumerate(places)}
    last = {}
    for place in order(places):
        key = (place.ha_role, place.zone)
        assert last.get(key, -1) < position[place.host]
        last[key] = position[place.host]


@given(st.lists(st.text(min_size=1), unique=True))
def test_an_inventory_that_says_nothing_of_it_keeps_its_order(hosts):
    assert [place.host for place in order(map(Place, hosts))] == hosts


def test_two_pairs_in_two_zones_go_standbys_first_then_the_active_ones():
    places = [
        Place("ams1", ACTIVE, "ams"),
        Place("ams2", STANDBY, "ams"),
        Place("fra1", ACTIVE, "fra"),
        Place("fra2", STANDBY, "fra"),
    ]
    assert [place.host for place in order(places)] == ["ams2", "fra2", "ams1", "fra1"]


def test_a_zone_that_was_reached_by_its_standby_waits_for_one_that_has_none():
    places = [
        Place("ams1", STANDBY, "ams"),
        Place("ams2", ACTIVE, "ams"),
        Place("fra1", ACTIVE, "fra"),
    ]
    assert [place.host for place in order(places)] == ["ams1", "fra1", "ams2"]


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
