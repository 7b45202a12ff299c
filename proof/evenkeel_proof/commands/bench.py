"""scripts/bench: time deploy and rollback beside other ways of doing the same.

It also times what needs no host: the rehearsal, its load client beside wrk, and large renderings.
"""

from __future__ import annotations

import argparse
import operator
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import RenderableType

from evenkeel.commands import ROOT, run
from evenkeel.containers.names import lab_name
from evenkeel.errors import Refused
from evenkeel.records import canonical_json, write_atomically
from evenkeel.terminal import grid, say, show
from evenkeel_proof import lab
from evenkeel_proof.commands import bench_alone
from evenkeel_proof.commands.bench_fleet import Bench
from evenkeel_proof.commands.playbook import Playbooks

# Approvals are off, as in the tools we compare with.
UNAPPROVED = {"host_switch_approvals_required": "0"}

# Key in the JSON: title, measured, divided by ("": seconds), target.
RESULTS: dict[str, tuple[str, str, str, str]] = {
    "deploy_over_ssh": ("deploy / bare ssh", "deploy", "ssh_deploy", "<= 3"),
    "rollback_over_ssh": ("rollback / bare ssh", "rollback", "ssh_rollback", "<= 2.5"),
    "conventional_over_deploy": ("conventional / deploy", "conventional", "deploy", ">= 7"),
    "conventional_least_over_deploy": (
        "conventional, its least / deploy",
        "conventional_least",
        "deploy",
        "",
    ),
    "deploy_without_bytecode": (
        "deploy without bytecode / with it",
        "deploy_without_bytecode",
        "deploy_with_bytecode",
        "> 1.1",
    ),
    "rollback_without_bytecode": (
        "rollback without bytecode / with it",
        "rollback_without_bytecode",
        "rollback_with_bytecode",
        "",
    ),
    "load_over_wrk_kept": ("load client / wrk, kept", "load_kept", "wrk_kept", ">= 0.5"),
    "load_over_wrk_new": ("load client / wrk, new", "load_new", "wrk_new", ">= 0.5"),
    "validate_seconds": ("validate.yml, s", "validate", "", "<= 45"),
    "validate_200_servers_seconds": (
        "validate.yml, 200 servers, s",
        "validate_200_servers",
        "",
        "<= 90",
    ),
    "render_10000_servers_seconds": ("render 10,000 servers, s", "render_10000_servers", "", ""),
    "render_100_hosts_seconds": ("render 100 hosts, s", "render_100_hosts", "", ""),
}
TIMED = {
    "deploy": "ours: prepare, check, activate",
    "rollback": "ours: scripts/rollback",
    "deploy_with_bytecode": "ours: deploy, beside the next",
    "deploy_without_bytecode": "ours: deploy, no kept bytecode",
    "rollback_with_bytecode": "ours: rollback, beside the next",
    "rollback_without_bytecode": "ours: rollback, no kept bytecode",
    "ssh_deploy": "bare parallel ssh: deploy",
    "ssh_rollback": "bare parallel ssh: rollback",
    "conventional": "conventional play, Ansible's defaults",
    "conventional_least": "conventional play, its least, our ansible.cfg",
    "validate": "playbooks/validate.yml on the demo's change",
    "validate_200_servers": "playbooks/validate.yml on a pool of 200 servers",
    "render_10000_servers": "render 1 pool of 10,000 servers",
    "render_100_hosts": "render 100 hosts of 10 pools of 10 servers",
}
PER_SECOND = {
    "load_kept": "load client, kept connections",
    "wrk_kept": "wrk, kept connections",
    "load_new": "load client, new connections",
    "wrk_new": "wrk, new connections",
}


def main(arguments: list[str]) -> int:
    """Measure, print the tables and give 0: a missed target is a figure, not a failure."""
    given = _parser().parse_args(arguments)
    os.environ["EVENKEEL_LAB"] = f"{lab_name(ROOT)[:34]}-bench"
    changes = Path(tempfile.mkdtemp(prefix="evenkeel-bench-"))
    measured: dict[str, list[float]] = {}
    try:
        if LOAD in (given.only or [LOAD]):
            say("the load client and wrk, in one staging container")
            measured |= bench_alone.load(changes, given.runs)
        parts = [part for part in given.only or PARTS if part != LOAD]
        if parts:
            bench = _bench(given.hosts, changes)
            for part in parts:
                PARTS[part](bench, given.runs)
            measured |= bench.seconds
    finally:
        lab.stop()
        shutil.rmtree(changes, ignore_errors=True)
    value = report(measured, machine(given.hosts))
    if given.json:
        write_atomically(Path(given.json).absolute(), canonical_json(value), 0o644)
    show(*drawn(value))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--hosts", type=_at_least_one, default=10, metavar="N")
    parser.add_argument("--runs", type=_at_least_one, default=5, metavar="N", help="of each way")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--only",
        action="append",
        choices=[LOAD, *PARTS],
        help="measure this part alone; can be given twice",
    )
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("wanted 1 or more")
    return number


def _bench(hosts: int, changes: Path) -> Bench:
    say(f"the lab {os.environ['EVENKEEL_LAB']} of {hosts} balancers")
    fleet = lab.start(hosts, fresh=True)
    log = changes / "bench.log"
    playbooks = Playbooks(ROOT, fleet.inventory, log, fleet.environment, show=lambda _: None)
    code, said = playbooks.play("install", ansible_user="admin", **UNAPPROVED)
    if code:
        raise Refused("The on-host program could not be installed", got=said[-2000:])
    bench = Bench(fleet, changes, say)
    bench.write_inventory()
    return bench


def _fleet(bench: Bench, runs: int) -> None:
    bench.prepare()
    for number in range(1, runs + 1):
        load = os.getloadavg()[0]
        say(f"run {number} of {runs}, {load:.1f} processes at work")
        bench.run_all(number)


def _bytecode(bench: Bench, runs: int) -> None:
    if not bench.seconds:
        bench.prepare()
    for number in range(1, runs + 1):
        bench.bytecode(number)


def _validate(bench: Bench) -> None:
    bench_alone.validate(bench)
    bench_alone.validate_large(bench)


PARTS: dict[str, Callable[[Bench, int], None]] = {
    "fleet": _fleet,
    "bytecode": _bytecode,
    "render": lambda bench, _: bench_alone.rendering(bench),
    "validate": lambda bench, _: _validate(bench),
}
# It needs no lab, so it comes first, on a quiet machine.
LOAD = "load"


def machine(hosts: int) -> dict[str, Any]:
    """Give what the machine is: figures of one machine mean nothing on another."""
    with Path("/proc/meminfo").open(encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / 2**20
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "hosts": hosts,
    }


def report(measured: Mapping[str, list[float]], of: Mapping[str, Any]) -> dict[str, Any]:
    """Give what --json writes: a figure for each of RESULTS, "raw" medians, all "runs", "missed".

    `measured` holds seconds, and requests a second of what is named in PER_SECOND. A ratio is the
    median of the ratios of runs side by side. What was not measured is None.
    """
    value: dict[str, Any] = {"machine": dict(of), "raw": {}, "runs": {}, "missed": []}
    for key, (_, above, below, target) in RESULTS.items():
        figure = figure_of(measured, above, below)
        value[key] = figure
        if figure is not None and not is_met(figure, target):
            value["missed"].append(key)
    for name, taken in measured.items():
        value["raw"][name] = round(median(taken), 3)
        value["runs"][name] = [round(each, 3) for each in taken]
    return value


def figure_of(seconds: Mapping[str, list[float]], above: str, below: str) -> float | None:
    """Give the median of `above`, or of its ratios to `below`; None when either was not timed."""
    if not seconds.get(above) or (below and not seconds.get(below)):
        return None
    if not below:
        return round(median(seconds[above]), 3)
    pairs = zip(seconds[above], seconds[below], strict=True)
    return round(median(one / other for one, other in pairs), 2)


def is_met(figure: float, target: str) -> bool:
    """Tell whether `figure` is within `target`, such as "<= 3"; without a target it is."""
    if not target:
        return True
    sign, limit = target.split()
    compare = {"<=": operator.le, ">=": operator.ge, ">": operator.gt}[sign]
    return bool(compare(figure, float(limit)))


def drawn(value: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Give the tables of seconds, of requests a second and of figures with their targets."""
    of = value["machine"]
    rows = []
    for key, (what, _, _, target) in RESULTS.items():
        if value[key] is not None:
            verdict = "" if not target else "missed" if key in value["missed"] else "met"
            rows.append((what, f"{value[key]:.2f}", target, verdict))
    yield f"\n{of['hosts']} hosts on one machine of {of['cores']} cores, {of['memory_gib']} GiB"
    tables: list[tuple[Sequence[str], Sequence[Sequence[str]]]] = [
        (("what", "median s", "runs"), _medians(value, TIMED, 2)),
        (("what", "requests/s", "runs"), _medians(value, PER_SECOND, 0)),
        (("figure", "value", "target", ""), rows),
    ]
    for head, cells in tables:
        if cells:
            yield from ("", grid(head, cells))


def _medians(
    value: Mapping[str, Any], names: Mapping[str, str], digits: int
) -> list[tuple[str, str, str]]:
    return [
        (
            what,
            f"{value['raw'][name]:.{digits}f}",
            " ".join(f"{each:.{digits}f}" for each in value["runs"][name]),
        )
        for name, what in names.items()
        if name in value["runs"]
    ]


if __name__ == "__main__":
    run(main)
