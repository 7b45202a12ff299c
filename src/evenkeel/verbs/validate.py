"""Validate: rehearse every distinct bundle in the staging container and record the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evenkeel import __version__
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EvenkeelError, Inconclusive, Refused
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import Record, utc_now, write_record
from evenkeel.rehearsal.staging import BundleResult, rehearse
from evenkeel.verbs.context import Context
from evenkeel.verbs.results import Result


def validate(context: Context) -> Result | EvenkeelError:
    """Rehearse the change, write `staging.json` and give its verdict with one line per finding.

    A digest that passed is not rehearsed again. Gives Refused when the verdict is fail, and
    Inconclusive when too little was measured. Raises Refused when the bundle was altered.
    """
    folder = context.folder
    folder.verify_bundle()
    render = ledger.verify_chain(folder, ledger.RENDER).render
    if context.check_mode:
        return {"changed": not passed_already(folder)}
    if passed_already(folder):
        summary = ["this digest was rehearsed: pass"]
        context.show(summary)
        return {"changed": False, "verdict": PASS, "summary": summary}
    started = utc_now()
    role_dir = Path(context.args["role_dir"]).resolve()
    body = rehearse(
        folder.path,
        hosts=None,
        role_dir=role_dir,
        repo_root=role_dir.parent.parent,
        progress=context.task.show,
    )
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
    lines = findings(body["bundles"])
    if body["verdict"] != PASS:
        missed = [line for line in lines if not line.startswith(PASS)]
        kind = Refused if body["verdict"] == FAIL else Inconclusive
        return kind(
            f"The rehearsal of {folder.change_id} says {body['verdict']}:\n  "
            + "\n  ".join(missed[:40]),
            where=str(folder.staging_json),
            wanted="every check to pass",
            got=f"{len(missed)} that did not",
            next_step="correct the intent, render it as a new change and validate that",
        )
    context.show(lines)
    return {"changed": True, "verdict": PASS, "summary": lines}


def passed_already(folder: ChangeFolder) -> bool:
    """Tell whether a rehearsal of exactly this digest is on record as passed."""
    try:
        staging = ledger.verify_chain(folder, ledger.STAGING).staging
    except Refused:
        return False
    return staging is not None and staging.body.get("verdict") == PASS


def findings(bundles: Iterable[BundleResult]) -> list[str]:
    """Give one line for each check: its verdict, title, reasons, and how many bundles have it."""
    bundles = list(bundles)
    seen: dict[str, int] = {}
    for bundle in bundles:
        for check in bundle["checks"]:
            reasons = f": {'; '.join(check['reasons'])}" if check.get("reasons") else ""
            line = f"{check['verdict']:<12} {check['title']}{reasons}"
            seen[line] = seen.get(line, 0) + 1
    every = len(bundles)
    return [line if n == every else f"{line} ({n} of {every} bundles)" for line, n in seen.items()]
