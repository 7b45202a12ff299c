"""The program: one verb, one JSON object on standard output, one reserved exit code."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict, List, Optional, TextIO, Tuple

from evenkeel.host import arguments
from evenkeel.host.arguments import Line
from evenkeel.host.errors import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_REVERTED,
    EXIT_ROLLBACK_FAILED,
    BalancerError,
    HostError,
    Refused,
)
from evenkeel.host.state.machine import Machine
from evenkeel.host.state.store import ROOT, Store
from evenkeel.host.system import driver
from evenkeel.host.system.lease import Clock
from evenkeel.host.system.stdin import Input, Stream, forget_environment, forget_process
from evenkeel.host.system.steps import Steps
from evenkeel.host.system.systemd import Units

LARGEST_POLICY_BYTES = 4 * 1024 * 1024
LONGEST_LEASE_SECONDS = 86400.0
# Their errors leave live and journal unchanged.
ONLY_LOOK = ("prepare", "status", "facts", "metrics")
# How long a read-only verb waits for the lock.
BRIEF_SECONDS = 0.2

Answer = Dict[str, Any]
Maker = Callable[[str, Steps], Machine]


def machine_of(balancer: str, steps: Steps) -> Machine:
    """Give the real host of `balancer`."""
    loaded = driver.load(balancer)
    store = Store(os.path.join(ROOT, balancer), steps)
    return Machine(balancer, store, loaded, Units(balancer), Clock(), steps)


def main(
    words: Optional[List[str]] = None,
    stdin: Optional[Stream] = None,
    stdout: Optional[TextIO] = None,
    make: Maker = machine_of,
    steps: Optional[Steps] = None,
) -> int:
    """Run the verb on the command line and give its exit code."""
    forget_environment()
    if stdin is None:
        forget_process()
        stdin = Input(0)
    words = sys.argv[1:] if words is None else words
    code, answer = answer_of(words, stdin, make, steps or Steps())
    out = stdout or sys.stdout
    try:
        text = _line(answer)
    except Exception as error:
        # The work is done, even without an answer.
        code, answer = _unexpected(str(answer.get("verb")), error, touched=code != EXIT_REFUSED)
        text = _line(answer)
    if out is None:
        # Nothing can read the answer.
        return code
    try:
        out.write(text)
        out.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _line(answer: Answer) -> str:
    """Give `answer` as one line of JSON in ASCII, which every terminal and locale can write."""
    import json

    orders: Dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    text = json.dumps(answer, **orders)
    if "\\ud" in text:
        # Replace lone surrogates: they are not valid JSON.
        whole = json.dumps(answer, ensure_ascii=False, **orders).encode("utf-8", "replace")
        text = json.dumps(json.loads(whole), **orders)
    return text + "\n"


def answer_of(words: List[str], stdin: Stream, make: Maker, steps: Steps) -> Tuple[int, Answer]:
    """Run the verb in `words`; give its exit code and the object that it answers."""
    verb = words[2][:80] if len(words) > 2 else ""
    touched = False
    notes: List[str] = []
    try:
        line = arguments.parse(words)
        machine = make(line.balancer, steps)
        notes = machine.notes
        touched = True
        _settle(machine, line)
        touched = line.verb not in ONLY_LOOK
        answer = VERBS[line.verb](machine, line, stdin)
    except HostError as error:
        failed: Answer = {"ok": False, "verb": verb, "changed": error.exit_code == EXIT_REVERTED}
        failed.update(outcome=error.outcome, error=error.as_dict())
        return error.exit_code, _noted(failed, notes)
    except (Exception, KeyboardInterrupt) as error:
        return _unexpected(verb, error, touched)
    code = EXIT_REVERTED if answer.get("reverted") else EXIT_OK
    return code, _noted({"ok": True, "verb": verb, **answer}, notes)


def _noted(answer: Answer, notes: List[str]) -> Answer:
    """Give `answer` with its notes, if there are any."""
    return {**answer, "notes": notes} if notes else answer


def _unexpected(verb: str, error: BaseException, touched: bool) -> Tuple[int, Answer]:
    """Answer an error that no verb expects; with `touched` a switch may have begun."""
    code, outcome = EXIT_REFUSED, "untouched"
    if touched:
        code, outcome = EXIT_ROLLBACK_FAILED, "failed"
    if isinstance(error, BalancerError):
        refused = Refused(
            "The balancer does not answer as it should",
            where="balancer",
            wanted="a running balancer",
            got=str(error)[:300],
            next_step="see the state of the balancer's unit on the host",
        )
        code, outcome = EXIT_REFUSED, "failed"
    elif isinstance(error, (OSError, MemoryError)):
        refused = Refused(
            "The operating system refused an operation",
            where=str(getattr(error, "filename", "") or "system"),
            wanted="free space on the disk and in memory",
            got=f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"[:300],
            next_step="free the resource, then run: evenkeel-host --balancer NAME recover",
        )
    else:
        refused = Refused(
            "Unexpected internal error",
            where=_place(error),
            wanted="no error that the program does not know",
            got=f"{type(error).__name__}: {_text(error)}"[:300],
            next_step="report this error, then run: evenkeel-host --balancer NAME recover",
        )
    answer = {"ok": False, "verb": verb, "changed": False, "outcome": outcome}
    return code, {**answer, "error": refused.as_dict()}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "no words"


def _place(error: BaseException) -> str:
    """Name the line of this program where an error began: a report needs it."""
    trace, place = error.__traceback__, "evenkeel-host"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return place


def _settle(machine: Machine, line: Line) -> None:
    """Finish an overdue revert before a verb that takes no lock, if the lock is free."""
    if line.verb not in ("prepare", "status", "metrics") or line.flags.get("check-only"):
        return
    pending = machine.journal().pending
    if pending is None:
        return
    from evenkeel.host.state.journal import GOING_BACK
    from evenkeel.host.system.lease import is_over
    from evenkeel.host.verbs import revert

    if pending["phase"] != GOING_BACK and not is_over(machine.clock, pending["lease"]):
        return
    try:
        with machine.locked(line.verb, BRIEF_SECONDS) as journal:
            revert.settle(machine, journal)
    except Refused:
        # The holder of the lock settles it.
        return


def _prepare(machine: Machine, line: Line, stdin: Stream) -> Answer:
    from evenkeel.host.verbs import prepare

    values = line.values
    check_only = line.flags.get("check-only", False)
    return prepare.prepare(machine, values["change"], values["release"], stdin, check_only)


def _activate(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import activate

    values = line.values
    lease = _lease(values["lease-seconds"])
    return activate.activate(
        machine, values["change"], values["release"], lease, values.get("base")
    )


def _renew(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import confirm

    return confirm.renew(machine, line.values["change"], _lease(line.values["lease-seconds"]))


def _confirm(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import confirm

    return confirm.confirm(machine, line.values["change"])


def _observe(machine: Machine, line: Line, stdin: Stream) -> Answer:
    import json

    from evenkeel.host.verbs import observe

    data = stdin.read(LARGEST_POLICY_BYTES + 1)
    try:
        policy = json.loads(data) if data.strip() else {}
        if len(data) > LARGEST_POLICY_BYTES or not isinstance(policy, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise Refused(
            "The policy on standard input cannot be read",
            where="standard input",
            wanted="one JSON object",
            got=f"{len(data)} bytes of something else",
        ) from None
    values, flags = line.values, line.flags
    lease = values.get("lease-seconds")
    orders = observe.Orders(
        change=values["change"],
        seconds=float(values["seconds"]),
        lease_seconds=None if lease is None else _lease(lease),
        judge=flags.get("judge", False),
        revert_on_fail=flags.get("revert-on-fail", False),
        fresh=flags.get("fresh", False),
        until_decided=flags.get("until-decided", False),
    )
    return observe.observe(machine, orders, policy)


def _rollback(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import rollback

    return rollback.rollback(machine, line.values.get("to"), line.values.get("undo"))


def _status(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import status

    return status.status(machine, line.flags.get("files", False))


def _facts(machine: Machine, _line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import status

    return status.facts(machine)


def _snapshot(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import retention

    flags = line.flags
    return retention.snapshot(
        machine, line.values["name"], flags.get("pinned", False), flags.get("unpin", False)
    )


def _prune(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import retention

    most, days = line.values.get("keep"), line.values.get("max-age-days")
    return retention.prune(
        machine, None if most is None else int(most), None if days is None else float(days)
    )


def _metrics(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import metrics

    return metrics.metrics(machine, line.values.get("output"))


def _drain(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import drain

    values = line.values
    seconds = values.get("for-seconds")
    orders = drain.Orders(
        values["pool"],
        values["server"],
        values["reason"],
        values["owner"],
        None if seconds is None else int(seconds),
    )
    return drain.drain(machine, orders)


def _undrain(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import drain

    return drain.undrain(machine, line.values["pool"], line.values["server"])


def _recover(machine: Machine, line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import rollback

    return rollback.recover(machine, line.flags.get("boot", False))


def _expire(machine: Machine, _line: Line, _stdin: Stream) -> Answer:
    from evenkeel.host.verbs import rollback

    return rollback.expire(machine)


VERBS: Dict[str, Callable[[Machine, Line, Stream], Answer]] = {
    "prepare": _prepare,
    "activate": _activate,
    "renew": _renew,
    "confirm": _confirm,
    "observe": _observe,
    "rollback": _rollback,
    "status": _status,
    "facts": _facts,
    "snapshot": _snapshot,
    "prune": _prune,
    "drain": _drain,
    "undrain": _undrain,
    "metrics": _metrics,
    "recover": _recover,
    "expire": _expire,
}


def _lease(text: str) -> float:
    seconds = float(text)
    if not 1.0 <= seconds <= LONGEST_LEASE_SECONDS:
        raise Refused(
            "The lease is too short or too long",
            where="--lease-seconds",
            wanted=f"1 to {LONGEST_LEASE_SECONDS:g} seconds",
            got=text,
            next_step="choose a lease in this range",
        )
    return seconds
