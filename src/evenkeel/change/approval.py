"""Approval: a second person signs exactly what was rehearsed.

The signed document is the record of the approval. It binds the change id, the digest, the record of
the rehearsal, the live release of each host, every file that the approver saw, and an expiry.
Author and approver are both listed in the file of allowed signers, so one person cannot act as two
under an invented name. A rollback needs no approval.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evenkeel import __version__
from evenkeel.change import approval_view, ledger, rollout, signature
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.identities import (
    check_person,
    one_key_two_names,
    require_known_author,
    require_listed,
    require_second_key,
    require_second_person,
)
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.host.state.signers import LARGEST_BYTES, LONGEST_VALID_HOURS
from evenkeel.records import (
    Record,
    read_file,
    read_record,
    utc_now,
    write_atomically,
    write_record,
)

DEFAULT_VALID_HOURS = 72


@dataclass(frozen=True)
class Approval:
    """One valid approval of the change `digest`.

    Times are ISO 8601 UTC; `changed` is False when it existed before.
    """

    person: str
    fingerprint: str
    given: str
    expires: str
    digest: str
    changed: bool = False


def require_rehearsed(folder: ChangeFolder) -> Record:
    """Give the record of a rehearsal that passed, of a bundle that is unaltered.

    Raises Refused otherwise.
    """
    folder.verify_bundle()
    staging = ledger.verify_chain(folder, ledger.STAGING).staging
    verdict = staging.body.get("verdict") if staging else None
    if staging is None or verdict != "pass":
        raise Refused(
            "The rehearsal did not pass, so there is nothing to approve",
            where=str(folder.staging_json),
            wanted="verdict pass",
            got=f"verdict {verdict}",
            next_step="correct the intent, then render and validate it as a new change",
        )
    return staging


def approve(
    folder: ChangeFolder,
    person: str,
    key: Path,
    signers: Path,
    *,
    valid_hours: float = DEFAULT_VALID_HOURS,
    now: datetime | None = None,
    seen: approval_view.Binding | None = None,
) -> Approval:
    """Sign the change as `person`: write `approvals/<person>.json` and its signature.

    A valid approval of the same person is kept. Raises Refused, before anything is written, for
    every approval that `verify` would not count, and when the approval would bind something else
    than `seen`: what the person saw (`approval_view.binding`).
    """
    if not 0 < valid_hours <= LONGEST_VALID_HOURS:
        raise Refused(
            "An approval cannot be valid for that long",
            wanted=f"more than 0 and at most {LONGEST_VALID_HOURS} hours",
            got=f"{valid_hours:g}",
            next_step=f"give --valid-hours, or leave it out for {DEFAULT_VALID_HOURS} hours",
        )
    moment = now or datetime.now(UTC)
    existing = given_before(folder, person, key, signers, now=moment)
    if existing:
        return existing
    staging, path = require_rehearsed(folder), folder.approvals / f"{person}.json"
    record = Record(
        record=ledger.APPROVAL,
        change_id=folder.change_id,
        digest=staging.digest,
        previous=staging.sha256,
        started=utc_now(),
        ended=utc_now(),
        versions={"evenkeel": __version__},
        body={
            "approver": person,
            "expires": _iso(moment + timedelta(hours=valid_hours)),
            **approval_view.bound(folder),
        },
    )
    if seen is not None:
        again = ledger.next_command(folder.change_id, ledger.APPROVAL)
        for name, wanted in seen.items():
            _require_same(name, wanted, _bound_by(record).get(name), path, again)
    armoured = signature.sign(record.encode(), key)
    used = signature.verify(record.encode(), armoured, person, signers)
    require_second_key(folder, person, used, signers)
    # A signature without its document has no effect.
    write_atomically(path.with_name(f"{path.name}.sig"), armoured)
    write_record(path, record)
    expires = str(record.body["expires"])
    return Approval(person, used, record.started, expires, record.digest, changed=True)


def given_before(
    folder: ChangeFolder, person: str, key: Path, signers: Path, *, now: datetime | None = None
) -> Approval | None:
    """Give the valid approval of `person`, or None when `key` would sign a new one.

    Nothing is signed or written. Raises Refused for what `approve` refuses before it signs.
    """
    check_person(person)
    staging = require_rehearsed(folder)
    require_known_author(folder, signers)
    require_second_person(folder, person)
    path = folder.approvals / f"{person}.json"
    if path.exists():
        # A void approval is replaced by the new one.
        with suppress(Refused):
            return _examine(folder, staging, path, signers, None, now or datetime.now(UTC))
    require_listed(person, signers)
    signature.require_key(key)
    return None


def verify(
    folder: ChangeFolder,
    signers: Path,
    *,
    required: int = 1,
    revoked: Path | None = None,
    now: datetime | None = None,
) -> list[Approval]:
    """Give the valid approvals of distinct persons and keys, at least `required` of them.

    The change may have been rendered to need more. Raises Refused when there are fewer, with the
    reason for each approval that does not count.
    """
    moment = now or datetime.now(UTC)
    staging = require_rehearsed(folder)
    require_known_author(folder, signers)
    required = max(required, rollout.approvals_required(folder))
    valid: dict[str, Approval] = {}
    void: dict[str, Refused] = {}
    for path in sorted(folder.approvals.glob("*.json")):
        try:
            given = _examine(folder, staging, path, signers, revoked, moment)
            twin = next((a for a in valid.values() if a.fingerprint == given.fingerprint), None)
            if twin:
                raise one_key_two_names(given.person, twin.person, given.fingerprint)
            valid[given.person.casefold()] = given
        except Refused as error:
            void[path.stem] = error
    if len(valid) >= required:
        return list(valid.values())
    raise _too_few(folder, len(valid), required, void)


def _examine(
    folder: ChangeFolder,
    staging: Record,
    path: Path,
    signers: Path,
    revoked: Path | None,
    now: datetime,
) -> Approval:
    """Give the approval in `path` if it counts; raises Refused with the reason otherwise."""
    again = ledger.next_command(folder.change_id, ledger.APPROVAL)
    person = check_person(path.stem)
    record = read_record(path, kind=ledger.APPROVAL, next_step=again)
    bound = {
        "change_id": folder.change_id,
        "digest": staging.digest,
        "rehearsal": staging.sha256,
        "approver": person,
        **approval_view.bound(folder),
    }
    for name, wanted in bound.items():
        _require_same(name, wanted, _bound_by(record).get(name), path, again)
    require_second_person(folder, person)
    sig = path.with_name(f"{path.name}.sig")
    try:
        armoured = read_file(sig, LARGEST_BYTES)
    except OSError as error:
        raise Refused(
            "The approval has no signature",
            where=str(sig),
            got=str(error.strerror),
            next_step=again,
        ) from None
    used = signature.verify(record.encode(), armoured, person, signers, revoked)
    require_second_key(folder, person, used, signers)
    expires = str(record.body.get("expires"))
    if not _is_after(expires, now):
        raise Refused(
            f"The approval of {person} has expired",
            where=str(path),
            wanted=f"an expiry after {_iso(now)}",
            got=expires,
            next_step=again,
        )
    if _is_after(expires, now + timedelta(hours=LONGEST_VALID_HOURS)):
        raise Refused(
            f"The approval of {person} is valid for too long",
            where=str(path),
            wanted=f"an expiry at most {LONGEST_VALID_HOURS} hours ahead",
            got=expires,
            next_step=again,
        )
    return Approval(person, used, record.started, expires, record.digest)


def _bound_by(record: Record) -> dict[str, Any]:
    """What the record of an approval binds, by the names in messages."""
    return {
        **record.body,
        "change_id": record.change_id,
        "digest": record.digest,
        "rehearsal": record.previous,
    }


def _require_same(name: str, wanted: Any, got: Any, path: Path, next_step: str) -> None:
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        for key in sorted(wanted.keys() | got.keys()):
            _require_same(f"{name} {key}", wanted.get(key), got.get(key), path, next_step)
    elif wanted != got:
        raise Refused(
            f"The approval {path.stem} is for another state: its {name} differs",
            where=str(path),
            wanted=f"{name} {wanted}",
            got=f"{name} {got}",
            next_step=f"review the change as it is now, then {next_step}",
        )


def _too_few(
    folder: ChangeFolder, valid: int, required: int, void: Mapping[str, Refused]
) -> Refused:
    again = ledger.next_command(folder.change_id, ledger.APPROVAL)
    if len(void) == 1 and not valid:
        return next(iter(void.values()))
    what = f"The change {folder.change_id} has {valid} of {required} approvals"
    if not void:
        return Refused(
            what,
            where=str(folder.approvals),
            wanted=f"{required} by persons other than {folder.author()}",
            got=str(valid),
            next_step=again,
        )
    problems = [
        Problem(f"approvals/{person}.json", error.wanted or "a valid approval", error.what)
        for person, error in void.items()
    ]
    return Problems(what, problems, where=str(folder.path), next_step=again)


def _is_after(text: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(text) > now
    except (ValueError, TypeError):
        return False


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
