"""Claims about leaving out looks whose answer is known: the verdict is that of every look."""

import random

import pytest
from evenkeel_proof.simulation.every_look import look_at_every_unit
from evenkeel_proof.simulation.false_alarms import judge_for
from evenkeel_proof.simulation.streams import KINDS

STREAMS = {
    "even": [1, 1, 1],
    "at the edge": [1.3, 0.85, 0.85],
    "beyond the edge": [1.6, 0.7, 0.7],
    "silent": [0, 1, 1],
    "ten, one raised": [3, *[1] * 9],
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("seed", range(4))
def test_the_shipped_judge_fails_at_the_same_unit_with_the_same_evidence(name, seed):
    weights = STREAMS[name]
    units = bytes(random.Random(f"{name} {seed}").choices(range(len(weights)), weights, k=1800))
    fast, slow = judge_for(len(weights)), judge_for(len(weights))
    looked = look_at_every_unit(fast, units)
    asked = look_at_every_unit(slow, units, skip=False)
    assert looked.failed_at == asked.failed_at
    assert (fast.bets, fast.requests) == (slow.bets, slow.requests)
    assert fast.log_e() == pytest.approx(slow.log_e())
    assert looked.calls < asked.calls


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_has_its_length_and_its_clients_and_is_the_same_for_the_same_seed(kind):
    stream = KINDS[kind](random.Random(3), 5, 2000)
    assert len(stream.requests) == 2000
    assert 1 <= len(stream.clients) <= 2000
    assert set(stream.requests) <= set(range(5))
    assert stream == KINDS[kind](random.Random(3), 5, 2000)
