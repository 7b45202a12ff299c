"""scripts/faults: inject every known fault into a lab's host; it must never be stranded."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from evenkeel.commands import ROOT, run
from evenkeel.containers.names import lab_name
from evenkeel.errors import Refused
from evenkeel.records import canonical_json, write_atomically
from evenkeel.terminal import grid, say, show
from evenkeel_proof import lab
from evenkeel_proof.commands.bench import machine
from evenkeel_proof.commands.playbook import Playbooks
from evenkeel_proof.fault_injection import crash, reloads, silence, under_traffic
from evenkeel_proof.fault_injection.fault_host import FaultHost
from evenkeel_proof.fault_injection.tally import Tally, rows

PARTS: dict[str, Callable[[FaultHost, Tally, bool], None]] = {
    "traffic": under_traffic.run,
    "reload": reloads.run,
    "lease": silence.run,
    "crash": crash.run,
}
EXIT_STRANDED = 1
# The changes are made here, so no approval is needed.
UNAPPROVED = {"host_switch_approvals_required": "0"}


def main(arguments: list[str]) -> int:
    """Run the parts and print the table; give 0 when no host is stranded and no request lost."""
    given = _parser().parse_args(arguments)
    os.environ["EVENKEEL_LAB"] = f"{lab_name(ROOT)[:33]}-faults"
    tally, began = Tally(say), time.monotonic()
    try:
        host = bring_up(given.balancer)
        for part in given.only or PARTS:
            say(f"{part}, after {time.monotonic() - began:.0f} s")
            PARTS[part](host, tally, given.fast)
    finally:
        lab.stop()
    report = tally.report({**machine(1), "seconds": round(time.monotonic() - began)})
    if given.json:
        write_atomically(Path(given.json).absolute(), canonical_json(report), 0o644)
    show("", grid(("what", "figure"), rows(report)))
    for ended in tally.stranded:
        say(f"stranded: {ended.part}: {ended.fault}: {ended.detail}")
    return EXIT_STRANDED if report["stranded"] or report["requests_lost"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--fast", action="store_true", help="a part of each part: three minutes")
    parser.add_argument(
        "--only",
        action="append",
        choices=list(PARTS),
        help="run this part alone; can be given twice",
    )
    parser.add_argument("--balancer", default=_kinds()[0], choices=_kinds())
    return parser


def _kinds() -> list[str]:
    prefix = "balancer_"
    return sorted(path.name[len(prefix) :] for path in (ROOT / "roles").glob(f"{prefix}*"))


def bring_up(kind: str) -> FaultHost:
    """Start a lab of one balancer with the on-host program on it, and give that host."""
    fleet = lab.start(1, fresh=True)
    with tempfile.TemporaryDirectory(prefix="evenkeel-faults-") as folder:
        log = Path(folder) / "install.log"
        playbooks = Playbooks(ROOT, fleet.inventory, log, fleet.environment, show=lambda _: None)
        code, said = playbooks.play("install", ansible_user="admin", **UNAPPROVED)
    if code:
        raise Refused("The on-host program could not be installed", got=said[-2000:])
    host = FaultHost(fleet, "lb1", kind)
    host.install()
    return host


if __name__ == "__main__":
    run(main)
