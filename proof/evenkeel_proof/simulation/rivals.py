"""What others would have said of the same streams: three rules without a bound over many looks."""

from __future__ import annotations

import math
from collections.abc import Sequence

LOOK_REQUESTS = 500
SAMPLES = 10
# Two-sided 1 % for 10 against 10 samples (H. B. Mann, D. R. Whitney, 1947; any table of U).
MANN_WHITNEY_U = 16


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Return the probability that chi-square with `freedom` degrees exceeds `statistic`.

    The finite sums for whole degrees (Abramowitz & Stegun 26.4.4 and 26.4.5).
    """
    half = statistic / 2.0
    if half <= 0.0:
        return 1.0
    at = 2 if freedom % 2 == 0 else 1
    tail = math.exp(-half) if at == 2 else math.erfc(math.sqrt(half))
    while at < freedom:
        tail += math.exp(at / 2.0 * math.log(half) - half - math.lgamma(at / 2.0 + 1.0))
        at += 2
    return min(1.0, tail)


def counts_of(requests: bytes, servers: int, start: int, end: int) -> list[int]:
    """Return the requests per server of one stretch."""
    return [requests.count(server, start, end) for server in range(servers)]


def chi_square_fails(requests: bytes, shares: Sequence[float], alpha: float) -> int | None:
    """Return the requests after which a chi-square of all so far falls below `alpha`, or None.

    A test for one look at a fixed number, looked at every LOOK_REQUESTS.
    """
    servers = len(shares)
    totals = [0] * servers
    for end in range(LOOK_REQUESTS, len(requests) + 1, LOOK_REQUESTS):
        added = counts_of(requests, servers, end - LOOK_REQUESTS, end)
        totals = [old + new for old, new in zip(totals, added, strict=True)]
        wanted = [share * end for share in shares]
        statistic = sum((n - m) ** 2 / m for n, m in zip(totals, wanted, strict=True))
        if chi_square_tail(statistic, servers - 1) < alpha:
            return end
    return None


def threshold_fails(requests: bytes, shares: Sequence[float], tolerance: float) -> int | None:
    """Return the requests after which the last LOOK_REQUESTS leave the band, or None."""
    for end in range(LOOK_REQUESTS, len(requests) + 1, LOOK_REQUESTS):
        counts = counts_of(requests, len(shares), end - LOOK_REQUESTS, end)
        for count, share in zip(counts, shares, strict=True):
            if abs(count - share * LOOK_REQUESTS) > tolerance * share * LOOK_REQUESTS:
                return end
    return None


def mann_whitney_fails(canary: bytes, control: bytes, servers: int) -> bool:
    """Return whether some server's 10 interval samples differ from the control's at 1 %.

    One look at the end, each server by itself, as canary tools judge their metrics.
    """
    ours, theirs = samples(canary, servers), samples(control, servers)
    return any(u_statistic(ours[at], theirs[at]) <= MANN_WHITNEY_U for at in range(servers))


def samples(requests: bytes, servers: int) -> list[list[int]]:
    """Return the requests of each server in each of SAMPLES equal intervals."""
    size = len(requests) // SAMPLES
    rows = [counts_of(requests, servers, at * size, (at + 1) * size) for at in range(SAMPLES)]
    return [[row[server] for row in rows] for server in range(servers)]


def u_statistic(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the smaller of the two U of Mann and Whitney; ties count one half."""
    above = sum((a > b) + 0.5 * (a == b) for a in ours for b in theirs)
    return min(above, len(ours) * len(theirs) - above)
