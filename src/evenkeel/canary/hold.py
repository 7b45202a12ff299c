"""A stage that waits for a person: what was held, until when, and that somebody let it go on.

    canary/<n>.json  >  canary/<n>.hold.json  >  canary/<n>.resume.json

A stage without a clear verdict is held by one long lease on every host that carries the change, so
a person who never comes is silence, and the hosts go home by themselves. Going on needs nothing but
these records and the hosts' own word that they still carry the change. Both records stand beside
the chain: the record of the next stage names the one of this stage, as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evenkeel import __version__
from evenkeel.canary.plan import Plan
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.rollout import SHORTEST_LEASE_SECONDS
from evenkeel.errors import Inconclusive, Problem, Problems, Refused
from evenkeel.host.state.journal import ACTIVATED
from evenkeel.judge.verdict import INCONCLUSIVE, NO_DATA
from evenkeel.records import Record, read_record, utc_now, write_record

HOLD_RECORD, RESUME_RECORD = "hold", "resume"
CONFIRM = "confirm"
HELD = "held"

Object = Mapping[str, Any]


def may_be_held(verdict: object) -> bool:
    """Whether a stage with this verdict may wait for a person; one that failed never does."""
    return verdict in (INCONCLUSIVE, NO_DATA)


def hold_path(folder: ChangeFolder, number: int) -> Path:
    """Where it is written that stage `number` is held."""
    return folder.plan_json.with_name(f"{number}.hold.json")


def resume_path(folder: ChangeFolder, number: int) -> Path:
    """Where it is written that a person let the deploy go on after stage `number`."""
    return folder.plan_json.with_name(f"{number}.resume.json")


def forget(folder: ChangeFolder, number: int) -> None:
    """Remove what an earlier attempt left of a hold of stage `number`."""
    resume_path(folder, number).unlink(missing_ok=True)
    hold_path(folder, number).unlink(missing_ok=True)


def hold(
    folder: ChangeFolder,
    number: int,
    renewed: Mapping[str, Object],
    leased: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    """Write that stage `number` is held and give the record's body.

    `renewed` is what hosts answered to the long lease; those in `leased` have to have it. Raises
    Inconclusive when one of them has not: then the change goes back instead.
    """
    answers = {host: renewed.get(host) or {} for host in leased}
    without = [host for host, answer in answers.items() if answer.get("status") != "ok"]
    if without:
        raise Inconclusive(
            f"Stage {number} of {folder.change_id} cannot be held, so it goes back",
            where=", ".join(without)[:500],
            wanted="the longer lease on every host that carries the change",
            got="no answer, or a refusal",
            next_step="see what these hosts said above",
        )
    started = utc_now()
    stage = ledger.verify_chain(folder, ledger.CANARY, stage=number).canary[-1]
    left = {host: float(answers[host]["result"]["remaining_seconds"]) for host in leased}
    until = now + timedelta(seconds=min(left.values(), default=0.0))
    body = {
        "stage": number,
        "verdict": stage.body.get("verdict"),
        "until": until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "remaining_seconds": left,
    }
    resume_path(folder, number).unlink(missing_ok=True)
    write_record(hold_path(folder, number), _record(HOLD_RECORD, stage, body, started))
    return body


def open_hold(folder: ChangeFolder) -> Record | None:
    """Give the record of the hold that waits for a person; None when nothing is held."""
    if folder.outcome_json.exists():
        return None
    number = ledger.last_stage(folder)
    if not number or not hold_path(folder, number).exists() or _resumed(folder, number):
        return None
    return _read_hold(folder, number)


def let_go_on(folder: ChangeFolder, number: int) -> bool:
    """Whether a person let the deploy go on after stage `number`, and on exactly that record."""
    return hold_path(folder, number).exists() and _resumed(folder, number)


def who_let_go_on(folder: ChangeFolder, number: int) -> dict[str, Any]:
    """Give what the next stage's record keeps of a person who let the deploy go on; {} if none."""
    if not number or not let_go_on(folder, number):
        return {}
    record = _read_resume(folder, number)
    return {"let_go_on": {"person": record.body["person"], "sha256": record.sha256}}


def resume(
    folder: ChangeFolder,
    plan: Plan,
    start_at: str,
    answers: Mapping[str, Object],
    person: str,
    *,
    write: bool,
) -> int:
    """Let a held deploy go on at the stage `start_at` (or `confirm`); give the stage that was held.

    `answers` maps hosts to their answers to `status`. Raises Refused when nothing is held, when the
    held stage is not the one before `start_at`, or when a host does not carry the change any more.
    """
    number = ledger.last_stage(folder)
    path = hold_path(folder, number)
    held = _read_hold(folder, number) if number and path.exists() else None
    after = CONFIRM if number == len(plan.stages) else str(number + 1)
    if held is None or start_at != after:
        raise Refused(
            f"The deploy of {folder.change_id} cannot go on at {start_at[:40]}",
            where="canary_start_at",
            wanted=f"{after}, since stage {number} is held" if held else "a stage that is held",
            got=start_at[:40],
            next_step=f"add -e canary_start_at={after}" if held else "leave canary_start_at out",
        )
    carrying = plan.stage(number).carriers + plan.stage(number).hosts
    _require_carried(folder, held, carrying, answers)
    if write:
        body = {
            "stage": number,
            "start_at": start_at,
            "person": person,
            "hosts": {host: answers[host]["live"]["release"] for host in carrying},
        }
        write_record(resume_path(folder, number), _record(RESUME_RECORD, held, body, utc_now()))
    return number


def _require_carried(
    folder: ChangeFolder, held: Record, hosts: Sequence[str], answers: Mapping[str, Object]
) -> None:
    """Raise Refused unless each of `hosts` still has the change live, confirmed or under lease."""
    entries = folder.manifest()["hosts"]
    problems = []
    for host in hosts:
        answer = answers.get(host) or {}
        got = _why_not_carried(folder.change_id, str(entries[host]["release"]), answer)
        if got:
            problems.append(Problem(host, f"change {folder.change_id} live under its lease", got))
    if problems:
        undo = f"-e undo={folder.change_id}"
        raise Problems(
            f"The hold of {folder.change_id} is over: the deploy cannot go on from it",
            problems,
            where=f"{hold_path(folder, int(held.body['stage']))}, until {held.body['until']}",
            next_step=f"see that every host is back: ansible-playbook playbooks/rollback.yml {undo}"
            ", then deploy the change again from its first stage",
        )


def _why_not_carried(change: str, release: str, answer: Object) -> str:
    live, pending = answer.get("live") or {}, answer.get("pending") or {}
    last = answer.get("last") or {}
    if not live:
        return "no answer"
    if live.get("change") != change or live.get("release") != release:
        if (last.get("change"), last.get("outcome")) == (change, "reverted"):
            return f"it went back at {last.get('at')}: {last.get('reason')}"
        return f"change {live.get('change')} live"
    if live.get("confirmed"):
        return ""
    if pending.get("change") != change or pending.get("phase") != ACTIVATED:
        return "it is going back"
    left = float(pending.get("remaining_seconds") or 0.0)
    if left < SHORTEST_LEASE_SECONDS:
        return f"{left:.0f} s of its lease left, too few to renew it in"
    return ""


def _resumed(folder: ChangeFolder, number: int) -> bool:
    if not resume_path(folder, number).exists():
        return False
    return _read_resume(folder, number).previous == _read_hold(folder, number).sha256


def _read_resume(folder: ChangeFolder, number: int) -> Record:
    path = resume_path(folder, number)
    return read_record(path, kind=RESUME_RECORD, next_step=_take_back(folder))


def _read_hold(folder: ChangeFolder, number: int) -> Record:
    """Read the hold of stage `number`; raises Refused when it is damaged or of another attempt."""
    path = hold_path(folder, number)
    record = read_record(path, kind=HOLD_RECORD, next_step=_take_back(folder))
    stage = ledger.verify_chain(folder, ledger.CANARY, stage=number).canary[-1]
    if (record.previous, record.body.get("stage")) != (stage.sha256, number):
        raise Refused(
            "The record of the hold does not fit the stage that was held",
            where=str(path),
            wanted=f"previous {stage.sha256}",
            got=f"previous {record.previous}",
            next_step=_take_back(folder),
        )
    return record


def _record(kind: str, before: Record, body: Object, started: str) -> Record:
    return Record(
        record=kind,
        change_id=before.change_id,
        digest=before.digest,
        previous=before.sha256,
        started=started,
        ended=utc_now(),
        versions={"evenkeel": __version__},
        body=body,
    )


def _take_back(folder: ChangeFolder) -> str:
    return f"take it back: ansible-playbook playbooks/rollback.yml -e undo={folder.change_id}"
