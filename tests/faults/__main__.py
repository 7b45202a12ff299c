"""Inject every fault at unit level, and count: python -m faults [--json FILE] [--steps N] [--fast].

Needs `src` and `tests` on PYTHONPATH. Prints one line for each kind; FILE gets {"points",
"injected", "stranded", "outcomes", "steps", "failures"}. Ends with 0 only when no host is stranded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from faults import disks, kills, power
from faults.cases import CASES
from faults.kills import STRANDED, Injection

Counts = dict[str, object]


def injections(folder: Path, fast: bool = False) -> Iterator[tuple[str, Injection]]:
    """Give every injection with its kind, as it is made. `fast` makes about one in eight."""
    for found in kills.inject(folder / "kills", CASES, in_turn=fast):
        yield "kill", found
    cut = list(kills.interrupted(folder / "cut", CASES[:: 4 if fast else 1]))
    for found in kills.inject(folder / "again", cut, in_turn=fast):
        yield "kill of a recovery", found
    for found in power.inject(folder / "power", CASES, one_of=8 if fast else 1):
        yield "power loss", found
    for found in disks.inject(folder / "disks", CASES, one_of=8 if fast else 1):
        yield "broken disk", found


def count(folder: Path, fast: bool = False) -> Counts:
    """Inject and count. A point is one step or operation of one case."""
    points: set[tuple[str, ...]] = set()
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    failures = []
    for kind, found in injections(folder, fast):
        points.add((kind, found.case, found.step))
        kinds[kind] += 1
        outcomes[found.outcome] += 1
        if found.outcome == STRANDED:
            failures.append(f"{found.case}, {found.moment} {found.step}: {found.why}")
    return {
        "points": len(points),
        "injected": sum(kinds.values()),
        "stranded": outcomes[STRANDED],
        "outcomes": dict(outcomes),
        "kinds": dict(kinds),
        "failures": failures,
    }


def main() -> int:
    """Do as the command line says and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--steps", type=int, default=10000, help="of random lives; 0 for none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true")
    chosen = parser.parse_args()
    # A killed process loses nothing, and a lost power is simulated: the real disk may be lazy.
    os.fsync = lambda handle: None
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="evenkeel-faults-") as folder:
        counts = count(Path(folder), chosen.fast)
        if chosen.steps:
            from faults.live import live

            counts["steps"] = live(chosen.steps, chosen.seed)
    counts["seconds"] = round(time.monotonic() - began, 1)
    for name, value in counts.items():
        sys.stdout.write(f"{name}: {value}\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(counts, indent=1) + "\n")
    return 1 if counts["stranded"] else 0


if __name__ == "__main__":
    sys.exit(main())
