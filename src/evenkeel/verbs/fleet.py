"""Verbs over the fleet that need no change folder: rollback, status, the program's build."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from evenkeel import __version__
from evenkeel.answers import Drain
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
    Refused,
    printable,
)
from evenkeel.records import Record, check_change_id, read_record, utc_now, write_record
from evenkeel.remote import PROGRAM
from evenkeel.terminal import table
from evenkeel.verbs.context import Context
from evenkeel.verbs.results import HostAnswer, Result

# Characters of a change's name in a message.
_LONGEST_ID = 80


def choose_rollback(context: Context) -> Result:
    """Give the change to undo: the one that is named, none for a named target, else the last."""
    undo, to = str(context.args.get("undo") or ""), context.args.get("to")
    if undo or to:
        return {"changed": False, "undo": undo}
    return {"changed": False, "undo": change_to_undo(context.answers("evenkeel_live"))}


def rollback_outcome(context: Context) -> Result:
    """Account for every host of a rollback, write its outcome and give the recap.

    A host without an answer to `rollback` failed. The record names the outcome of the change that
    was undone as the previous one, when it is here: a rollback needs no change folder.
    """
    started = utc_now()
    hosts, answers = context.names, context.answers("evenkeel_went")
    undo, to = str(context.args.get("undo") or ""), str(context.args.get("to") or "")
    outcomes = {host: _outcome(answers[host]) for host in hosts}
    failed = sorted(host for host, outcome in outcomes.items() if outcome == FAILED)
    moved = [host for host, outcome in outcomes.items() if outcome == REVERTED]
    exit_code = EXIT_OK
    if failed:
        exit_code = EXIT_ROLLBACK_FAILED if moved or len(failed) < len(hosts) else EXIT_REFUSED
    changes = Path(context.args["changes_dir"]).expanduser()
    undone = None
    with suppress(EvenkeelError):
        path = changes / check_change_id(undo) / "outcome.json"
        undone = read_record(path, kind=ledger.OUTCOME, next_step="")
    stamp = started.replace(":", "").replace("-", "").replace(".", "").lower()
    record = Record(
        record="rollback",
        change_id=f"rollback-{stamp}",
        digest=undone.digest if undone else "",
        previous=undone.sha256 if undone else None,
        started=started,
        ended=utc_now(),
        versions={"evenkeel": __version__},
        body={"undo": undo, "to": to, "hosts": outcomes, "exit_code": exit_code},
    )
    write_record(changes / record.change_id / "outcome.json", record)
    rows = []
    for host in hosts:
        ends = (str(answers[host].get(end) or "")[:12] for end in ("from", "to"))
        rows.append((host, outcomes[host], *ends))
    recap = table(("host", "outcome", "from", "to"), rows)
    if failed:
        names = ",".join(failed)
        # By name: a silent host may be back already.
        same = f"-e to={to}" if to else f"-e undo={undo}"
        recap += f"\nnot gone back: {names}; next: scripts/rollback {same} --limit {names}"
    return {"changed": bool(moved), "evenkeel": {"exit_code": exit_code, "recap": recap}}


def _outcome(answer: HostAnswer) -> str:
    """Give the outcome of one host; it is reverted whatever release it left."""
    said = answer.get("outcome")
    return UNTOUCHED if said == UNTOUCHED else REVERTED if said else FAILED


def status(context: Context) -> Result:
    """Give the table of the fleet as the recap."""
    drawn = status_table(context.names, context.answers("evenkeel_live"))
    return {"changed": False, "evenkeel": {"recap": drawn}}


def status_table(hosts: Sequence[str], answers: Mapping[str, HostAnswer]) -> str:
    """Draw one line for each host: its live release, its state, its drift, and what is loaded.

    Below it are the drained servers of all hosts, each with its owner and reason.
    """
    rows = []
    for host in hosts:
        answer = answers.get(host)
        if not answer:
            rows.append((host, "no answer", "", "", "", ""))
            continue
        live, pending = answer.get("live") or {}, answer.get("pending")
        if pending:
            state = f"unconfirmed, {pending.get('remaining_seconds', 0):.0f} s left"
        else:
            state = "confirmed" if live.get("confirmed") else "made by hand"
        rows.append(
            (
                host,
                str(live.get("release") or "-")[:12],
                str(live.get("change") or "-"),
                state,
                "drifted" if answer.get("drift") else "as rendered",
                "loaded" if (answer.get("running") or {}).get("agrees") else "NOT LOADED",
            )
        )
    drawn = table(("host", "release", "change", "state", "files", "process"), rows)
    drains = [
        (host, *_drain_cells(one))
        for host in hosts
        for one in (answers.get(host) or {}).get("drains", ())
    ]
    if drains:
        drawn += "\n\ndrained servers\n"
        drawn += table(("host", "server", "owner", "since", "until", "state", "reason"), drains)
    return drawn


def _drain_cells(one: Drain) -> tuple[str, ...]:
    """Give the cells of one drain; one made by hand on the host has no owner."""
    by_hand = not one.get("owner")
    return (
        printable(f"{one.get('pool')}/{one.get('server')}"),
        "-" if by_hand else printable(str(one["owner"])),
        _minute(one.get("since")) or "-",
        _minute(one.get("until")) or "no end",
        "in force" if one.get("in_force") else "NOT IN FORCE",
        "by hand, no reason given" if by_hand else printable(str(one.get("reason"))),
    )


def _minute(moment: object) -> str:
    """Give a time without its seconds."""
    return f"{moment[:16]}Z" if isinstance(moment, str) else ""


def build_program(context: Context) -> Result:
    """Build the on-host program at `output`, and the hosts' drivers in `drivers/` beside it.

    Changed when a file differs. Raises Refused for a host without `balancer_kind`, for a role
    without a driver, and for a program that watches over a change and would be replaced.
    """
    # A rollback must not wait for these imports.
    from evenkeel.program import build, build_driver, build_of

    hosts = {name: context.hostvars[name] for name in context.names}
    kinds = {name: str(variables.get("balancer_kind") or "") for name, variables in hosts.items()}
    unnamed = [name for name, kind in kinds.items() if not kind]
    if unnamed:
        raise Refused(
            "The inventory does not name the balancer of every host",
            where=f"balancer_kind of {', '.join(unnamed)}",
            wanted="the kind of a role balancer_<kind>, such as haproxy",
            got="no value",
            next_step="set it in the inventory",
        )
    roles = {
        kind: Path(context.args["roles"]) / f"balancer_{kind}"
        for kind in sorted(set(kinds.values()))
    }
    builds = {kind: build_of(role) for kind, role in roles.items()}
    said = {}
    for name, variables in hosts.items():
        there: Any = variables.get("evenkeel_there") or {}
        said[name] = str(there.get("stdout") or "")
    require_idle(said, {name: builds[kind] for name, kind in kinds.items()})
    output = Path(context.args["output"])
    before = _contents(output)
    build(output)
    for role in roles.values():
        build_driver(role, output.parent / "drivers")
    return {"changed": _contents(output) != before, "path": str(output)}


def require_idle(said: Mapping[str, str], builds: Mapping[str, str]) -> None:
    """Raise Problems when a host would lose the program that watches over a change.

    `said` is what each host's program printed for `status` ("" without one), `builds` its new build
    (see `program.build_of`). A program that does not answer may be replaced: that mends it.
    """
    problems = []
    for host, text in said.items():
        try:
            answer = json.loads(text)
            pending, build = answer.get("pending"), answer.get("build")
            change = str(pending and pending.get("change"))[:_LONGEST_ID]
        except (ValueError, AttributeError, RecursionError):
            continue
        if pending and build != builds[host]:
            problems.append(Problem(host, "no change under way", f"change {change} holds it"))
    if problems:
        raise Problems(
            "The install would replace a program that watches over a change",
            problems,
            where=PROGRAM,
            next_step="confirm the change or take it back (scripts/rollback), then install again",
        )


def _contents(output: Path) -> dict[Path, bytes]:
    paths = [output, *output.parent.glob("drivers/*.zip")]
    return {path: path.read_bytes() for path in paths if path.is_file()}
