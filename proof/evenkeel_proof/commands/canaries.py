"""scripts/canaries: deploy ten changes whose faults no rehearsal can know, and twenty good ones."""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from evenkeel.commands import ROOT, run
from evenkeel.containers.names import lab_name
from evenkeel.records import canonical_json, write_atomically
from evenkeel.terminal import grid, say, show
from evenkeel_proof import lab
from evenkeel_proof.commands.bench import machine
from evenkeel_proof.commands.canary_changes import FAST, FAULTY, FORBIDDEN_SERVER, HARMLESS, Edit
from evenkeel_proof.commands.canary_runs import Row, Runs, go
from evenkeel_proof.lab import client_unit, production

RATE = 150.0
LONGEST_SECONDS = 4 * 3600
EXIT_NOT_AS_WANTED = 1


def main(arguments: list[str]) -> int:
    """Deploy every change and print the tables; give 0 when all went as they should."""
    given = _parser().parse_args(arguments)
    os.environ["EVENKEEL_LAB"] = f"{lab_name(ROOT)[:31]}-canaries"
    changes = ROOT / "changes" / "canaries"
    shutil.rmtree(changes, ignore_errors=True)
    changes.mkdir(parents=True)
    names = FAST if given.fast else given.only or [edit.name for edit in (*FAULTY, *HARMLESS)]
    began = time.monotonic()
    try:
        runs = bring_up(changes)
        faulty = go(runs, _chosen(FAULTY, names), runs.faulty)
        harmless = go(runs, _chosen(HARMLESS, names), runs.harmless)
        value = {
            "machine": machine(len(runs.fleet.hosts)),
            "seconds": round(time.monotonic() - began),
            "rate": RATE,
            "faulty": faulty,
            "harmless": harmless,
            "ok": all(row["as_wanted"] for row in (*faulty, *harmless)),
        }
        # Printed first, as stopping the lab may fail too.
        if given.json:
            write_atomically(Path(given.json).absolute(), canonical_json(value), 0o644)
        show(*drawn(value))
    finally:
        lab.stop()
    return 0 if value["ok"] else EXIT_NOT_AS_WANTED


def _parser() -> argparse.ArgumentParser:
    every = [edit.name for edit in (*FAULTY, *HARMLESS)]
    parser = argparse.ArgumentParser(prog="scripts/canaries", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--fast", action="store_true", help=f"these alone: {', '.join(FAST)}")
    which.add_argument(
        "--only", action="append", choices=every, metavar="CHANGE", help="this one; may be repeated"
    )
    return parser


def _chosen(edits: Sequence[Edit], names: Sequence[str]) -> list[Edit]:
    return [edit for edit in edits if edit.name in names]


def bring_up(changes: Path) -> Runs:
    """Start a lab under traffic, with servers like production's, all on the same release."""
    say("the lab: three balancers, servers like production's, a client")
    fleet = lab.start(fresh=True)
    production.start(fleet)
    production.forbid(fleet, next(iter(fleet.hosts)), FORBIDDEN_SERVER)
    runs = Runs(fleet, changes, say)
    runs.install()
    client_unit.start(fleet, rate=RATE, seconds=LONGEST_SECONDS)
    runs.take_over()
    return runs


def drawn(value: dict[str, Any]) -> Iterator[RenderableType]:
    """Give both tables, and a line about the run."""
    if value["faulty"]:
        header = ("faulty change", "verdict", "reverted by", "seconds", "requests", "other hosts")
        rows = [(*_cells(row), str(row.get("hosts_touched", ""))) for row in value["faulty"]]
        yield from ("", grid(header, rows))
    if value["harmless"]:
        header = ("harmless change", "verdict", "", "seconds", "requests", "fleet")
        rows = [
            (row["name"], row["verdict"], "", *_cells(row)[3:], _ended(row))
            for row in value["harmless"]
        ]
        yield from ("", grid(header, rows))
    wrong = [row["name"] for row in (*value["faulty"], *value["harmless"]) if not row["as_wanted"]]
    words = f"not as wanted: {', '.join(wrong)}" if wrong else "all went as they should"
    yield ""
    yield (
        f"{words}; {value['seconds']} s, {value['rate']:g} requests a second through each host; "
        "seconds and requests are those of the canary until it was decided"
    )


def _cells(row: Row) -> tuple[str, ...]:
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    requests = "" if row["requests"] is None else str(row["requests"])
    return row["name"], row["verdict"], row["by"], seconds, requests


def _ended(row: Row) -> str:
    return "confirmed" if row["as_wanted"] else "NOT CONFIRMED"


if __name__ == "__main__":
    run(main)
