"""scripts/demo: start the lab, play the story on it, and print a table of the results."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evenkeel.errors import EvenkeelError
from evenkeel.records import canonical_json, write_atomically
from evenkeel.terminal import grid, say, show
from evenkeel_proof import lab
from evenkeel_proof.commands.playbook import Playbooks
from evenkeel_proof.commands.story import Story, Surprise
from evenkeel_proof.lab import client_unit

ROOT = Path(__file__).resolve().parents[3]
RATE = 100.0
STEPS = 6


def main(arguments: list[str]) -> int:
    """Play the story; give 0 if every step went as told and no request was lost."""
    argparse.ArgumentParser(prog="scripts/demo", description=__doc__).parse_args(arguments)
    say("Evenkeel's demo: three balancers under continuous traffic, and six things that can happen")
    changes = ROOT / "changes" / "demo"
    shutil.rmtree(changes, ignore_errors=True)
    changes.mkdir(parents=True)
    say("\n0. The lab: balancers with a hand-made configuration, web servers, a client")
    fleet = lab.start(fresh=True)
    story = Story(
        fleet,
        Playbooks(
            root=ROOT,
            inventory=fleet.inventory,
            log=changes / "demo.log",
            environment=fleet.environment,
            extra={"evenkeel_changes_dir": str(changes)},
            show=say,
        ),
        changes,
        say,
    )
    code, _ = story.playbooks.play("install", ansible_user="admin")
    if code:
        say(f"the on-host program could not be installed; see {changes / 'demo.log'}")
        return 1
    client_unit.start(fleet, rate=RATE)
    try:
        steps = tell(story)
    finally:
        totals = client_unit.stop(fleet)
    return finish(steps, totals or {})


def tell(story: Story) -> list[dict[str, Any]]:
    """Play the steps in order; stop after the first that does not go as told."""
    steps: list[dict[str, Any]] = []
    for number, (title, step) in enumerate(_steps(story), 1):
        say(f"\n{number}. {title}")
        before, began = client_unit.read(story.fleet), time.monotonic()
        try:
            outcome, as_told = step(), True
        except (Surprise, EvenkeelError) as surprise:
            outcome, as_told = f"NOT AS TOLD: {surprise}", False
        after = client_unit.read(story.fleet)
        steps.append(
            {
                "name": title,
                "outcome": outcome,
                "as_told": as_told,
                "seconds": round(time.monotonic() - began, 1),
                "requests": after["requests"] - before["requests"],
                **_failed(story, before, after, by_change=step == story.nat_change),
            }
        )
        say(f"  = {outcome}; {steps[-1]['requests']} requests, {steps[-1]['failed']} failed")
        if not as_told:
            break
    return steps


def _steps(story: Story) -> list[tuple[str, Callable[[], str]]]:
    return [
        ("Take over from a hand-made configuration", story.take_over),
        ("Two more servers and a new route", story.good_change),
        ("2024-06-20: a routine edit of weights", story.skewed_change),
        ("Hash on source, but all clients are behind NAT", story.nat_change),
        ("The controller dies right after an activation", story.lost_controller),
        ("Roll the fleet back", story.roll_back),
    ]


def _failed(
    story: Story, before: dict[str, Any], after: dict[str, Any], *, by_change: bool
) -> dict[str, int]:
    """Count failed requests; those of the bad change's own canary are counted apart."""
    failed = int(after["failed"] - before["failed"])
    canary = next(iter(story.fleet.hosts))
    own = after["balancers"][canary]["failed"] - before["balancers"][canary]["failed"]
    apart = int(own) if by_change else 0
    return {"failed": failed - apart, "failed_by_the_change": apart}


def finish(steps: list[dict[str, Any]], totals: dict[str, Any]) -> int:
    """Draw the table, write changes/demo.json and give the exit code."""
    apart = sum(step["failed_by_the_change"] for step in steps)
    failed = int(totals.get("failed", -1)) - apart
    ok = len(steps) == STEPS and all(step["as_told"] for step in steps) and failed == 0
    value = {
        "steps": steps,
        "requests_total": totals.get("requests"),
        "requests_failed": failed,
        "requests_failed_by_the_change_on_its_canary": apart,
        "requests_retried": totals.get("retried"),
        "ok": ok,
    }
    write_atomically(ROOT / "changes" / "demo.json", canonical_json(value), 0o644)
    rows = [
        (
            step["name"],
            step["outcome"],
            f"{step['seconds']:.0f}",
            str(step["requests"]),
            str(step["failed"]),
        )
        for step in steps
    ]
    show("", grid(("what", "outcome", "seconds", "requests sent", "requests failed"), rows))
    say(
        f"\n{totals.get('requests')} requests in all, {failed} failed"
        f" ({apart} more on the canary by its own bad change); written to changes/demo.json"
    )
    if not ok:
        say(f"not everything went as told; reasons of failed requests: {totals.get('reasons')}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
