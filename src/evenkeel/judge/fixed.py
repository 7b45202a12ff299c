"""Shares counted at the end of a rehearsal, where the clients and their number are ours."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Tuple

from .inputs import checked_counts, intended_shares, of_total, share_reasons, whole_of
from .settings import DEFAULT_TOLERANCE
from .verdict import FAIL, INCONCLUSIVE, NO_DATA, PASS

# For two servers; `_sigmas` allows larger pools more.
SIGMAS = 3.0
UNEQUAL_SLACK = 1.0


def exact_share(
    counts: Mapping[str, int],
    weights: Mapping[str, float],
    slack: float = 2.0,
    *,
    pool: str = "",
) -> Dict[str, Any]:
    """Judge `counts` of a deterministic algorithm: each server has n * share within a slack.

    The slack is in requests: `slack` when the weights are equal, and UNEQUAL_SLACK more when they
    are not. Measured with HAProxy 2.6.12 `balance roundrobin`, 86 pools of 2 to 200 servers,
    weights 1 to 256, after every one of 2,500 to 6,000 requests: at most 1.0 off with equal
    weights and 2.0 with unequal ones. (Stride scheduling alone, which it resembles, promises only
    a multiple of the number of servers: Waldspurger & Weihl 1995.) A balancer whose workers each
    have their own round robin needs its number of workers times as much.
    Raises ValueError for bad weights or counts. Result: as `ShareJudge.result`.
    """
    shares = intended_shares(weights)
    requests = _requests(counts, shares)
    active = [share for share in shares.values() if share > 0.0]
    if active and max(active) > min(active) * 1.000001:
        slack += UNEQUAL_SLACK
    bands = {}
    for name, share in shares.items():
        room = slack / requests if share > 0.0 and requests else 0.0
        bands[name] = (max(0.0, share - room), min(1.0, share + room))
    return dict(_judged(counts, shares, bands, pool), rule="exact", slack=slack)


def diverse_share(
    counts: Mapping[str, int],
    weights: Mapping[str, float],
    tolerance: float = DEFAULT_TOLERANCE,
    *,
    pool: str = "",
) -> Dict[str, Any]:
    """Judge `counts` of hashing or random assignment, each unit a client of its own.

    Fails when a share is outside its band (within `tolerance`, relative) by more than luck,
    passes when all are inside it and the luck is smaller than the band's half width, and is
    inconclusive otherwise (`clients_to_judge` tells how many are needed). The number of clients
    is fixed beforehand, so one look needs no correction; the luck is 3 standard deviations and
    more for larger pools. Raises ValueError for bad input. Result: as `ShareJudge.result`.
    """
    if not 0.0 < tolerance < math.inf:
        raise ValueError("tolerance: wanted a number above 0, got %r" % (tolerance,))
    shares = intended_shares(weights)
    requests = _requests(counts, shares)
    sigmas = _sigmas(shares)
    bands = {}
    for name, share in shares.items():
        luck = sigmas * math.sqrt(share * (1.0 - share) / requests) if requests else 0.0
        low = max(0.0, (1.0 - tolerance) * share - luck)
        bands[name] = (low, min(1.0, (1.0 + tolerance) * share + luck))
    result = dict(_judged(counts, shares, bands, pool), rule="diverse", tolerance=tolerance)
    needed = clients_to_judge(weights, tolerance)
    if result["verdict"] == PASS and requests < needed:
        result["verdict"] = INCONCLUSIVE
        result["reasons"] = [
            "%d %s are too few for this tolerance, wanted at least %d"
            % (requests, of_total(pool), needed)
        ]
    return result


def clients_to_judge(weights: Mapping[str, float], tolerance: float = DEFAULT_TOLERANCE) -> int:
    """Return how many independent clients `diverse_share` needs before it can pass.

    n = sigmas^2 (1 - share) / (share tolerance^2) for the smallest share: then the luck of n draws
    is no larger than the half width of its band. Raises ValueError for bad weights.
    """
    shares = intended_shares(weights)
    active = [share for share in shares.values() if share > 0.0]
    if len(active) < 2:
        return 1
    least = min(active)
    return math.ceil(_sigmas(shares) ** 2 * (1.0 - least) / (least * tolerance**2))


def _sigmas(shares: Mapping[str, float]) -> float:
    """Return the standard deviations of luck that the unluckiest server is allowed."""
    servers = sum(1 for share in shares.values() if share > 0.0)
    return math.sqrt(SIGMAS * SIGMAS + 2.0 * math.log(max(servers, 2) / 2.0))


def _requests(counts: Mapping[str, int], shares: Mapping[str, float]) -> int:
    """Return the requests of the servers that have a share. Raises ValueError for bad counts."""
    checked_counts(counts, shares)
    return sum(count for name, count in counts.items() if shares[name] > 0.0)


def _judged(
    counts: Mapping[str, int],
    shares: Mapping[str, float],
    bands: Mapping[str, Tuple[float, float]],
    pool: str,
) -> Dict[str, Any]:
    """Compare the counts with the bands and return the common result."""
    requests, total = _requests(counts, shares), sum(counts.values())
    servers: Dict[str, Dict[str, Any]] = {}
    rows: List[Tuple[str, float, float, float]] = []
    for name, intended in shares.items():
        count = counts.get(name, 0)
        # A part of everything, so that it never exceeds 1.
        whole = requests if intended > 0.0 else total
        share = count / whole if whole else 0.0
        low, high = bands[name]
        servers[name] = {
            "requests": count, "share": share, "intended": intended, "low": low, "high": high,
        }  # fmt: skip
        wrong = not low - 1e-9 <= share <= high + 1e-9
        if wrong and whole and (intended > 0.0 or count):
            rows.append((name, share, low, high))
    reasons = share_reasons(rows, whole_of(pool))
    verdict = FAIL if reasons else PASS
    if not total:
        verdict, reasons = NO_DATA, ["no %s were counted" % of_total(pool)]
    return {"verdict": verdict, "reasons": reasons, "requests": requests, "servers": servers}
