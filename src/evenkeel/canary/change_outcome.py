"""Account for every host of a change: each ends in exactly one state, and so does the fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenkeel.canary.plan import Plan
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.ledger import next_after
from evenkeel.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_ROLLBACK_FAILED,
    EXIT_ROLLED_BACK,
    EXIT_SPLIT_FLEET,
    one_line,
)
from evenkeel.judge.verdict import FAIL, INCONCLUSIVE, NO_DATA
from evenkeel.terminal import table

# What became of a host.
CONFIRMED = "confirmed"
REVERTED = "reverted"
UNTOUCHED = "untouched"
FAILED = "failed"
LEFT_OUT = "the deploy left it out"
BY_ITSELF = "it went back by itself"

# What became of the change, and what its commands exit with.
EXIT_CODES = {
    "confirmed": EXIT_OK,
    "refused": EXIT_REFUSED,
    "rolled_back": EXIT_ROLLED_BACK,
    "rollback_failed": EXIT_ROLLBACK_FAILED,
    "inconclusive": EXIT_INCONCLUSIVE,
    "split": EXIT_SPLIT_FLEET,
}

Answers = Mapping[str, Mapping[str, Any]]


def outcome(
    plan: Plan,
    results: Mapping[str, Answers],
    verdict: str = FAIL,
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Give the body of outcome.json from what each host answered last.

    `results` maps a host to its answers to `activate`, `confirm` and `rollback`, as far as there
    are any: `{"status": ok|failed, "result": {…}}`. `verdict` is the last stage's: a change that
    went back because too little was measured is inconclusive, not rolled back. `left_out` are the
    hosts that it was rendered for and that this deploy did not name: confirmed without them, it
    leaves the fleet in two states.
    """
    hosts, notes = {}, {}
    for host in plan.hosts:
        hosts[host], notes[host] = _state(plan, host, results)
    for host in left_out:
        hosts[host], notes[host] = UNTOUCHED, LEFT_OUT
    word = _word(set(hosts.values()), verdict)
    return {"outcome": word, "exit_code": EXIT_CODES[word], "hosts": hosts, "notes": notes}


def _state(plan: Plan, host: str, results: Mapping[str, Answers]) -> tuple[str, str]:
    answers = results.get(host) or {}
    last = next((verb for verb in ("rollback", "confirm", "activate") if answers.get(verb)), "")
    if not last:
        if _was_reached(plan, host, results):
            return FAILED, "it gave no answer; if it got the change, its lease takes it back"
        return UNTOUCHED, ""
    answer = answers[last]
    result = answer.get("result") or {}
    worked = answer.get("status") == "ok"
    if last == "confirm" and worked:
        return CONFIRMED, ""
    activation = answers.get("activate") or {}
    said = activation.get("result") or {}
    # An activation that failed may have gone there and back.
    there = activation.get("status") == "ok" or said.get("outcome") == REVERTED
    if last == "rollback" and worked and result.get("outcome") != UNTOUCHED:
        return REVERTED, ""
    if last == "rollback" and worked:
        # A host that no longer has the change when it is asked to give it up, but once took it.
        return (REVERTED, BY_ITSELF) if there else (UNTOUCHED, _what(said))
    if last == "activate" and (result.get("reverted") or result.get("outcome") == REVERTED):
        return REVERTED, BY_ITSELF
    if last == "activate" and worked:
        return FAILED, "it fell silent with the change; its lease takes it back"
    return FAILED, _what(result) or f"{last} failed"


def _what(result: Mapping[str, Any]) -> str:
    """Give what a host's refusal or failure says in a sentence; empty when there is none."""
    return str((result.get("error") or {}).get("what") or "")


def _was_reached(plan: Plan, host: str, results: Mapping[str, Answers]) -> bool:
    """Whether the change may have got to `host`: every host before its stage took it."""
    stage = next(stage for stage in plan.stages if host in stage.hosts)
    return all((results.get(before) or {}).get("activate") for before in stage.carriers)


def _word(states: set[str], verdict: str) -> str:
    if states == {CONFIRMED}:
        return "confirmed"
    if CONFIRMED in states:
        return "split"
    if FAILED in states:
        return "rollback_failed"
    if states == {UNTOUCHED}:
        return "refused"
    return "inconclusive" if verdict in (INCONCLUSIVE, NO_DATA) else "rolled_back"


def recap(folder: ChangeFolder, body: Mapping[str, Any]) -> str:
    """Draw every host with its outcome, then the change's, then the next command to type."""
    notes = body.get("notes") or {}
    rows = [(host, state, str(notes.get(host) or "")) for host, state in body["hosts"].items()]
    words = str(body["outcome"]).replace("_", " ")
    return "\n".join(
        [
            table(("host", "outcome", ""), rows),
            "",
            one_line(f"change {folder.change_id}: {words} (exit code {body['exit_code']})"),
            one_line(f"next: {next_after(folder.change_id, body)}"),
            f"more: {folder.path / 'report.html'}",
        ]
    )
