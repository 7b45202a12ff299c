"""Verbs over the whole fleet that need no change folder: rollback, status, the program's build."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from evenkeel import __version__
from evenkeel.canary.change_outcome import FAILED, REVERTED, UNTOUCHED
from evenkeel.canary.undo_target import change_to_undo
from evenkeel.change import ledger
from evenkeel.errors import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_ROLLBACK_FAILED,
    EvenkeelError,
    Problem,
    Problems,
    printable,
)
from evenkeel.records import Record, check_change_id, read_record, utc_now, write_record
from evenkeel.remote import PROGRAM
from evenkeel.terminal import table

# Of a change's name, in a message.
_LONGEST_ID = 80


def choose_rollback(answers: Mapping[str, Mapping[str, Any]], undo: str, to: str) -> dict[str, Any]:
    """Give the change to undo: the one that was named, none for a named target, else the last."""
    if undo or to:
        return {"undo": undo}
    return {"undo": change_to_undo(answers)}


def rollback_outcome(
    hosts: list[str],
    answers: Mapping[str, Mapping[str, Any]],
    *,
    undo: str,
    to: str,
    changes_dir: Path,
) -> dict[str, Any]:
    """Account for every host of a rollback, write its outcome and give the recap.

    `answers` maps a host to what `rollback` answered there; a host without an answer failed. The
    record names the outcome of the change that was undone as the one before it, when that is here:
    a rollback works without any change folder.
    """
    started = utc_now()
    outcomes = {host: _state(answers.get(host) or {}) for host in hosts}
    failed = sorted(host for host, outcome in outcomes.items() if outcome == FAILED)
    moved = [host for host, outcome in outcomes.items() if outcome == REVERTED]
    if failed:
        exit_code = EXIT_ROLLBACK_FAILED if moved or len(failed) < len(hosts) else EXIT_REFUSED
    else:
        exit_code = EXIT_OK
    body = {"undo": undo, "to": to, "hosts": outcomes, "exit_code": exit_code}
    _write_record(changes_dir, started, undo, body)
    recap = table(
        ("host", "outcome", "from", "to"),
        [(host, outcomes[host], *_ends(answers.get(host) or {})) for host in hosts],
    )
    if failed:
        names = ",".join(failed)
        # Named: a host that went back and could not say so must not go one further.
        same = f"-e to={to}" if to else f"-e undo={undo}"
        recap += f"\nnot gone back: {names}; next: scripts/rollback {same} --limit {names}"
    return {"changed": bool(moved), "evenkeel": {"exit_code": exit_code, "recap": recap}}


def _write_record(changes_dir: Path, started: str, undo: str, body: Mapping[str, Any]) -> None:
    undone = _outcome_of(changes_dir, undo)
    stamp = started.replace(":", "").replace("-", "").replace(".", "").lower()
    record = Record(
        record="rollback",
        change_id=f"rollback-{stamp}",
        digest=undone.digest if undone else "",
        previous=undone.sha256 if undone else None,
        started=started,
        ended=utc_now(),
        versions={"evenkeel": __version__},
        body=body,
    )
    write_record(changes_dir / record.change_id / "outcome.json", record)


def _outcome_of(changes_dir: Path, change: str) -> Record | None:
    """Give the outcome of the change that goes; a rollback never depends on its being there."""
    with suppress(EvenkeelError):
        path = changes_dir / check_change_id(change) / "outcome.json"
        return read_record(path, kind=ledger.OUTCOME, next_step="")
    return None


def _state(answer: Mapping[str, Any]) -> str:
    """Give what became of a host: one that went back is reverted, whatever it went back from."""
    outcome = answer.get("outcome")
    return UNTOUCHED if outcome == UNTOUCHED else REVERTED if outcome else FAILED


def _ends(answer: Mapping[str, Any]) -> tuple[str, str]:
    return str(answer.get("from") or "")[:12], str(answer.get("to") or "")[:12]


def status_table(hosts: list[str], answers: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw one line for each host: what is live, unconfirmed, drifted, and whether it is loaded.

    Below it stand the servers that are drained anywhere, with who did it and why.
    """
    rows = []
    for host in hosts:
        answer = answers.get(host)
        if not answer:
            rows.append((host, "no answer", "", "", "", ""))
            continue
        live = answer.get("live") or {}
        pending = answer.get("pending")
        rows.append(
            (
                host,
                str(live.get("release") or "-")[:12],
                str(live.get("change") or "-"),
                f"unconfirmed, {pending.get('remaining_seconds', 0):.0f} s left"
                if pending
                else "confirmed"
                if live.get("confirmed")
                else "made by hand",
                "drifted" if answer.get("drift") else "as rendered",
                "loaded" if (answer.get("running") or {}).get("agrees") else "NOT LOADED",
            )
        )
    drawn = table(("host", "release", "change", "state", "files", "process"), rows)
    drains = [
        (host, *_drain(one))
        for host in hosts
        for one in (answers.get(host) or {}).get("drains", ())
    ]
    if drains:
        drawn += "\n\ndrained servers\n"
        drawn += table(("host", "server", "owner", "since", "until", "state", "reason"), drains)
    return drawn


def _drain(one: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the cells of one drain; what was done by hand has no owner, and says so."""
    by_hand = not one.get("owner")
    return (
        printable(f"{one.get('pool')}/{one.get('server')}"),
        "-" if by_hand else printable(str(one["owner"])),
        _minute(one.get("since")) or "-",
        _minute(one.get("until")) or "no end",
        "in force" if one.get("in_force") else "NOT IN FORCE",
        "by hand, nobody said why" if by_hand else printable(str(one.get("reason"))),
    )


def _minute(moment: object) -> str:
    """Give a time without its seconds."""
    return f"{moment[:16]}Z" if isinstance(moment, str) else ""


def build_program(output: Path, roles: Iterable[Path]) -> dict[str, Any]:
    """Build the on-host program at `output`, and the drivers of `roles` in `drivers/` beside it.

    Changed when one differs from what was there. Raises Refused, naming the role, when a role has
    no driver.
    """
    # Imported here: a rollback must not wait for what only the install needs.
    from evenkeel.program import build, build_driver

    before = _contents(output)
    build(output)
    for role in roles:
        build_driver(role, output.parent / "drivers")
    return {"changed": _contents(output) != before, "path": str(output)}


def require_idle(said: Mapping[str, str], builds: Mapping[str, str]) -> None:
    """Refuse to replace the program of a host that watches over a change.

    `said` is what the program on each host printed for `status` ("" without one), `builds` what it
    would become (see `program.build_of`). A program that does not answer may be replaced: nothing
    else would mend it. Raises Problems.
    """
    faults = []
    for host, text in said.items():
        try:
            answer = json.loads(text)
            pending, build = answer.get("pending"), answer.get("build")
            change = str(pending and pending.get("change"))[:_LONGEST_ID]
        except (ValueError, AttributeError, RecursionError):
            continue
        if pending and build != builds[host]:
            faults.append(Problem(host, "no change under way", f"change {change} holds it"))
    if faults:
        raise Problems(
            "Hosts would lose the program that watches over a change",
            faults,
            where=PROGRAM,
            next_step="confirm the change or take it back (scripts/rollback), then install again",
        )


def _contents(output: Path) -> dict[Path, bytes]:
    paths = [output, *output.parent.glob("drivers/*.zip")]
    return {path: path.read_bytes() for path in paths if path.is_file()}
