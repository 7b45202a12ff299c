"""scripts/judge_bench: the judge's false alarms, its speed beside the limit, and what it costs."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from evenkeel.commands import run
from evenkeel.records import canonical_json, write_atomically
from evenkeel.terminal import say, show
from evenkeel_proof.commands.judge_tables import drawn
from evenkeel_proof.simulation import cost, detection, false_alarms, fleet_faults, fleet_study
from evenkeel_proof.simulation.shifts import Shift, every_shift
from evenkeel_proof.simulation.streams import KINDS

REQUESTS = 100_000
# The runs of the other parts, as parts of those of the A/A part.
DETECTION_PART = 16
INCIDENT_PART = 5
PASSING_PART = 50
FLEET_PART = 300
# None of these may be exceeded; decision 18 says why they are enough.
TARGETS = {
    "ratio_mean": 2.4,
    "ratio_worst": 4.0,
    # Fewer than 40.
    "incident_requests": 39,
    "false_alarm_rate": 0.01,
}
EXIT_MISSED = 1

Map = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], list[Any]]


def main(arguments: list[str]) -> int:
    """Measure and print the tables; give 0, or 1 when a figure misses its target."""
    given = _parser().parse_args(arguments)
    value: dict[str, Any] = {"machine": _machine(given.jobs, given.runs), "seconds": {}}
    with ProcessPoolExecutor(given.jobs) as pool:

        def spread(work: Callable[..., Any], rows: Iterable[tuple[Any, ...]]) -> list[Any]:
            columns = list(zip(*rows, strict=True))
            return list(pool.map(work, *columns, chunksize=1)) if columns else []

        for part in given.only or PARTS:
            began = time.monotonic()
            say(f"measuring {part} ...", sys.stderr)
            value |= PARTS[part](given.runs, spread)
            value["seconds"][part] = round(time.monotonic() - began, 1)
    if given.json:
        write_atomically(Path(given.json).absolute(), canonical_json(value), 0o644)
    show(*drawn(value, TARGETS))
    missed = [key for key, most in TARGETS.items() if value.get(key, 0.0) > most]
    for key in missed:
        say(f"missed: {key} is {value[key]:.3f}, wanted at most {TARGETS[key]:g}", sys.stderr)
    return EXIT_MISSED if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/judge_bench", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--runs",
        type=_at_least_twenty,
        default=1000,
        metavar="N",
        help="A/A runs of each kind; the other parts take a part of it (default: 1000)",
    )
    parser.add_argument(
        "--only", action="append", choices=sorted(PARTS), help="this part alone; may be repeated"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)"
    )
    return parser


def _at_least_twenty(text: str) -> int:
    number = int(text)
    if number < 20:
        raise argparse.ArgumentTypeError("wanted 20 or more")
    return number


def _false_alarms(runs: int, spread: Map) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        rows = spread(false_alarms.one_run, [(kind, at, REQUESTS) for at in range(runs)])
        found[kind] = false_alarms.summed(rows)
        say(f"  {kind}: {found[kind]['judge']:.4f}", sys.stderr)
    rates = {kind: row["judge"] for kind, row in found.items()}
    return {
        "false_alarm_rate": max(rates.values()),
        "false_alarm_rates": rates,
        "false_alarms": found,
    }


def _detection(runs: int, spread: Map) -> dict[str, Any]:
    each = max(5, runs // DETECTION_PART)
    shifts = list(every_shift(false_alarms.TOLERANCE, false_alarms.ALPHA))
    rows = spread(detection.measured, [(shift, _runs_of(shift, each)) for shift in shifts])
    figures = detection.overall(rows)
    return {
        "ratio_mean": figures["ratio_mean"],
        "ratio_worst": figures["ratio_worst"],
        "detection": {**figures, "runs": each, "rows": rows},
    }


def _runs_of(shift: Shift, runs: int) -> int:
    """Return fewer runs for what is shown apart: it takes long and nothing hangs on it."""
    return runs if shift.counted else max(3, runs // 10)


def _incident(runs: int, spread: Map) -> dict[str, Any]:
    each = max(20, runs // INCIDENT_PART)
    rows = spread(detection.incident, [(name, each) for name in detection.INCIDENTS])
    return {"incident_requests": max(row["median"] for row in rows), "incidents": rows}


def _passing(runs: int, spread: Map) -> dict[str, Any]:
    each = max(5, runs // PASSING_PART)
    rows = [(n, random_draws, each) for n in (2, 3, 5, 10, 50) for random_draws in (False, True)]
    return {"requests_to_pass": spread(cost.requests_to_pass, rows)}


def _fleet(runs: int, spread: Map) -> dict[str, Any]:
    cells = spread(fleet_study.cell, fleet_study.rows(max(2, runs // FLEET_PART)))
    return {
        "fleet": {
            "hosts": fleet_study.HOSTS,
            "bake_seconds": {
                f"{rate:g}": fleet_study.bake_seconds(rate) for rate in fleet_study.RATES
            },
            "plans": {name: list(stages) for name, stages in fleet_study.PLANS.items()},
            "faults": {fault.name: fault.words for fault in fleet_faults.FAULTS},
            "cells": cells,
        }
    }


def _cost(_runs: int, _spread: Map) -> dict[str, Any]:
    rows = [cost.update_cost(servers) for servers in cost.POOL_SERVERS]
    return {
        "update_microseconds": max(row["microseconds_per_server"] for row in rows),
        "updates": rows,
    }


PARTS: dict[str, Callable[[int, Map], dict[str, Any]]] = {
    "cost": _cost,
    "incident": _incident,
    "passing": _passing,
    "detection": _detection,
    "fleet": _fleet,
    "false_alarms": _false_alarms,
}


def _machine(jobs: int, runs: int) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processes": jobs,
        "runs": runs,
        "requests_per_run": REQUESTS,
    }


if __name__ == "__main__":
    run(main)
