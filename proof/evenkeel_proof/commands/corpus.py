"""scripts/corpus: take the corpus of wrong and harmless changes through render and rehearsal."""

from __future__ import annotations

import argparse
import os
import queue
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evenkeel.change.declarations import Declared
from evenkeel.commands import ROOT, run
from evenkeel.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REFUSED, Refused, UsageError
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import canonical_json, write_atomically
from evenkeel.terminal import say, show
from evenkeel.verbs.inventory import read_files
from evenkeel_proof.corpus import cases, containers, tables
from evenkeel_proof.corpus.cases import Case
from evenkeel_proof.corpus.road import Result, Road

CORPUS = ROOT / "tests" / "corpus"
# One for each station and kind of traffic, and three that must pass.
FAST = (
    "weight-one-of-three-is-1",
    "check-port-nobody-listens-at",
    "route-shadowed-by-one-before-it",
    "add-a-server",
    "timeout-server-up",
)
EXIT_MISSED = 1
# Every other file is a configuration.
CASES = (".yml", ".yaml", ".json")


def main(arguments: list[str]) -> int:
    """Run the cases and print the table, or one case and print its verdict."""
    given = _parser().parse_args(arguments)
    role = ROOT / "roles" / f"balancer_{given.balancer}"
    if given.base and not given.case:
        raise UsageError("--baseline goes with --case", wanted="--case NEW.cfg --baseline LIVE.cfg")
    if given.case:
        return _one(given, role)
    # Wrong changes first: a run that is stopped early says most then.
    chosen = sorted(_chosen(cases.load_all(CORPUS), given), key=lambda case: not case.wrong)
    began = time.monotonic()
    results = run_all(chosen, role, given.jobs)
    sums = tables.figures(results, time.monotonic() - began)
    if given.json:
        write_atomically(Path(given.json).absolute(), canonical_json(sums), 0o644)
    show(*tables.drawn(results, sums))
    well = not sums["no_verdict"] and all(
        tables.in_time(one) if one.wrong else not one.stopped_at for one in results
    )
    return EXIT_OK if well else EXIT_MISSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/corpus", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures and every case there too")
    parser.add_argument("--class", dest="kind", metavar="CLASS", help="cases of this class alone")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this case alone; may be repeated"
    )
    parser.add_argument("--fast", action="store_true", help="a handful of cases")
    parser.add_argument("--case", metavar="FILE", help="one case of your own, or a configuration")
    parser.add_argument(
        "--baseline", dest="base", metavar="FILE", help="the configuration that is live now"
    )
    parser.add_argument(
        "--declared",
        metavar="FILE",
        help="waivers and intended_shifts of a configuration by hand (YAML)",
    )
    parser.add_argument("--balancer", default="haproxy", help="whose role to use (haproxy)")
    parser.add_argument(
        "--jobs",
        type=_at_least_one,
        default=os.cpu_count() or 1,
        metavar="N",
        help="containers at the same time (one for each core)",
    )
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("wanted 1 or more")
    return number


def _chosen(found: list[Case], given: argparse.Namespace) -> list[Case]:
    names = list(FAST) if given.fast else given.only
    chosen = [
        case
        for case in found
        if (not given.kind or case.kind == given.kind) and (not names or case.name in names)
    ]
    unknown = sorted(set(names or ()) - {case.name for case in found})
    if unknown or not chosen:
        raise UsageError(
            "There is no such case",
            where=str(CORPUS),
            wanted="the name of a case, or one of the classes "
            + ", ".join(sorted({case.kind for case in found})),
            got=", ".join(unknown) or str(given.kind),
        )
    return chosen


def run_all(chosen: Sequence[Case], role: Path, jobs: int) -> list[Result]:
    """Run the cases, each container taking the next as soon as it is free."""
    with (
        tempfile.TemporaryDirectory(prefix="evenkeel-corpus-") as scratch,
        containers.kept(min(jobs, len(chosen)), role) as all_of_them,
        ThreadPoolExecutor(len(all_of_them)) as pool,
    ):
        road = Road(Path(scratch), role)
        free: queue.SimpleQueue[containers.Container] = queue.SimpleQueue()
        for container in all_of_them:
            free.put(container)
        done = 0

        def one(case: Case) -> Result:
            nonlocal done
            container = free.get()
            try:
                result = road.run(case, container)
                if result.trouble:
                    # A busy machine is no verdict: try a second container.
                    result = road.run(case, container)
            finally:
                free.put(container)
            done += 1
            say(
                f"{done:4} of {len(chosen)}  {_word(result):20}  {result.name}{_surprise(result)}",
                sys.stderr,
            )
            return result

        return list(pool.map(one, chosen))


def _word(result: Result) -> str:
    if result.trouble:
        return "no verdict"
    return f"stopped at {result.stopped_at}" if result.stopped_at else "passed"


def _surprise(result: Result) -> str:
    """Give the reason where something else was wanted, for readers of a long run."""
    if result.trouble:
        return f": {' '.join(result.trouble.split())[:200]}"
    if result.wrong:
        return "" if tables.in_time(result) else f": wanted at {result.wanted}"
    return f": {'; '.join(result.reasons)[:300]}" if result.stopped_at else ""


def _one(given: argparse.Namespace, role: Path) -> int:
    if given.base or Path(given.case).suffix not in CASES:
        declared = cases.load_declared(Path(given.declared)) if given.declared else None
        results = [_by_hand(Path(given.case), given.base and Path(given.base), role, declared)]
    elif given.declared:
        raise UsageError("A case declares what it waives and intends itself", where=given.case)
    else:
        found = cases.load(Path(given.case))
        results = run_all(found, role, min(given.jobs, len(found)))
    for result in results:
        say("\n".join([f"case {result.name}", *tables.verdict_lines(result)]))
    if given.json:
        sums = tables.figures(results, sum(one.seconds for one in results))
        write_atomically(Path(given.json).absolute(), canonical_json(sums), 0o644)
    if any(one.trouble for one in results):
        return EXIT_INCONCLUSIVE
    verdicts = {one.verdict for one in results}
    if verdicts == {PASS}:
        return EXIT_OK
    return EXIT_REFUSED if FAIL in verdicts else EXIT_INCONCLUSIVE


def _by_hand(candidate: Path, base: Path | None, role: Path, declared: Declared | None) -> Result:
    """Rehearse a configuration by hand; raises UsageError first if it cannot be read."""
    try:
        for path in filter(None, (candidate, base)):
            read_files(path, role)
    except Refused as error:
        raise UsageError(
            error.what, where=error.where, wanted=error.wanted, got=error.got
        ) from None
    with (
        tempfile.TemporaryDirectory(prefix="evenkeel-corpus-") as scratch,
        containers.kept(1, role) as (container,),
    ):
        return Road(Path(scratch), role).by_hand(candidate, base, container, declared)


if __name__ == "__main__":
    run(main)
