"""Sum up the results of the cases: figures as JSON, and a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType

from evenkeel.terminal import grid
from evenkeel_proof.corpus.cases import ALERT, CANARY, RENDER, STAGING, STATIONS
from evenkeel_proof.corpus.road import MISSED, Result


def in_time(result: Result) -> bool:
    """Whether a wrong change was stopped at its case's station or before."""
    if result.wanted == ALERT:
        return True
    stopped = result.stopped_at
    return bool(stopped) and STATIONS.index(stopped) <= STATIONS.index(result.wanted)


def figures(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Give the sums; cases without a verdict of the container are counted apart."""
    judged = [one for one in results if not one.trouble]
    wrong = [one for one in judged if one.wrong]
    harmless = [one for one in judged if not one.wrong]
    known = [one for one in wrong if one.wanted in (RENDER, STAGING)]
    return {
        "wrong": {
            "total": len(wrong),
            "stopped_before_deploy": sum(one.stopped_at in (RENDER, STAGING) for one in wrong),
            "stopped_by_canary": sum(one.stopped_at == CANARY for one in wrong),
            "missed": sum(not one.stopped_at for one in wrong),
            "classes": len({one.kind for one in wrong}),
            "knowable_before_deploy": len(known),
            "knowable_and_stopped": sum(in_time(one) for one in known),
        },
        "harmless": {
            "total": len(harmless),
            "stopped": sum(bool(one.stopped_at) for one in harmless),
        },
        "native_check_stopped": sum(bool(one.native_check_stopped) for one in wrong),
        "no_verdict": len(results) - len(judged),
        "seconds_per_change": round(sum(one.seconds for one in judged) / len(judged), 1)
        if judged
        else 0.0,
        "seconds": round(seconds, 1),
        "cases": [one.as_dict() for one in results],
    }


def drawn(results: Sequence[Result], sums: dict[str, Any]) -> Iterator[RenderableType]:
    """Give the table by class, then every miss and every false stop with its reason."""
    head = ("class", "cases", RENDER, STAGING, CANARY, MISSED, "own check alone")
    wrong = [one for one in results if one.wrong and not one.trouble]
    kinds = sorted({one.kind for one in wrong})
    rows = [_row(kind, [one for one in wrong if one.kind == kind]) for kind in kinds]
    yield grid(head, [*rows, _row("all wrong changes", wrong)], numbers=True)
    harmless = sums["harmless"]
    counts = sums["wrong"]
    yield (
        f"\nknowable before production: {counts['knowable_and_stopped']} of"
        f" {counts['knowable_before_deploy']} stopped before deploy"
    )
    yield f"harmless changes: {harmless['stopped']} of {harmless['total']} stopped"
    yield f"{sums['seconds_per_change']} s per change, {sums['seconds']:.0f} s in all"
    for one in results:
        yield from _shown(one)


def _row(kind: str, results: Sequence[Result]) -> list[str]:
    at = [one.stopped_at for one in results]
    stations = [at.count(station) for station in (RENDER, STAGING, CANARY, "")]
    alone = sum(bool(one.native_check_stopped) for one in results)
    return [kind, *map(str, (len(results), *stations, alone))]


def _shown(one: Result) -> list[str]:
    if one.trouble:
        return [f"no verdict: {one.name}: {' '.join(one.trouble.split())[:300]}"]
    if one.wrong and not in_time(one):
        late = f"stopped only at {one.stopped_at}" if one.stopped_at else "not stopped"
        return [f"missed: {one.name} ({one.kind}): {late}, wanted at {one.wanted}"]
    if not one.wrong and one.stopped_at:
        return [f"false stop: {one.name} at {one.stopped_at}: {'; '.join(one.reasons)[:400]}"]
    return []


def verdict_lines(result: Result) -> list[str]:
    """Give the result of one case, with every reason."""
    notes = [f"  note: {note}" for note in result.notes]
    if result.trouble:
        return [f"no verdict: {result.trouble}"]
    if not result.stopped_at:
        said = "pass: nothing stopped it"
        said += " (with the judge under production's traffic)" if result.canary else ""
        return [said, *notes]
    return [
        f"{result.verdict}: stopped at {result.stopped_at} by {', '.join(result.checks)}",
        *(f"  {reason}" for reason in result.reasons),
        *notes,
    ]
