"""The shipped judge, looked at after every unit, without asking it where the answer is known.

Each bet of the judge multiplies one factor per unit, with mean 1 at most under any p of the band.
So it is the ratio of some other shares to p, and cannot exceed exp(n KL(observed || p)); nor can a
mean of bets. One more unit adds at most -ln(lowest share in the band). So the counts alone give a
number of units within which the threshold cannot be reached, and inside the band a number within
which no share can leave it. The judge gets the units up to there in one update. Its answer is the
same as after every single unit.
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
            bound = log_bound(band, counts, requests, outside)
            if bound >= reach:
                break
            ahead = (reach - bound) // gain
        elif requests >= least:
            break
        else:
            ahead = _inside(band, counts, requests)
        # A bet is closed at the first look after so many units at which every share is inside.
        ahead = max(1.0, min(ahead, least - requests) if requests < least else 1.0)
    return at


def log_bound(band: Band, counts: list[int], requests: int, outside: list[int]) -> float:
    """Return n KL(observed || p) for one p of the band, or infinity when none is found.

    That p has the observed shares, with those of the servers `outside` set on their edges and all
    others scaled alike.
    """
    taken, given, bound = 0, 0.0, 0.0
    for at in outside:
        count = counts[at]
        edge = band.low[at] if count < band.low[at] * requests else band.high[at]
        taken, given = taken + count, given + edge
        bound += count * math.log(count / (edge * requests)) if count else 0.0
    rest = requests - taken
    if not rest or given >= 1.0:
        return math.inf
    scale = (1.0 - given) * requests / rest
    for at in set(range(len(counts))) - set(outside):
        if not band.low[at] * requests <= counts[at] * scale <= band.high[at] * requests:
            return math.inf
    return bound - rest * math.log(scale)


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
