"""Approval: a second person signs for exactly what was rehearsed.

The signed document is the approval's record itself: it binds the change id, the digest, the record
of the rehearsal, what was live on each host, every file the approver was shown, and an expiry. Both
persons are names in the file of allowed signers, so that nobody is two by a name made up.
Rollback never asks for an approval.
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

    Times are ISO 8601 UTC; `changed` is False when it was there before.
    """

    person: str
    fingerprint: str
    given: str
    expires: str
    digest: str
    changed: bool = False


def require_rehearsed(folder: ChangeFolder) -> Record:
    """Give the rehearsal's record when the bundle is unaltered and the verdict is pass.

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
    seen: Mapping[str, Any] | None = None,
) -> Approval:
    """Sign for the change as `person` and leave `approvals/<person>.json` and its signature.

    A valid approval of the same person is kept as it is. Raises Refused, before anything is
    written, for every approval that `verify` would not count, and when it would bind anything else
    than what `seen` has of the copy that the person looked at (`approval_view.binding`).
    """
    if not 0 < valid_hours <= LONGEST_VALID_HOURS:
        raise Refused(
            "An approval cannot be valid for so long",
            wanted=f"more than 0 and at most {LONGEST_VALID_HOURS} hours",
            got=f"{valid_hours:g}",
            next_step=f"leave it out for {DEFAULT_VALID_HOURS} hours, or give --valid-hours",
        )
    moment = now or datetime.now(UTC)
    there = given_before(folder, person, key, signers, now=moment)
    if there:
        return there
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
            _require_same(name, wanted, _said(record).get(name), path, again)
    armoured = signature.sign(record.encode(), key)
    used = signature.verify(record.encode(), armoured, person, signers)
    require_second_key(folder, person, used, signers)
    # The signature first: a document without its signature would be refused, the reverse is inert.
    write_atomically(path.with_name(f"{path.name}.sig"), armoured)
    write_record(path, record)
    expires = str(record.body["expires"])
    return Approval(person, used, record.started, expires, record.digest, changed=True)


def given_before(
    folder: ChangeFolder, person: str, key: Path, signers: Path, *, now: datetime | None = None
) -> Approval | None:
    """Give the valid approval of `person` that is there, or None when `key` is to sign a new one.

    Nothing is signed or written. Raises Refused for what `approve` refuses before the key signs.
    """
    check_person(person)
    staging = require_rehearsed(folder)
    require_known_author(folder, signers)
    require_second_person(folder, person)
    path = folder.approvals / f"{person}.json"
    if path.exists():
        # One that is void (expired, or of an earlier rehearsal) is replaced by the new one.
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
    """Give the valid approvals when they are at least `required`, by distinct persons and keys.

    The change may have been rendered to need more. Raises Refused when they are fewer, with the
    reason for each one that does not count.
    """
    moment = now or datetime.now(UTC)
    staging = require_rehearsed(folder)
    require_known_author(folder, signers)
    required = max(required, rollout.approvals_required(folder))
    valid: dict[str, Approval] = {}
    void: dict[str, Refused] = {}
    for path in sorted(folder.approvals.glob("*.json")):
        try:
            found = _examine(folder, staging, path, signers, revoked, moment)
            twin = next((a for a in valid.values() if a.fingerprint == found.fingerprint), None)
            if twin:
                raise one_key_two_names(found.person, twin.person, found.fingerprint)
            valid[found.person.casefold()] = found
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
    """Give the approval in `path` when it counts; raises Refused with the reason otherwise."""
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
        _require_same(name, wanted, _said(record).get(name), path, again)
    require_second_person(folder, person)
    armoured = _read_signature(path.with_name(f"{path.name}.sig"), again)
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


def _said(record: Record) -> dict[str, Any]:
    """What the record of an approval binds, by the names that a person reads."""
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
            f"The approval {path.stem} is for something else: its {name} moved",
            where=str(path),
            wanted=f"{name} {wanted}",
            got=f"{name} {got}",
            next_step=f"look at the change as it is now, then {next_step}",
        )


def _read_signature(path: Path, next_step: str) -> bytes:
    try:
        return read_file(path, LARGEST_BYTES)
    except OSError as error:
        raise Refused(
            "The approval has no signature",
            where=str(path),
            got=str(error.strerror),
            next_step=next_step,
        ) from None


def _too_few(
    folder: ChangeFolder, valid: int, required: int, void: Mapping[str, Refused]
) -> Refused:
    ask = ledger.next_command(folder.change_id, ledger.APPROVAL)
    if len(void) == 1 and not valid:
        return next(iter(void.values()))
    what = f"The change {folder.change_id} has {valid} of {required} approvals"
    if not void:
        return Refused(
            what,
            where=str(folder.approvals),
            wanted=f"{required} by persons other than {folder.author()}",
            got=str(valid),
            next_step=ask,
        )
    problems = [
        Problem(f"approvals/{person}.json", error.wanted or "a valid approval", error.what)
        for person, error in void.items()
    ]
    return Problems(what, problems, where=str(folder.path), next_step=ask)


def _is_after(text: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(text) > now
    except (ValueError, TypeError):
        return False


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
