"""Deploy one due change: one playbook run for each stage, one for the confirm.

Records and the hosts' answers decide whether the deploy goes on. A stage has passed when its record
is in the chain, its verdict is pass, and it names all hosts of the stage. Otherwise the change ends
and every host that it reached is rolled back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from evenkeel.canary import plan as plans
from evenkeel.canary.change_outcome import recap
from evenkeel.canary.hold import open_hold
from evenkeel.canary.host_results import ACTIVATE, CONFIRM, ROLLBACK, host_results, write_outcome
from evenkeel.canary.stage import require_passed
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_INCONCLUSIVE, EXIT_REFUSED, Refused
from evenkeel.records import utc_now
from evenkeel.report import write_report
from evenkeel.schedule.runner import Call, Ran, RunPlaybook

# Only attempts that reached a host count.
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
        # Each attempt leaves artifacts that end in its number.
        names = (path.name for path in self.folder.path.glob("runner/artifacts/*"))
        numbers = (name.rpartition(".")[2] for name in names)
        made = max((int(number) for number in numbers if number.isdecimal()), default=0)
        self.attempt = made + 1

    def part(self, playbook: str, name: str, **extra: str | int) -> Ran:
        """Run one playbook for the part `name`; its artifacts get their own folder."""
        self.show(f"{self.folder.change_id}: {name}, attempt {self.attempt}")
        return self.run(Call(playbook, extra, self.ident(name), self.folder.path / "runner"))

    def ident(self, name: str) -> str:
        """Give the folder name of a part's artifacts."""
        return f"{self.folder.change_id}.{name}.{self.attempt}"

    def deploy_part(self, name: str, stage: str) -> Ran:
        """Run the deploy for one stage, or for the confirm."""
        return self.part("deploy", name, change=self.folder.change_id, evenkeel_stage=stage)


def deploy(folder: ChangeFolder, run: RunPlaybook, show: Callable[[str], None]) -> int:
    """Deploy one approved change to its end and give its exit code.

    A change that is held has not ended, so nothing is rolled back. Raises Refused after too many
    attempts, and when the deploy was refused before any host was touched; that is no attempt.
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
            show(f"{folder.change_id} is held: an operator decides, or every host goes back alone")
            return EXIT_INCONCLUSIVE
        _take_back(attempt, started)
    body = ledger.verify_chain(folder, ledger.OUTCOME).outcome
    said: Mapping[str, Any] = body.body if body else {}
    show(recap(folder, said))
    return int(said.get("exit_code", EXIT_REFUSED))


def _go(attempt: Deploy) -> bool:
    """Run all stages, then confirm. Gives False when a stage did not pass."""
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
    # An earlier attempt's record proves nothing about this one.
    return record.ended >= began


def _touched(folder: ChangeFolder) -> bool:
    """Whether a host may have been reached: a stage was opened or a host activated."""
    return (
        folder.outcome_json.exists()
        or folder.stage_results(1).is_dir()
        or folder.stage_json(1).exists()
        or any(folder.path.glob("hosts/*/activate.json"))
    )


def _kept_out(attempt: Deploy, ran: Ran) -> Refused:
    """Give the refusal of a change that reached no host. The next run tries it again.

    Its output replaces that of the previous refusal.
    """
    folder = attempt.folder
    artifacts = folder.path / "runner" / "artifacts"
    kept = artifacts / f"{folder.change_id}.{KEPT_OUT}"
    # If the move fails, the attempt counts.
    with suppress(OSError):
        shutil.rmtree(kept, ignore_errors=True)
        (artifacts / attempt.ident("stage-1")).rename(kept)
    return Refused(
        f"The change {folder.change_id} was kept out before any host was touched",
        where=str(kept),
        got=ran.messages[0].splitlines()[0] if ran.messages else f"status {ran.status}",
        next_step="read the output there; the next run tries the change again",
    )


def _take_back(attempt: Deploy, started: str) -> None:
    """Roll the change back and write the outcome from the hosts' answers."""
    folder = attempt.folder
    ran = attempt.part("rollback", ROLLBACK, undo=folder.change_id)
    results = host_results(folder, plans.load(folder), verbs=(ACTIVATE, CONFIRM))
    for host, known in results.items():
        answer = ran.answers.get(host) or {"status": "unreachable"}
        if answer["status"] != "unreachable":
            known[ROLLBACK] = answer
    write_outcome(folder, results, started)
    write_report(folder)
