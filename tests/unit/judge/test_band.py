"""Claims about the evidence against a band, enumerated where that is possible."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.judge import scattered
from evenkeel.judge.band import Band
from evenkeel.judge.evidence import log_sum
from evenkeel.judge.halves import Halves
from evenkeel.judge.stakes import (
    EARLY,
    Ratio,
    corners,
    most_of_sets,
    most_of_singles,
    stakes_of,
)


def splits(servers, requests):
    """Every way to give `requests` to `servers`."""
    for bars in itertools.combinations(range(requests + servers - 1), servers - 1):
        ends = (-1, *bars, requests + servers - 1)
        yield [b - a - 1 for a, b in itertools.pairwise(ends)]


def mean_e(log_e, truth, requests):
    total = 0.0
    for counts in splits(len(truth), requests):
        ways = math.factorial(requests)
        for count in counts:
            ways //= math.factorial(count)
        chance = ways * math.prod(p**c for p, c in zip(truth, counts, strict=True))
        total += chance * math.exp(log_e(counts))
    return total


def inside(shares, lean, tolerance):
    """A point of the band, on its edge where `lean` is 1 or -1."""
    push = [w * tolerance * x for w, x in zip(shares, lean, strict=True)]
    push = [each - sum(push) / len(push) for each in push]
    room = [tolerance * w / abs(p) for w, p in zip(shares, push, strict=True) if p]
    scale = min([1.0, *room])
    return [w + scale * p for w, p in zip(shares, push, strict=True)]


@settings(max_examples=25, deadline=None)
@given(
    raw=st.lists(st.floats(0.2, 1.0), min_size=7, max_size=7),
    lean=st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=7, max_size=7),
    tolerance=st.floats(0.05, 1.5),
    requests=st.integers(1, 4),
)
def test_in_a_pool_of_seven_too_no_mean_is_above_one_inside_the_band(
    raw, lean, tolerance, requests
):
    shares = [each / sum(raw) for each in raw]
    truth = inside(shares, lean, min(tolerance, 0.9))
    band = Band(shares, tolerance)
    assert mean_e(lambda counts: band.log_e(counts, requests), truth, requests) <= 1.0 + 1e-9
    part = scattered.Scattered(shares, tolerance)
    assert mean_e(lambda counts: part.log_e(counts, requests), truth, requests) <= 1.0 + 1e-9


@settings(max_examples=30, deadline=None)
@given(
    raw=st.lists(st.floats(0.2, 1.0), min_size=6, max_size=6),
    counts=st.lists(st.integers(0, 30), min_size=6, max_size=6).filter(any),
    tolerance=st.floats(0.05, 0.9),
)
def test_what_factorises_is_never_more_than_the_mixture_over_every_set(raw, counts, tolerance):
    shares, requests = [each / sum(raw) for each in raw], sum(counts)
    part = scattered.Scattered(shares, tolerance)
    terms = []
    for weight, (fraction, log_u, log_v, _) in part._terms:
        u, v = math.exp(log_u), math.exp(log_v)
        for size in range(7):
            for members in itertools.combinations(range(6), size):
                mine = math.fsum(shares[at] for at in members)
                least = max((1 - tolerance) * mine, 1 - (1 + tolerance) * (1 - mine))
                hits = sum(counts[at] for at in members)
                prior = size * math.log(fraction) + (6 - size) * math.log(1 - fraction)
                pays = hits * log_u + (requests - hits) * log_v
                most = v - (v - u) * least
                terms.append(weight + prior + pays - requests * math.log(most))
    assert part.log_e(counts, requests) <= log_sum(terms) + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    raw=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=9),
    counts=st.lists(st.integers(0, 200), min_size=9, max_size=9),
    tolerance=st.floats(0.05, 1.2),
)
def test_the_cheap_bound_is_never_below_the_e_value(raw, counts, tolerance):
    shares, counts = [each / sum(raw) for each in raw], counts[: len(raw)]
    requests = sum(counts)
    band = Band(shares, tolerance)
    if requests:
        bound = band.log_bound(counts, requests, band.outside(counts, requests))
        assert band.log_e(counts, requests) <= bound + 1e-9
        for reach in (1.0, 3.0, 4.7):
            decides = band.log_e(counts, requests, reach) >= reach
            assert bound >= reach - 1e-9 or not decides


@pytest.mark.parametrize("servers", [2, 3, 5, 6, 7, 30])
def test_even_counts_are_no_evidence(servers):
    band = Band([1.0 / servers] * servers, 0.3)
    assert band.log_e([10] * servers, 10 * servers) < 0.0
    assert band.log_bound([10] * servers, 10 * servers, []) < 1.0


@pytest.mark.parametrize("servers", [2, 3, 4, 6, 7, 12, 13, 20, 21, 200])
@pytest.mark.parametrize("equal", [True, False])
def test_the_parts_of_the_bet_sum_to_one(servers, equal):
    split = stakes_of(servers, equal)
    parts = [part for odds in split[:4] for _, part in odds]
    parts += [split.scattered, split.any_shape]
    parts += [split.hits.raised, split.hits.silent, split.hits.sets]
    assert math.fsum(parts) == pytest.approx(1.0)


def best_stop(log_e, truth, requests):
    """The mean at the best time to stop, by backward induction over every split of requests."""
    after = {}
    for number in range(requests, -1, -1):
        now = {}
        for counts in splits(len(truth), number):
            key = tuple(counts)
            value = math.exp(log_e(counts, number)) if number else 0.0
            if number < requests:
                further = 0.0
                for at, p in enumerate(truth):
                    further += p * after[(*key[:at], key[at] + 1, *key[at + 1 :])]
                value = max(value, further)
            now[key] = value
        after = now
    return after[(0,) * len(truth)]


def deciding_at(band, reach):
    """The e-value of a bet that decides at `reach`; infinity: without what is made for that."""
    return lambda counts, requests: band.log_e(counts, requests, reach)


@pytest.mark.parametrize("reach", [math.inf, 2.0])
@pytest.mark.parametrize("tolerance", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.8, 0.2]])
def test_no_time_to_stop_brings_the_mean_above_one_in_a_pool_of_two(shares, tolerance, reach):
    band = Band(shares, tolerance)
    for truth in ([band.low[0], 1 - band.low[0]], shares, [1 - band.low[1], band.low[1]]):
        if min(truth) > 0.0 and truth[0] <= band.high[0] and truth[1] <= band.high[1]:
            assert best_stop(deciding_at(band, reach), truth, 60) <= 1.0 + 1e-9


@pytest.mark.parametrize("reach", [math.inf, 2.0])
@pytest.mark.parametrize("shares", [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1]])
def test_no_time_to_stop_brings_the_mean_above_one_in_any_corner_of_a_pool_of_three(shares, reach):
    band = Band(shares, 0.3)
    for truth in [*corners(band.low, band.high), shares]:
        assert best_stop(deciding_at(band, reach), truth, 20) <= 1.0 + 1e-9


def test_no_time_to_stop_brings_the_mean_above_one_in_the_corner_of_a_pool_of_four():
    band = Band([0.25] * 4, 0.3)
    for truth in ([0.325, 0.325, 0.175, 0.175], [0.25] * 4):
        assert best_stop(deciding_at(band, 2.0), truth, 14) <= 1.0 + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    raw=st.lists(st.floats(0.2, 1.0), min_size=5, max_size=5),
    at=st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5),
    tolerance=st.floats(0.05, 1.5),
    odds=st.sampled_from([0.01, 0.5, 1.5, 9.0]),
)
def test_no_point_of_the_band_exceeds_what_a_level_is_divided_by(raw, at, tolerance, odds):
    shares = [each / sum(raw) for each in raw]
    band = Band(shares, tolerance)
    points = corners(band.low, band.high)
    level = []
    for member in range(5):
        low, high = band._ends((member,))
        edge = high if odds > 1.0 else low
        if 1e-6 < edge < 1 - 1e-6:
            level.append(Ratio((member,), 0.2, edge, odds))
    if not level:
        return
    mixed = [0.0] * 5
    for weight, point in zip(at, points, strict=False):
        mixed = [a + (weight + 1e-3) * b for a, b in zip(mixed, point, strict=True)]
    truth = [each / sum(mixed) for each in mixed]
    total = sum(each.weight for each in level)
    mean = sum(each.weight * each.mean(truth[each.members[0]]) for each in level) / total
    assert mean <= most_of_sets(level, points)
    if len(level) == 5:
        assert most_of_sets(level, points) <= most_of_singles(level, band.low, band.high) + 1e-6


@pytest.mark.parametrize("servers", [7, 8])
@pytest.mark.parametrize("tolerance", [0.2, 0.3, 1.2])
def test_the_mean_over_all_halves_is_nowhere_more_than_in_the_corner(servers, tolerance):
    low, high = max(0.0, 1 - tolerance) / servers, (1 + tolerance) / servers
    part = Halves([1 / servers] * servers, tolerance, ((2.0, 1.0),))
    draw = random.Random(servers)
    for members, start, early, late, log_u, log_v, _ in part._levels:
        u, v = math.exp(log_u), math.exp(log_v)
        most = math.exp(early) * (1 - EARLY) / EARLY / (math.exp(late) - math.exp(early))
        sets = list(itertools.combinations(range(servers), members))
        found = corners([low] * servers, [high] * servers)
        points = [draw.sample(point, servers) for point in found[:20]]
        points += [[(a + b) / 2 for a, b in zip(*draw.sample(points, 2), strict=True)]]
        for point in points:
            share = [sum(point[at] for at in each) for each in sets]
            mean = sum((u * each + v * (1 - each)) ** start for each in share) / len(sets)
            assert mean <= most * (1 + 1e-6)
