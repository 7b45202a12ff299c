"""Claims about the evidence against a band, enumerated where that is possible."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.judge import scattered
from evenkeel.judge.band import Band
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


@pytest.mark.parametrize("servers", [2, 3, 5, 6, 7, 30])
def test_even_counts_are_no_evidence(servers):
    band = Band([1.0 / servers] * servers, 0.3)
    assert band.log_e([10] * servers, 10 * servers) < 0.0
    assert band.log_bound([10] * servers, 10 * servers, []) == 0.0


def test_the_mass_of_all_alternatives_is_one():
    for shares in ([0.5, 0.5], [0.2] * 5, [0.1] * 10, [0.4, 0.3, 0.1, 0.1, 0.05, 0.03, 0.02]):
        assert Band(shares, 0.3).log_e([0] * len(shares), 1e-12) == pytest.approx(0.0, abs=1e-6)
