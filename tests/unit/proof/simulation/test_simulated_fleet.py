"""Claims about the simulated fleet: the shipped judge decides, and the seeds say all the rest."""

import random

import pytest
from evenkeel_proof.simulation.fleet_faults import FAULTS, GOOD
from evenkeel_proof.simulation.fleet_study import cell
from evenkeel_proof.simulation.simulated_fleet import Fleet, poisson

from evenkeel.canary.plan import plan

NAMED = {fault.name: fault for fault in FAULTS}


def went(fault, stages, rate=100.0, hosts=20, bake_seconds=60, seed="1"):
    entries = [{"hosts": each, "bake_seconds": bake_seconds} for each in stages]
    names = [f"lb{number:02d}" for number in range(hosts)]
    return Fleet(fault, plan(names, entries), rate, seed).roll_out()


@pytest.mark.parametrize("name", ["shift", "silent", "skew"])
def test_a_fault_of_every_host_is_found_on_the_first_one(name):
    one = went(NAMED[name], (1, "100%"))
    assert (one.verdict, one.by, one.hosts, one.stages) == ("fail", "a host", 1, 1)
    # Switched, judged, gone back: nobody else's requests.
    assert one.touched <= (one.seconds + 1) * 100


def test_a_good_change_passes_every_stage_and_touches_nothing():
    one = went(GOOD, (1, 4, "100%"))
    assert (one.verdict, one.hosts, one.stages, one.touched) == ("pass", 20, 3, 0)


def test_a_seldom_asked_pool_is_found_by_the_sum_over_the_hosts_alone():
    fault = NAMED["sum"]
    assert went(fault, (1, "100%"), hosts=10).stages == 2
    found = went(fault, ("100%",), hosts=60, rate=200.0)
    assert (found.verdict, found.by) == ("fail", "the sum")


def test_errors_below_the_budget_are_found_beside_the_hosts_without_the_change():
    found = went(NAMED["errors"], (60, "100%"), hosts=600)
    assert (found.verdict, found.by, found.stages) == ("fail", "the sum", 1)


def test_too_few_requests_for_the_bake_time_take_a_good_change_back():
    assert went(GOOD, (1, "100%"), rate=1.0).verdict == "inconclusive"


def test_the_run_number_says_all_that_is_random():
    one, again = (cell("some_hosts", "tenfold", 100.0, 2, hosts=60) for _ in range(2))
    assert one == again


@pytest.mark.parametrize("mean", [0.0, 2.0, 500.0])
def test_poisson_numbers_have_their_mean(mean):
    draw = random.Random(1)
    numbers = [poisson(draw, mean) for _ in range(400)]
    assert abs(sum(numbers) / 400 - mean) <= 0.2 * mean**0.5
