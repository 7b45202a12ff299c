"""Claims about events that are rare inside the band: their chance is added up, exactly."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.judge.hits import Hits, needed, sides_of, silence
from evenkeel.judge.stakes import SIDES_MOST, HitStakes, corners, even_corner, stakes_of

STAKES = HitStakes(0.6, 0.4, 1.5, 40)


def chance_of_one(share, soon):
    """The chance that one server of `share` ever has `soon[n]` of the first n requests."""
    alive, crossed = {0: 1.0}, 0.0
    for number in soon[1:]:
        after = {}
        for hits, chance in alive.items():
            for more, part in ((0, 1 - share), (1, share)):
                if hits + more >= number:
                    crossed += chance * part
                else:
                    after[hits + more] = after.get(hits + more, 0.0) + chance * part
        alive = after
    return crossed


def events_of(servers, tolerance, reach, stakes=STAKES):
    low, high = max(0.0, 1 - tolerance) / servers, (1 + tolerance) / servers
    corner = even_corner(servers, low, high)
    return corner, sides_of(corner), needed(sides_of(corner), reach, stakes)


@pytest.mark.parametrize("reach", [1.5, 4.7, 9.0])
@pytest.mark.parametrize("tolerance", [0.1, 0.3])
@pytest.mark.parametrize("servers", [2, 3, 5, 10, 50, 200])
def test_all_servers_together_have_the_chance_that_was_bet_and_use_nearly_all_of_it(
    servers, tolerance, reach
):
    corner, _, soon = events_of(servers, tolerance, reach)
    chance = math.fsum(chance_of_one(share, soon) for share in corner)
    bet = math.exp(-reach) * STAKES.raised
    assert chance <= bet
    # What the last hits leave over is lost, and with few servers steps are large.
    assert chance >= 0.55 * bet


@settings(max_examples=30, deadline=None)
@given(
    servers=st.integers(2, 12),
    tolerance=st.floats(0.1, 0.8),
    reach=st.floats(1.0, 6.0),
    seed=st.integers(0, 1000),
)
def test_no_point_of_the_band_has_more_chance_than_its_corner(servers, tolerance, reach, seed):
    corner, _, soon = events_of(servers, tolerance, reach)
    draw = random.Random(seed)
    points = [draw.sample(corner, servers) for _ in range(3)]
    parts = [draw.random() for _ in points]
    mixed = [
        sum(part * point[at] for part, point in zip(parts, points, strict=True)) / sum(parts)
        for at in range(servers)
    ]
    most = math.fsum(chance_of_one(share, soon) for share in corner)
    assert math.fsum(chance_of_one(share, soon) for share in mixed) <= most * (1 + 1e-9)


def chance_in_pool(events, truth, requests):
    """The chance that any event ever happens in a pool of three, over every way of the counts."""
    alive, happened = {(0, 0, 0): 1.0}, 0.0
    for number in range(1, requests + 1):
        after = {}
        for counts, chance in alive.items():
            for at, share in enumerate(truth):
                one = (*counts[:at], counts[at] + 1, *counts[at + 1 :])
                if events.happened(one, number):
                    happened += chance * share
                else:
                    after[one] = after.get(one, 0.0) + chance * share
        alive = after
    return happened


@pytest.mark.parametrize("shares", [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1]])
def test_the_chance_of_any_event_is_what_was_bet_at_most_in_every_corner(shares):
    low, high = [0.7 * each for each in shares], [1.3 * each for each in shares]
    equal = len(set(shares)) == 1
    corner = even_corner(3, low[0], high[0]) if equal else []
    events = Hits(low, high, corner, 2.0, STAKES)
    found = [chance_in_pool(events, truth, 45) for truth in corners(low, high)]
    assert max(found) <= math.exp(-2.0)
    # Equal servers: nearly all is used, so a bound that counted wrongly would be seen here.
    assert not equal or max(found) >= 0.6 * math.exp(-2.0)


@pytest.mark.parametrize("servers", [4, 5, 6, 8, 20, 200])
def test_sets_have_the_chance_that_was_bet_in_the_worst_corner_and_use_nearly_all_of_it(servers):
    only_sets = HitStakes(0.0, 0.0, 1.0, 40, sets=0.5)
    low, high = 0.7 / servers, 1.3 / servers
    corner = even_corner(servers, low, high)
    events = Hits([low] * servers, [high] * servers, corner, 3.0, only_sets)
    chance = 0.0
    for size, (sides, stakes) in events._sets:
        soon = needed(sides, 3.0, stakes)
        if servers <= 6:
            shares = [sum(each) for each in itertools.combinations(corner, size)]
        else:
            shares = [sum(corner[:size]), sum(corner[size:])]
        chance += math.fsum(chance_of_one(share, soon) for share in shares)
    assert 0.6 * 0.5 * math.exp(-3.0) <= chance <= 0.5 * math.exp(-3.0)


def test_a_set_that_has_too_many_is_an_event_whichever_of_the_servers_it_is_of():
    low, high = [0.14] * 5, [0.26] * 5
    only_sets = HitStakes(0.0, 0.0, 1.0, 40, sets=0.5)
    events = Hits(low, high, even_corner(5, 0.14, 0.26), 3.0, only_sets)
    assert events.happened([20, 0, 20, 0, 20], 60)
    assert events.happened([0, 20, 20, 20, 0], 60)
    assert not events.happened([12, 12, 12, 12, 12], 60)


def test_in_a_larger_pool_the_halves_of_the_list_are_events_and_other_halves_are_not():
    low, high = [0.07] * 10, [0.13] * 10
    only_sets = HitStakes(0.0, 0.0, 1.0, 40, sets=0.5)
    events = Hits(low, high, even_corner(10, 0.07, 0.13), 3.0, only_sets)
    assert events.happened([10] * 5 + [0] * 5, 50)
    assert events.happened([0] * 5 + [10] * 5, 50)
    assert not events.happened([10, 0] * 5, 50)


@pytest.mark.parametrize("servers", [2, 3, 10, 200])
def test_silence_has_the_chance_that_was_bet_and_not_one_request_later(servers):
    corner, sides, _ = events_of(servers, 0.3, 4.7)
    due = silence(sides, 4.7, 0.2)
    luck = [math.fsum((1 - share) ** number for share in corner) for number in (due - 1, due)]
    assert luck[1] <= 0.2 * math.exp(-4.7) < luck[0]


def test_a_server_that_may_be_silent_is_no_event():
    _, sides, _ = events_of(4, 1.2, 4.7)
    assert silence(sides, 4.7, 0.2) == math.inf


def test_many_different_shares_are_rounded_up_to_a_few():
    shares = [1.0 + 0.1 * at for at in range(40)]
    shares = [each / sum(shares) for each in shares]
    low, high = [0.7 * each for each in shares], [1.3 * each for each in shares]
    events = Hits(low, high, [], 4.7, STAKES)
    assert len({*events._ways}) <= SIDES_MOST + 1
    for edge, (sides, stakes) in zip(high, events._ways, strict=True):
        soon = needed(sides, 4.7, stakes)
        assert chance_of_one(edge, soon) <= math.exp(-4.7) * STAKES.raised / 40


@settings(max_examples=60, deadline=None)
@given(servers=st.integers(2, 60), tolerance=st.floats(0.05, 1.5), reach=st.floats(1.0, 12.0))
def test_an_event_is_never_nearer_than_the_evidence_that_it_brings(servers, tolerance, reach):
    low, high = max(0.0, 1 - tolerance) / servers, min(1.0, (1 + tolerance) / servers)
    corner = even_corner(servers, low, high)
    soon = needed(sides_of(corner), reach, stakes_of(servers).hits)
    # At each number of hits, the latest request is the one with the least evidence.
    for (requests, hits), later in itertools.pairwise([*enumerate(soon), (0, 0)]):
        if hits != later[1] and requests >= hits:
            rest = requests - hits
            value = hits * math.log(hits / requests / high)
            value += rest * math.log(rest / requests / (1 - high)) if rest else 0.0
            assert value >= reach - 1e-9
