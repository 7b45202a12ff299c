from evenkeel.canary.history import LARGEST_HISTORY, extend
from evenkeel.report.bars import band_rows, effect_rows, shares_over_time


def row_of(share, low, high, **more):
    return {"share": share, "intended": 0.25, "low": low, "high": high, "requests": 9, **more}


def test_bars_are_to_one_scale_and_the_largest_move_comes_first():
    forecast = {"a": {"before": 0.25, "after": 0.2}, "b": {"before": 0.25, "after": 0.5}}
    rows, more = effect_rows(forecast, {})
    assert [row["server"] for row in rows] == ["b", "a"]
    assert rows[0]["forecast"]["after_length"] == 100
    assert rows[0]["forecast"]["before_length"] == rows[1]["forecast"]["before_length"] == 50
    assert (rows[0]["forecast"]["shift"], more) == ("+25.0", 0)


def test_an_unknown_share_is_no_number_and_moves_nothing():
    forecast = {"a": {"before": 0.5, "after": "unknown"}, "b": {"before": "unknown"}}
    rows = {row["server"]: row["forecast"] for row in effect_rows(forecast, {})[0]}
    assert (rows["a"]["before"], rows["a"]["after"], rows["a"]["shift"]) == ("50.0 %", "?", "")
    assert rows["b"] is None


def test_a_server_that_is_gone_has_no_share_after():
    rows, _ = effect_rows({}, {"10.0.0.1:80": {"before": 0.5, "after": None}})
    assert (rows[0]["measured"]["after"], rows[0]["foreseen"]) == ("none", False)


def test_a_share_outside_of_its_band_comes_first_and_says_so():
    pool = {
        "share": {"tolerance": 0.2},
        "servers": {"a": row_of(0.25, 0.2, 0.3), "b": row_of(0.4, 0.35, 0.45)},
    }
    rows = band_rows(pool)
    assert [(row["server"], row["outside"]) for row in rows] == [("b", True), ("a", False)]
    inside = rows[1]
    assert (
        inside["band_left"] < inside["intended_left"] < inside["band_left"] + inside["band_width"]
    )


def test_a_length_never_leaves_its_track():
    pool = {"share": {"tolerance": 5}, "servers": {"a": row_of(1.0, -1, 7)}}
    (row,) = band_rows(pool)
    for name, value in row.items():
        if name.endswith(("_left", "_width")):
            assert 0 <= value <= 100


def test_a_history_draws_a_line_from_left_to_right_inside_its_box():
    history = []
    for number in range(1, 5):
        pool = {"requests": 10 * number, "servers": {"a": {"share": 0.1 * number}, "b": {}}}
        history = extend(history, 5.0 * number, {"pools": {"app": pool, "idle": {}}})
    times = shares_over_time(history, "app")
    (row,) = band_rows(
        {"share": {"tolerance": 0.2}, "servers": {"a": row_of(0.4, 0.3, 0.5)}}, times
    )
    points = [tuple(map(float, pair.split(","))) for pair in row["chart"]["line"].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[-1][0] == row["chart"]["width"]
    assert all(0 <= y <= row["chart"]["height"] for _, y in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)


def test_a_long_watch_keeps_a_short_history_from_start_to_end():
    history = []
    pool = {"requests": 1, "servers": {"a": {"share": 1.0}}}
    for number in range(5000):
        history = extend(history, number, {"pools": {"app": pool}})
    assert len(history) <= LARGEST_HISTORY
    assert history[-1]["seconds"] == 4999
    assert [point["seconds"] for point in history] == sorted(p["seconds"] for p in history)
