"""The sums count each case once, where it was stopped, and trouble is never a pass."""

from evenkeel_proof.corpus import tables
from evenkeel_proof.corpus.road import Result

from evenkeel.terminal import plain


def result(name, wanted="", stopped_at="", **more):
    return Result(name, "weights", bool(wanted), wanted, stopped_at=stopped_at, **more)


RESULTS = [
    result("a", "render", "render"),
    result("b", "staging", "staging", native_check_stopped=True),
    result("c", "canary", "canary", native_check_stopped=False),
    result("d", "staging", ""),
    result("e", "staging", "canary"),
    result("f"),
    result("g", "", "staging", reasons=["why"]),
    result("h", "staging", trouble="no answer"),
]


def test_the_sums_say_where_each_case_was_stopped():
    sums = tables.figures(RESULTS, 10.0)
    assert sums["wrong"]["total"] == 5
    assert sums["wrong"]["stopped_before_deploy"] == 2
    assert sums["wrong"]["stopped_by_canary"] == 2
    assert sums["wrong"]["missed"] == 1
    assert sums["wrong"]["knowable_before_deploy"] == 4
    assert sums["wrong"]["knowable_and_stopped"] == 2
    assert sums["harmless"] == {"total": 2, "stopped": 1}
    assert sums["native_check_stopped"] == 1
    assert sums["no_verdict"] == 1


def test_the_table_names_every_miss_and_every_false_stop_and_all_trouble():
    text = plain(*tables.drawn(RESULTS, tables.figures(RESULTS, 10.0)))
    assert "missed: d (weights): not stopped, wanted at staging" in text
    assert "missed: e (weights): stopped only at canary, wanted at staging" in text
    assert "false stop: g at staging: why" in text
    assert "no verdict: h" in text


def test_a_run_of_nothing_but_trouble_has_no_seconds():
    sums = tables.figures([result("h", "staging", trouble="x")], 1.0)
    assert sums["seconds_per_change"] == 0.0


def test_a_verdict_is_told_with_its_reasons():
    said = tables.verdict_lines(
        result("x", "staging", "staging", verdict="fail", checks=["share:web"], reasons=["so"])
    )
    assert said == ["fail: stopped at staging by share:web", "  so"]
