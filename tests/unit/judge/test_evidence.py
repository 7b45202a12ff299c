"""Claims about the evidence: enumerated where that is possible, else simulated with seeds."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.judge import evidence
from evenkeel.judge.band import Band


def every_count(servers, requests):
    """Every way to give `requests` to `servers`, with its multinomial coefficient."""
    for counts in itertools.product(range(requests + 1), repeat=servers):
        if sum(counts) == requests:
            ways = math.factorial(requests)
            for count in counts:
                ways //= math.factorial(count)
            yield counts, ways


def mean_e(log_e, truth, requests):
    """The exact mean of an e-value when the shares really are `truth`."""
    total = 0.0
    for counts, ways in every_count(len(truth), requests):
        chance = ways * math.prod(p**c for p, c in zip(truth, counts, strict=True))
        total += chance * math.exp(log_e(counts))
    return total


@settings(max_examples=60, deadline=None)
@given(
    raw=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=3),
    lean=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3),
    tolerance=st.floats(0.05, 0.6),
    requests=st.integers(1, 7),
)
def test_the_band_e_value_never_has_a_mean_above_one_inside_the_band(
    raw, lean, tolerance, requests
):
    shares = [each / sum(raw) for each in raw]
    push = [w * tolerance * x for w, x in zip(shares, lean, strict=False)]
    push = [each - sum(push) / len(push) for each in push]
    scale = min(
        [1.0] + [tolerance * w / abs(each) for w, each in zip(shares, push, strict=True) if each]
    )
    truth = [w + scale * each for w, each in zip(shares, push, strict=True)]
    band = Band(shares, tolerance)
    assert mean_e(lambda counts: band.log_e(counts, requests), truth, requests) <= 1.0 + 1e-9


@settings(max_examples=100, deadline=None)
@given(
    requests=st.integers(1, 100_000),
    part=st.floats(0.0, 1.0),
    share=st.floats(0.001, 0.95),
    threshold=st.floats(1.0, 20.0),
)
def test_the_ends_of_a_confidence_sequence_are_where_the_evidence_reaches_the_threshold(
    requests, part, share, threshold
):
    count = round(requests * part)
    prior = (10 * share, 10 * (1 - share))
    low, high = evidence.interval(count, requests, prior, threshold)
    assert 0.0 <= low <= count / requests <= high <= 1.0
    for end in (low, high):
        if 1e-9 < end < 1.0 - 1e-9:
            log_e = evidence.log_binary_e(count, requests, prior, end)
            assert log_e == pytest.approx(threshold, abs=1e-4)


def test_a_confidence_sequence_covers_the_truth_at_all_times_together():
    draw = random.Random(11)
    missed = 0
    for _ in range(200):
        count, bad = 0, False
        for n in range(1, 401):
            count += draw.random() < 0.3
            bad = bad or evidence.log_binary_e(count, n, (3.0, 7.0), 0.3) >= math.log(1 / 0.05)
        missed += bad
    assert missed <= 10


def test_without_requests_a_confidence_sequence_excludes_nothing():
    assert evidence.interval(0, 0, (1.0, 2.0), 4.6) == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.001, 0.005, 0.01])
def test_the_rate_e_value_has_no_mean_above_one_within_the_limit(rate):
    mean = sum(
        math.comb(30, k) * rate**k * (1 - rate) ** (30 - k)
        * math.exp(evidence.log_rate_e(k, 30, 0.01))
        for k in range(31)
    )  # fmt: skip
    assert mean <= 1.0 + 1e-9


def test_a_limit_of_zero_is_broken_by_the_first_event():
    assert evidence.log_rate_e(0, 1000, 0.0) == 0.0
    assert evidence.log_rate_e(1, 1000, 0.0) == math.inf
    assert evidence.plain(math.inf) == pytest.approx(1e300)


def test_an_edge_that_rounding_keeps_below_one_is_no_edge():
    shares = [1.0 / 1.53125, 0.53125 / 1.53125]
    band = Band(shares, 0.53125)
    assert math.isfinite(band.log_e([1, 0], 1))
