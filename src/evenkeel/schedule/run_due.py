"""One scheduled change, part by part: each stage is a call of its own, and so is the confirm.

What goes on is decided from records and per-host answers. A stage has passed when its record is in
the chain with the verdict pass and every one of its hosts; anything else ends the change, and every
host that it reached goes back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from evenkeel.canary import plan as plans
from evenkeel.canary.hold import open_hold
from evenkeel.canary.host_results import ACTIVATE, CONFIRM, ROLLBACK, host_results, write_outcome
from evenkeel.canary.outcome import recap
from evenkeel.canary.stage import require_passed
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_INCONCLUSIVE, EXIT_REFUSED, Refused
from evenkeel.records import utc_now
from evenkeel.report import write_report
from evenkeel.schedule.runner import Call, Ran, RunPlaybook

# A change that may have reached hosts so often, without an outcome, needs a person. One that was
# kept out before it reached any waits for what is in its way: another change, a host, an install.
MOST_ATTEMPTS = 3
KEPT_OUT = "kept-out"


@dataclass
class Deploy:
    """One attempt at one change."""

    folder: ChangeFolder
    run: RunPlaybook
    show: Callable[[str], None]
    attempt: int = 0

    def __post_init__(self) -> None:
        self.attempt = _attempts(self.folder) + 1

    def part(self, playbook: str, name: str, **extra: str | int) -> Ran:
        """Run one playbook for the part `name`, with an ident of its own."""
        self.show(f"{self.folder.change_id}: {name}, attempt {self.attempt}")
        return self.run(Call(playbook, extra, self.ident(name), self.folder.path / "runner"))

    def ident(self, name: str) -> str:
        """Give the name of the artifacts of a part."""
        return f"{self.folder.change_id}.{name}.{self.attempt}"

    def deploy_part(self, name: str, stage: str) -> Ran:
        """Run the deploy for one stage, or for the confirm."""
        return self.part("deploy", name, change=self.folder.change_id, evenkeel_stage=stage)


def deploy(folder: ChangeFolder, run: RunPlaybook, show: Callable[[str], None]) -> int:
    """Deploy one approved change to its end and give the reserved exit code.

    One that is held for a person to decide has not ended: nothing is taken back. Raises Refused
    when it was tried too often, or when the deploy's own gate kept it out before any host was
    touched, which counts as no attempt.
    """
    attempt = Deploy(folder, run, show)
    if attempt.attempt > MOST_ATTEMPTS:
        raise Refused(
            f"The change {folder.change_id} was tried {MOST_ATTEMPTS} times without an outcome",
            where=str(folder.path / "runner"),
            next_step=f"deploy it by hand: ansible-playbook playbooks/deploy.yml "
            f"-e change={folder.change_id}",
        )
    started = utc_now()
    if not _go(attempt) and not folder.outcome_json.exists():
        if open_hold(folder):
            show(f"{folder.change_id} is held: a person decides, or every host goes back alone")
            return EXIT_INCONCLUSIVE
        _take_back(attempt, started)
    body = ledger.verify_chain(folder, ledger.OUTCOME).outcome
    said: Mapping[str, Any] = body.body if body else {}
    show(recap(folder, said))
    return int(said.get("exit_code", EXIT_REFUSED))


def _go(attempt: Deploy) -> bool:
    """Run stage after stage, then confirm; False as soon as something is not as it should be."""
    folder = attempt.folder
    number, last = 1, 1
    while number <= last:
        began = utc_now()
        ran = attempt.deploy_part(f"stage-{number}", str(number))
        if number == 1 and not _touched(folder):
            raise _kept_out(attempt, ran)
        if not _passed(attempt, number, began):
            return False
        last = len(plans.load(folder).stages)
        number += 1
    attempt.deploy_part(CONFIRM, CONFIRM)
    return folder.outcome_json.exists()


def _passed(attempt: Deploy, number: int, began: str) -> bool:
    if attempt.folder.outcome_json.exists():
        return False
    try:
        record = require_passed(attempt.folder, number).canary[-1]
    except Refused as error:
        attempt.show(str(error))
        return False
    # The record of an attempt that was interrupted says nothing of what the hosts run now.
    return record.ended >= began


def _touched(folder: ChangeFolder) -> bool:
    """Whether a host may have been reached: a stage was opened or an activation answered."""
    return (
        folder.outcome_json.exists()
        or folder.stage_results(1).is_dir()
        or folder.stage_json(1).exists()
        or any(folder.path.glob("hosts/*/activate.json"))
    )


def _kept_out(attempt: Deploy, ran: Ran) -> Refused:
    """Give the refusal of a change that reached nobody, which is no attempt: it is tried again.

    Its output takes the place of that of the time before.
    """
    folder = attempt.folder
    artifacts = folder.path / "runner" / "artifacts"
    kept = artifacts / f"{folder.change_id}.{KEPT_OUT}"
    # Where that is not possible it counts as an attempt.
    with suppress(OSError):
        shutil.rmtree(kept, ignore_errors=True)
        (artifacts / attempt.ident("stage-1")).rename(kept)
    return Refused(
        f"The change {folder.change_id} was kept out before any host was touched",
        where=str(kept),
        got=ran.messages[0].splitlines()[0] if ran.messages else f"status {ran.status}",
        next_step="the whole output is there; the change is tried again at the next run",
    )


def _take_back(attempt: Deploy, started: str) -> None:
    """Roll back by the change's name and write the outcome from what each host answered."""
    folder = attempt.folder
    ran = attempt.part("rollback", ROLLBACK, undo=folder.change_id)
    results = host_results(folder, plans.load(folder), verbs=(ACTIVATE, CONFIRM))
    for host, known in results.items():
        answer = ran.answers.get(host) or {"status": "unreachable"}
        if answer["status"] != "unreachable":
            known[ROLLBACK] = answer
    write_outcome(folder, results, started)
    write_report(folder)


def _attempts(folder: ChangeFolder) -> int:
    """Count the attempts so far by their artifacts."""
    names = (path.name for path in folder.path.glob("runner/artifacts/*"))
    numbers = (name.rpartition(".")[2] for name in names)
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
