"""Shares as lengths: bars before → after, confidence intervals on their band, lines over time.

Everything here gives plain numbers and words for the template; lengths are percent of a track.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]

# More rows than this nobody reads; those that move most come first.
MOST_ROWS = 40
# The box that a line over time is drawn in.
CHART_WIDTH = 240
CHART_HEIGHT = 36


def percent(share: object) -> str:
    """Give "33.3 %"; a question mark for what nobody knows, "none" for what is not there."""
    known = _known(share)
    return f"{100 * known:.1f} %" if known is not None else "none" if share is None else "?"


def effect_rows(forecast: Object, measured: Object) -> tuple[list[dict[str, Any]], int]:
    """Give one row for each server of a pool, the largest move first, and how many were left out.

    `forecast` and `measured` map a server to `{"before", "after"}`: shares 0 to 1, or something
    else where nobody knows.
    """
    names = sorted({*forecast, *measured})
    shares = [
        _known(row.get(side))
        for table in (forecast, measured)
        for row in table.values()
        for side in ("before", "after")
    ]
    top = max([0.01, *(share for share in shares if share is not None)])
    rows: list[dict[str, Any]] = [
        {
            "server": name,
            "foreseen": name in forecast,
            "forecast": _move(forecast.get(name), top),
            "measured": _move(measured.get(name), top),
        }
        for name in names
    ]
    rows.sort(
        key=lambda row: (-max(_points(row["forecast"]), _points(row["measured"])), row["server"])
    )
    return rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)


def _move(row: Object | None, top: float) -> dict[str, Any] | None:
    """Give a row's move; None where the server is not, or where nothing at all is known of it."""
    if row is None:
        return None
    before, after = (_known(row.get(side)) for side in ("before", "after"))
    if before is None and after is None:
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


def _points(move: Object | None) -> float:
    return abs(float(move["points"])) if move else 0.0


def band_rows(pool: Object, history: Sequence[tuple[float, Object]] = ()) -> list[dict[str, Any]]:
    """Give one row for each server of a watched pool: its share with interval, on its band.

    `pool` is a pool of an observe result or of a stage's record; `history` holds (seconds, shares)
    of the same pool. A server outside of its band comes first.
    """
    facts = pool.get("share") or pool
    tolerance = facts.get("tolerance")
    servers = {
        n: s for n, s in (pool.get("servers") or {}).items() if _known(s.get("share")) is not None
    }
    edges = [_band(server, tolerance) for server in servers.values()]
    tops = [high for _, high in edges] + [float(s["share"]) for s in servers.values()]
    top = min(1.0, 1.15 * max([*tops, 0.01]))
    rows = [
        _band_row(name, server, _band(server, tolerance), top, history)
        for name, server in servers.items()
    ]
    rows.sort(key=lambda row: (not row["outside"], row["server"]))
    return rows[:MOST_ROWS]


def _band(server: Object, tolerance: object) -> tuple[float, float]:
    intended = float(server.get("intended") or 0.0)
    room = float(tolerance) if isinstance(tolerance, int | float) else 0.0
    return max(0.0, intended * (1 - room)), min(1.0, intended * (1 + room))


def _band_row(
    name: str,
    server: Object,
    band: tuple[float, float],
    top: float,
    history: Sequence[tuple[float, Object]],
) -> dict[str, Any]:
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
) -> dict[str, Any] | None:
    """Give the line of one server's share over time in a box, with its band, or None."""
    points = [(when, float(shares[server])) for when, shares in history if server in shares]
    if len(points) < 2:
        return None
    end = points[-1][0] or 1.0
    top = max([share for _, share in points] + [band[1], 0.01]) * 1.1
    line = " ".join(
        f"{CHART_WIDTH * when / end:.1f},{_down(share, top):.1f}" for when, share in points
    )
    return {
        "line": line,
        "band_top": round(_down(band[1], top), 1),
        "band_height": round(_down(band[0], top) - _down(band[1], top), 1),
        "seconds": f"{end:.0f} s",
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
    }


def _down(share: float, top: float) -> float:
    return CHART_HEIGHT * (1 - min(1.0, share / top))


def _length(share: object, top: float) -> float:
    return round(100 * min(1.0, max(0.0, (_known(share) or 0.0) / top)), 2)


def _known(share: object) -> float | None:
    return float(share) if isinstance(share, int | float) else None


def shares_over_time(history: Iterable[Object], pool: str) -> list[tuple[float, Object]]:
    """Give (seconds, {server: share}) of one pool from a result's history."""
    return [
        (float(point["seconds"]), point["pools"][pool]["servers"])
        for point in history
        if pool in (point.get("pools") or {})
    ]
