"""Shares as lengths for drawing: bars before and after, intervals on bands, lines over time.

Shares are numbers from 0 to 1; every `_length`, `_left` and `_width` is a percentage of its track.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

Object = Mapping[str, Any]

# Rows that move most come first.
MOST_ROWS = 40
# The box of a chart, in SVG units.
CHART_WIDTH = 240
CHART_HEIGHT = 36


class Move(TypedDict):
    """A server's share before and after a change."""

    before: str
    after: str
    before_length: float
    after_length: float
    points: float
    shift: str


class EffectRow(TypedDict):
    """One server of a pool: its forecast and its measured move, None where unknown."""

    server: str
    foreseen: bool
    forecast: Move | None
    measured: Move | None


class Chart(TypedDict):
    """One server's share over time, as an SVG line in a box of `width` x `height`."""

    line: str
    band_top: float
    band_height: float
    seconds: str
    width: int
    height: int


class BandRow(TypedDict):
    """One server of a watched pool: its share with interval, on its band."""

    server: str
    share: str
    intended: str
    requests: int
    status: str
    outside: bool
    band_left: float
    band_width: float
    interval_left: float
    interval_width: float
    intended_left: float
    share_left: float
    chart: Chart | None


def percent(share: object) -> str:
    """Give a share as "33.3 %", an unknown one as "?", None as "none"."""
    known = _known(share)
    return f"{100 * known:.1f} %" if known is not None else "none" if share is None else "?"


def effect_rows(forecast: Object, measured: Object) -> tuple[list[EffectRow], int]:
    """Give a row for each server of a pool, the largest move first, and the number left out.

    `forecast` and `measured` map a server to `{"before", "after"}`: shares, None for a server that
    is not there, or anything else for an unknown share.
    """
    shares = [
        _known(row.get(side))
        for table in (forecast, measured)
        for row in table.values()
        for side in ("before", "after")
    ]
    top = max([0.01, *(share for share in shares if share is not None)])
    rows: list[EffectRow] = [
        {
            "server": name,
            "foreseen": name in forecast,
            "forecast": _move(forecast.get(name), top),
            "measured": _move(measured.get(name), top),
        }
        for name in {*forecast, *measured}
    ]

    def largest_first(row: EffectRow) -> tuple[float, str]:
        moves = (row["forecast"], row["measured"])
        return -max(abs(move["points"]) if move else 0.0 for move in moves), row["server"]

    rows.sort(key=largest_first)
    return rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)


def _move(row: Object | None, top: float) -> Move | None:
    """Give the move of a server; None where both shares are unknown, or the server is missing."""
    before, after = (_known(row.get(side)) if row else None for side in ("before", "after"))
    if row is None or (before is None and after is None):
        return None
    known = before is not None and after is not None
    points = 100 * ((after or 0.0) - (before or 0.0)) if known else 0.0
    return {
        "before": percent(row.get("before")),
        "after": percent(row.get("after")),
        "before_length": _length(before, top),
        "after_length": _length(after, top),
        "points": points,
        "shift": (f"{points:+.1f}" if abs(points) >= 0.05 else "±0.0") if known else "",
    }


def band_rows(pool: Object, history: Sequence[tuple[float, Object]] = ()) -> list[BandRow]:
    """Give a row for each server of a watched pool; servers outside of their band come first.

    `pool` is a pool of an observe result or of a stage's record; `history` holds (seconds, shares)
    of the same pool. A band is the intended share ± `tolerance`, a part of it.
    """
    tolerance = (pool.get("share") or pool).get("tolerance")
    room = float(tolerance) if isinstance(tolerance, int | float) else 0.0
    servers = {
        name: server
        for name, server in (pool.get("servers") or {}).items()
        if _known(server.get("share")) is not None
    }
    bands: dict[str, tuple[float, float]] = {}
    for name, server in servers.items():
        intended = float(server.get("intended") or 0.0)
        bands[name] = max(0.0, intended * (1 - room)), min(1.0, intended * (1 + room))
    tops = [high for _, high in bands.values()] + [float(s["share"]) for s in servers.values()]
    top = min(1.0, 1.15 * max([*tops, 0.01]))
    rows = [_band_row(name, server, bands[name], top, history) for name, server in servers.items()]
    rows.sort(key=lambda row: (not row["outside"], row["server"]))
    return rows[:MOST_ROWS]


def _band_row(
    name: str,
    server: Object,
    band: tuple[float, float],
    top: float,
    history: Sequence[tuple[float, Object]],
) -> BandRow:
    share = float(server["share"])
    low, high = (float(server.get(edge, share)) for edge in ("low", "high"))
    return {
        "server": name,
        "share": percent(share),
        "intended": percent(server.get("intended")),
        "requests": int(server.get("requests") or 0),
        "status": str(server.get("status") or "active"),
        "outside": not band[0] <= share <= band[1],
        "band_left": _length(band[0], top),
        "band_width": _length(band[1], top) - _length(band[0], top),
        "interval_left": _length(low, top),
        "interval_width": _length(high, top) - _length(low, top),
        "intended_left": _length(server.get("intended"), top),
        "share_left": _length(share, top),
        "chart": _chart(name, band, history),
    }


def _chart(
    server: str, band: tuple[float, float], history: Sequence[tuple[float, Object]]
) -> Chart | None:
    """Give the line of one server's share over time, with its band; None for under two points."""
    points = [(when, float(shares[server])) for when, shares in history if server in shares]
    if len(points) < 2:
        return None
    end = points[-1][0] or 1.0
    top = max([share for _, share in points] + [band[1], 0.01]) * 1.1

    def down(share: float) -> float:
        return CHART_HEIGHT * (1 - min(1.0, share / top))

    line = " ".join(f"{CHART_WIDTH * when / end:.1f},{down(share):.1f}" for when, share in points)
    return {
        "line": line,
        "band_top": round(down(band[1]), 1),
        "band_height": round(down(band[0]) - down(band[1]), 1),
        "seconds": f"{end:.0f} s",
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
    }


def _length(share: object, top: float) -> float:
    return round(100 * min(1.0, max(0.0, (_known(share) or 0.0) / top)), 2)


def _known(share: object) -> float | None:
    return float(share) if isinstance(share, int | float) else None


def shares_over_time(history: Iterable[Object], pool: str) -> list[tuple[float, Object]]:
    """Give (seconds, {server: share}) of one pool for each point of a result's history."""
    return [
        (float(point["seconds"]), point["pools"][pool]["servers"])
        for point in history
        if pool in (point.get("pools") or {})
    ]
