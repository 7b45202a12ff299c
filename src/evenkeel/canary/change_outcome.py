"""The outcome of a change: each host ends in exactly one state, and so does the fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from evenkeel.answers import HostError, VerbAnswer
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

# The states in which a host ends.
CONFIRMED = "confirmed"
REVERTED = "reverted"
UNTOUCHED = "untouched"
FAILED = "failed"
LEFT_OUT = "the deploy left it out"
BY_ITSELF = "it went back by itself"

# The outcomes of a change, each with its exit code.
EXIT_CODES = {
    "confirmed": EXIT_OK,
    "refused": EXIT_REFUSED,
    "rolled_back": EXIT_ROLLED_BACK,
    "rollback_failed": EXIT_ROLLBACK_FAILED,
    "inconclusive": EXIT_INCONCLUSIVE,
    "split": EXIT_SPLIT_FLEET,
}


class KeptAnswer(TypedDict):
    """One file `hosts/<host>/<verb>.json`; `status` is "ok" or "failed"."""

    host: NotRequired[str]
    verb: NotRequired[str]
    status: str
    result: VerbAnswer


class OutcomeBody(TypedDict):
    """The body of outcome.json: the state of each host, and a note where it needs one."""

    outcome: str
    exit_code: int
    hosts: dict[str, str]
    notes: dict[str, str]


Answers = Mapping[str, KeptAnswer]
"""The answers of one host by verb."""


def outcome(
    plan: Plan,
    results: Mapping[str, Answers],
    verdict: str = FAIL,
    left_out: Sequence[str] = (),
) -> OutcomeBody:
    """Give the body of outcome.json from the last answers of each host.

    `results` maps a host to its answers to `activate`, `confirm` and `rollback`, as far as there
    are any. `verdict` is the last stage's: a change that went back because too little was measured
    is inconclusive, not rolled back. `left_out` are the hosts of the change that this deploy did
    not name: a change that is confirmed without them leaves the fleet in two states.
    """
    hosts: dict[str, str] = {}
    notes: dict[str, str] = {}
    for host in plan.hosts:
        hosts[host], notes[host] = _state(plan, host, results)
    for host in left_out:
        hosts[host], notes[host] = UNTOUCHED, LEFT_OUT
    states = set(hosts.values())
    if states == {CONFIRMED}:
        word = "confirmed"
    elif CONFIRMED in states:
        word = "split"
    elif FAILED in states:
        word = "rollback_failed"
    elif states == {UNTOUCHED}:
        word = "refused"
    else:
        word = "inconclusive" if verdict in (INCONCLUSIVE, NO_DATA) else "rolled_back"
    return {"outcome": word, "exit_code": EXIT_CODES[word], "hosts": hosts, "notes": notes}


def _state(plan: Plan, host: str, results: Mapping[str, Answers]) -> tuple[str, str]:
    answers = results.get(host) or {}
    last = next((verb for verb in ("rollback", "confirm", "activate") if answers.get(verb)), "")
    if not last:
        stage = next(stage for stage in plan.stages if host in stage.hosts)
        # Then the change may have reached this host.
        if all((results.get(carrier) or {}).get("activate") for carrier in stage.carriers):
            return FAILED, "it gave no answer; if it got the change, its lease takes it back"
        return UNTOUCHED, ""
    result = answers[last].get("result") or {}
    worked = answers[last].get("status") == "ok"
    if last == "confirm" and worked:
        return CONFIRMED, ""
    activation = answers.get("activate")
    activated: VerbAnswer = (activation.get("result") or {}) if activation else {}
    # A failed activation may have reverted the change.
    took_it = bool(activation and activation.get("status") == "ok")
    took_it = took_it or activated.get("outcome") == REVERTED
    if last == "rollback" and worked and result.get("outcome") != UNTOUCHED:
        return REVERTED, ""
    if last == "rollback" and worked:
        # It no longer has the change.
        return (REVERTED, BY_ITSELF) if took_it else (UNTOUCHED, _what(activated))
    if last == "activate" and (result.get("reverted") or result.get("outcome") == REVERTED):
        return REVERTED, BY_ITSELF
    if last == "activate" and worked:
        return FAILED, "it fell silent with the change; its lease takes it back"
    return FAILED, _what(result) or f"{last} failed"


def _what(result: VerbAnswer) -> str:
    """Give the first sentence of a host's error; empty when there is none."""
    error: HostError = result.get("error") or {}
    return str(error.get("what") or "")


def recap(folder: ChangeFolder, body: OutcomeBody) -> str:
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
