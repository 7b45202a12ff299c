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
        until = _until(judge, band, units, at, step) if skip else min(len(units), at + step)
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


def _until(judge: ShareJudge, band: Band, units: bytes, at: int, step: int) -> int:
    """Return the first unit from `at` on after which the judge's answer or its bet may change."""
    counts, requests = judge.segment.bet()
    reach, least = judge.log_reach(), max(BET_REQUESTS, BET_REQUESTS_PER_SERVER * len(counts))
    gain = -math.log(min(band.low)) if min(band.low) > 0.0 else math.inf
    ahead, size = max(1.0, reach // gain) if not requests else 1.0, len(units)
    while at < size:
        until = min(size, at + max(step, int(ahead)))
        if until == at + 1:
            counts[units[at]] += 1
        else:
            counts = [old + units.count(each, at, until) for each, old in enumerate(counts)]
        requests += until - at
        at = until
        outside = band.outside(counts, requests)
        if outside:
            bound = band.log_bound(counts, requests, outside)
            if bound >= reach:
                break
            # A part of the bet that begins to count adds to what is possible.
            ahead = min((reach - bound) // gain, band.next_start(requests) - requests)
        elif requests >= least:
            break
        else:
            ahead = _inside(band, counts, requests)
        # A bet is closed at the first look after so many units at which every share is inside.
        ahead = max(1.0, min(ahead, least - requests) if requests < least else 1.0)
    return at


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
