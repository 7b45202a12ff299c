"""Claims about the evidence against a band, enumerated where that is possible."""

import itertools
import math

import pytest
from evenkeel_proof.simulation.every_look import log_bound
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.judge.band import ANY_SET, BLOCKS, LEAST_FOR_BLOCKS, SINGLES, Band, blocks
from evenkeel.judge.evidence import log_sum


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


def corners(low, high):
    """The points of the band in which every share but one is on an edge."""
    found = []
    for free in range(len(low)):
        others = [at for at in range(len(low)) if at != free]
        for ends in itertools.product((0, 1), repeat=len(others)):
            point = [0.0] * len(low)
            for at, end in zip(others, ends, strict=True):
                point[at] = (low, high)[end][at]
            point[free] = 1.0 - math.fsum(point)
            if low[free] - 1e-12 <= point[free] <= high[free] + 1e-12:
                found.append(point)
    return found


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


@settings(max_examples=30, deadline=None)
@given(
    raw=st.lists(st.floats(0.2, 1.0), min_size=6, max_size=6),
    counts=st.lists(st.integers(0, 30), min_size=6, max_size=6).filter(any),
    tolerance=st.floats(0.05, 0.9),
)
def test_what_factorises_is_never_more_than_the_mean_over_every_set(raw, counts, tolerance):
    shares, requests = [each / sum(raw) for each in raw], sum(counts)
    band = Band(shares, tolerance)
    terms = []
    for bet, _ in band._any_set:
        f, g = math.exp(bet.inside), math.exp(bet.outside)
        for members in itertools.chain.from_iterable(
            itertools.combinations(range(6), size) for size in range(7)
        ):
            mine = math.fsum(shares[at] for at in members)
            least = max((1 - tolerance) * mine, 1 - (1 + tolerance) * (1 - mine))
            hits = sum(counts[at] for at in members)
            pays = hits * bet.inside + (requests - hits) * bet.outside
            most = g - (g - f) * least
            terms.append(bet.log_weight - 6 * math.log(2) + pays - requests * math.log(most))
    assert log_sum(list(band._log_any_set(counts, requests))) <= log_sum(terms) + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    raw=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=9),
    counts=st.lists(st.integers(0, 200), min_size=9, max_size=9),
    tolerance=st.floats(0.05, 1.2),
)
def test_the_bound_of_the_simulation_is_never_below_the_e_value(raw, counts, tolerance):
    shares, counts = [each / sum(raw) for each in raw], counts[: len(raw)]
    requests = sum(counts)
    band = Band(shares, tolerance)
    if requests:
        bound = log_bound(band, counts, requests, band.outside(counts, requests))
        assert band.log_e(counts, requests) <= bound + 1e-9


@pytest.mark.parametrize("servers", [2, 3, 5, 6, 7, 30])
def test_even_counts_are_no_evidence(servers):
    band = Band([1.0 / servers] * servers, 0.3)
    assert band.log_e([10] * servers, 10 * servers) < 0.0


@pytest.mark.parametrize("servers", [2, 3, 4, 6, 7, 12, 13, 20, 21, 200])
def test_the_weights_of_the_bets_sum_to_one(servers):
    band = Band([1.0 / servers] * servers, 0.3)
    bets = [bet for one in band._sets for bet in (*one.less, *one.more)]
    bets += [bet for bet, _ in band._any_set]
    total = math.fsum(math.exp(bet.log_weight) for bet in bets)
    assert total == pytest.approx(1.0)


@pytest.mark.parametrize("servers", [7, 8, 20, 33, 200])
def test_blocks_are_halves_of_halves_of_two_servers_or_more(servers):
    found = list(blocks(0, servers, BLOCKS))
    assert {(0, servers // 2), (servers // 2, servers)} <= {(a, b) for a, b, _ in found}
    assert all(b - a > 1 for a, b, _ in found)
    assert math.fsum(weight for _, _, weight in found) <= BLOCKS + 1e-12
    assert SINGLES + BLOCKS + ANY_SET == 1.0


def test_the_order_of_a_small_pool_decides_nothing():
    size = LEAST_FOR_BLOCKS - 1
    counts = list(range(1, 10 * size, 10))
    band = Band([1.0 / size] * size, 0.3)
    forward = band.log_e(counts, sum(counts))
    assert band.log_e(counts[::-1], sum(counts)) == pytest.approx(forward)


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


@pytest.mark.parametrize("tolerance", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.8, 0.2]])
def test_no_time_to_stop_brings_the_mean_above_one_in_a_pool_of_two(shares, tolerance):
    band = Band(shares, tolerance)
    for truth in [*corners(band.low, band.high), shares]:
        assert best_stop(band.log_e, truth, 60) <= 1.0 + 1e-9


@pytest.mark.parametrize("shares", [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1], [0.98, 0.01, 0.01]])
def test_no_time_to_stop_brings_the_mean_above_one_in_any_corner_of_a_pool_of_three(shares):
    band = Band(shares, 0.3)
    for truth in [*corners(band.low, band.high), shares]:
        assert best_stop(band.log_e, truth, 20) <= 1.0 + 1e-9


def test_no_time_to_stop_brings_the_mean_above_one_in_the_corner_of_a_pool_of_four():
    band = Band([0.25] * 4, 0.3)
    for truth in ([0.325, 0.325, 0.175, 0.175], [0.25] * 4):
        assert best_stop(band.log_e, truth, 14) <= 1.0 + 1e-9
