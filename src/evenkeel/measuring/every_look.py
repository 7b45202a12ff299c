"""The shipped judge, looked at after every unit, without asking it where the answer is known.

No e-value against the band exceeds n KL(observed || band) (see `evenkeel.judge.band`), and one more
unit adds at most -ln(lowest share in the band) to that. So from the counts alone follows a number
of units within which the threshold cannot be reached, and inside the band a number within which
no share can leave it. The judge itself is given the units up to there in one update; its answer is
the same as after every single one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evenkeel.judge.band import Band
from evenkeel.judge.segment import BET_REQUESTS, BET_REQUESTS_PER_SERVER
from evenkeel.judge.share import ShareJudge


@dataclass(frozen=True)
class Looked:
    """What came of one stream: units until `fail` (None: never), looks, calls of the judge."""

    failed_at: int | None
    units: int
    calls: int


def look_at_every_unit(judge: ShareJudge, units: bytes, skip: bool = True, step: int = 1) -> Looked:
    """Give `units` (indices of the judge's servers in name order) to `judge` until it fails.

    `skip=False` calls it after every unit; `step` looks after every so many units only.
    """
    names, band = judge.segment.names, judge.segment.band
    if band is None:
        raise ValueError("the judge has fewer than two servers with a share")
    at = calls = 0
    while at < len(units):
        ahead = _safe(judge, band) if skip else 1
        until = min(len(units), at + max(step, ahead))
        added = {
            name: count
            for index, name in enumerate(names)
            if (count := units.count(index, at, until))
        }
        judge.update(added)
        at, calls = until, calls + 1
        if judge.failed():
            return Looked(at, at, calls)
    return Looked(None, at, calls)


def _safe(judge: ShareJudge, band: Band) -> int:
    """Return how many units may follow before the judge's answer or its bet could change."""
    counts, requests = judge.segment.bet()
    outside = band.outside(counts, requests)
    if outside or not requests:
        bound = band.log_bound(counts, requests, outside) if requests else 0.0
        gain = -math.log(min(band.low)) if min(band.low) > 0.0 else math.inf
        ahead = math.ceil((judge.log_reach() - bound) / gain) if bound < math.inf else 1
    else:
        ahead = _inside(band, counts, requests)
    # A bet is closed at the first look after so many units at which every share is inside.
    left = max(BET_REQUESTS, BET_REQUESTS_PER_SERVER * len(counts)) - requests
    return max(1, min(ahead, left) if left > 0 else 1)


def _inside(band: Band, counts: list[int], requests: int) -> int:
    """Return a number of units within which no share can have left its band before the last."""
    ahead = math.inf
    for at, count in enumerate(counts):
        low, high = band.low[at], band.high[at]
        if low > 0.0:
            ahead = min(ahead, count / low - requests)
        if high < 1.0:
            ahead = min(ahead, (high * requests - count) / (1.0 - high))
    return int(min(ahead, 1e9))
