"""What a pool's redirected class did not bring is asked by the pool's other classes."""

from evenkeel.rehearsal.load.load_client import Tally
from evenkeel.rehearsal.run.probes import missing, numbers

KINDS = [
    {"name": "tls", "pool": "web"},
    {"name": "more", "pool": "web"},
    {"name": "plain", "pool": "web"},
    {"name": "api", "pool": "api"},
]
NUMBERS = {"tls": 100, "more": 100, "plain": 100, "api": 100}
FULL = Tally(sent=100, answered=100)


def test_the_classes_that_were_answered_make_up_for_one_that_is_redirected_and_given_up():
    tallies = {"tls": FULL, "more": FULL, "plain": Tally(sent=96, diverted=96), "api": FULL}
    assert missing(KINDS, NUMBERS, tallies) == {"tls": 50, "more": 50, "plain": 0, "api": 0}


def test_requests_that_failed_are_not_asked_again():
    tallies = {"tls": FULL, "more": Tally(sent=100, answered=60, failed=40), "plain": FULL}
    assert set(missing(KINDS, NUMBERS, tallies).values()) == {0}


def test_a_pool_that_nobody_answered_for_is_not_asked_again():
    assert missing(KINDS, NUMBERS, {"api": Tally(sent=96, diverted=96)})["api"] == 0


def test_what_is_left_of_a_pool_is_asked_for_what_is_left_out():
    every = [{**kind, "requests": NUMBERS[kind["name"]]} for kind in KINDS]
    assert numbers(every, every, "requests") == NUMBERS
    left = [kind for kind in every if kind["name"] != "more"]
    assert numbers(every, left, "requests") == {"tls": 150, "plain": 150, "api": 100}
