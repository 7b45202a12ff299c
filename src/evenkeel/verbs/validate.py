"""Validate: rehearse every distinct bundle in the staging container and record the verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evenkeel import __version__
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EvenkeelError, Inconclusive, Refused
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import Record, utc_now, write_record
from evenkeel.rehearsal.staging import StagingBody, rehearse
from evenkeel.report import write_report


def validate(
    folder: ChangeFolder, role_dir: Path, root: Path, show: Callable[[str], None]
) -> dict[str, Any]:
    """Rehearse the change, write `staging.json` and give its verdict with one line per finding.

    `root` is the checkout that holds molecule/staging. A rehearsal of this very digest that passed
    is not run again. Raises Refused when the bundle is not the one that was rendered, or the
    verdict is fail; Inconclusive when too little was measured.
    """
    render = require_rendered(folder)
    if passed_already(folder):
        return {"changed": False, "verdict": PASS, "summary": ["this digest was rehearsed: pass"]}
    started = utc_now()
    body = rehearse(folder.path, hosts=None, role_dir=role_dir, repo_root=root, progress=show)
    record = Record(
        record=ledger.STAGING,
        change_id=folder.change_id,
        digest=render.digest,
        previous=render.sha256,
        started=started,
        ended=utc_now(),
        versions={"evenkeel": __version__, **body.get("versions", {})},
        body=body,
    )
    write_record(folder.staging_json, record)
    write_report(folder)
    if body["verdict"] != PASS:
        raise _refusal(folder, body)
    return {"changed": True, "verdict": PASS, "summary": findings(body)}


def require_rendered(folder: ChangeFolder) -> Record:
    """Give the record of render; raises Refused when it or a file of the bundle was altered."""
    folder.verify_bundle()
    return ledger.verify_chain(folder, ledger.RENDER).render


def passed_already(folder: ChangeFolder) -> bool:
    """Whether the rehearsal of exactly this digest is on record as passed."""
    try:
        staging = ledger.verify_chain(folder, ledger.STAGING).staging
    except Refused:
        return False
    return staging is not None and staging.body.get("verdict") == PASS


def findings(body: StagingBody) -> list[str]:
    """One line for each check: its verdict, its title, why, and of how many bundles it is true."""
    seen: dict[str, int] = {}
    for bundle in body["bundles"]:
        for check in bundle["checks"]:
            reasons = f": {'; '.join(check['reasons'])}" if check.get("reasons") else ""
            line = f"{check['verdict']:<12} {check['title']}{reasons}"
            seen[line] = seen.get(line, 0) + 1
    every = len(body["bundles"])
    return [line if n == every else f"{line} ({n} of {every} bundles)" for line, n in seen.items()]


def _refusal(folder: ChangeFolder, body: StagingBody) -> EvenkeelError:
    kind = Refused if body["verdict"] == FAIL else Inconclusive
    broken = [line for line in findings(body) if not line.startswith(PASS)]
    return kind(
        f"The rehearsal of {folder.change_id} says {body['verdict']}:\n  "
        + "\n  ".join(broken[:40]),
        where=str(folder.staging_json),
        wanted="every check to pass",
        got=f"{len(broken)} that did not",
        next_step="correct the intent, render it as a new change and validate that",
    )
