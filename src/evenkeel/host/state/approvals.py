"""Approvals verified on the host itself: a stolen controller cannot deploy its own bytes.

What the approvers signed came with the release: the manifest of the whole change, whose sha256 is
the digest that every approval binds, and the approvals with their signatures. It is kept beside
the releases, one tar for each change, and is worth nothing but what the host's own allowed signers
make of it: whatever the caller says besides is not believed.
"""

from __future__ import annotations

import json
import os
import re
import time
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from evenkeel.host.errors import Refused
from evenkeel.host.state import archive, signers
from evenkeel.host.state.approval_policy import Policy, own_file
from evenkeel.host.state.machine import Machine
from evenkeel.host.system import durable, process
from evenkeel.host.system.sha256 import sha256_of

RECORD = "approval"
SCHEMA_VERSION = 1
# For all signatures of a change; one takes milliseconds.
VERIFY_SECONDS = 20.0

_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Change(NamedTuple):
    """What the approvers signed, as far as it concerns this host."""

    change_id: str
    digest: str
    author: str
    base: Optional[str]


class _Void(Exception):
    """Why an approval does not count."""


def require(
    machine: Machine, policy: Policy, change: str, release: str, kept: Mapping[str, bytes]
) -> Change:
    """Give the change that `kept` brings, when enough people approved `release` for this host.

    Raises Refused otherwise, with the reason for each approval that does not count.
    """
    wanted = _change(machine, policy, change, release, kept)
    rows = _rows(policy.signers)
    if not signers.is_listed(wanted.author, rows):
        raise _refused(
            change,
            "was made by a person whom this host does not know",
            f"an author with a key under exactly that name in {policy.signers}",
            ascii(wanted.author)[:80],
        )
    valid, void = _sorted_out(policy, wanted, rows, kept, machine.clock.wall())
    if valid < policy.approvals_required:
        raise _refused(
            change,
            f"has {valid} of {policy.approvals_required} approvals that this host accepts",
            f"{policy.approvals_required} by people other than {wanted.author}, each with a key "
            f"of their own in {policy.signers}",
            "; ".join(void)[:1000] or "no other approval",
        )
    return wanted


def keep(machine: Machine, change: str, brought: Mapping[str, bytes]) -> bool:
    """Keep what was `brought` with a release for its activation; tell whether that is new.

    Every caller holds the lock.
    """
    path = machine.store.approvals_of(change)
    data = archive.tar(brought)
    if durable.read_if_there(path, archive.LARGEST_ARCHIVE_BYTES) == data:
        return False
    durable.make_folder(machine.steps, "approvals", os.path.dirname(path), 0o700)
    durable.write_file(machine.steps, f"approvals of {change}", path, data)
    return True


def kept(machine: Machine, change: str) -> Dict[str, bytes]:
    """Give what was kept with a release of `change`; empty when nothing was."""
    path = machine.store.approvals_of(change)
    data = durable.read_if_there(path, archive.LARGEST_ARCHIVE_BYTES)
    try:
        return {} if data is None else archive.members(data)
    except Refused as error:
        raise Refused(
            f"The approved bytes of change {change} are damaged on this host",
            where=path,
            wanted="the bytes that were prepared",
            got=error.what,
            next_step="deploy the change again, which prepares it",
        ) from None


def _change(
    machine: Machine, policy: Policy, change: str, release: str, kept: Mapping[str, bytes]
) -> Change:
    """Give the change whose manifest was brought, when it has `release` for this very host."""
    data = kept.get(archive.CHANGE_MANIFEST)
    if data is None:
        raise _refused(
            change,
            f"has 0 of {policy.approvals_required} approvals",
            "a change that was approved before it was prepared",
            "no approval",
        )
    try:
        plan = json.loads(data)
        author, entries = plan["author"], plan["hosts"]
        said = {"change": plan["change_id"], "balancer": plan["balancer_kind"]}
        entry = entries.get(policy.host)
        said["release"] = entry and entry["release"]
        base = entry and entry["base"]
        sound = isinstance(author, str) and (base is None or _DIGEST.fullmatch(base))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = None
    if not sound:
        raise _refused(change, "has a manifest that cannot be read", "what render wrote", "another")
    due = {"change": change, "balancer": machine.balancer, "release": release}
    for what, wanted in due.items():
        if said[what] != wanted:
            raise _refused(
                change,
                f"was not approved for this host, {policy.host}: its {what} is another",
                f"{what} {wanted}",
                f"{what} {said[what] or 'none for this host'}"[:200],
            )
    return Change(change, sha256_of(data), author, base)


def _sorted_out(
    policy: Policy, wanted: Change, rows: List[signers.Row], kept: Mapping[str, bytes], now: float
) -> Tuple[int, List[str]]:
    """Count the people who approved `wanted`, up to those required; say why others do not count."""
    valid: Dict[str, bytes] = {}
    void: List[str] = []
    until = time.monotonic() + VERIFY_SECONDS
    for name in sorted(kept):
        person = archive.approver_of(name)
        if person is None or len(valid) >= policy.approvals_required:
            continue
        try:
            record, signature = kept[name], kept.get(f"{name}.sig", b"")
            _examine(record, person, wanted, now)
            key = _key(signature, wanted.author, rows)
            if key in valid.values():
                raise _Void("is signed with a key that approved already under another name")
            _verify(record, signature, person, policy.signers, until)
            valid[person.casefold()] = key
        except _Void as reason:
            void.append(f"{person}: {reason}")
    return len(valid), void


def _examine(data: bytes, person: str, wanted: Change, now: float) -> None:
    """Raise _Void unless the record `data` is an approval of `wanted` by `person` that holds."""
    try:
        record = json.loads(data)
        body = record["body"]
        said = {
            "record": record["record"],
            "schema_version": record["schema_version"],
            "change_id": record["change_id"],
            "digest": record["digest"],
            "approver": body["approver"],
            "author": body["author"],
        }
        ends = _time(body["expires"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _Void("cannot be read") from None
    due = {
        "record": RECORD,
        "schema_version": SCHEMA_VERSION,
        "change_id": wanted.change_id,
        "digest": wanted.digest,
        "approver": person,
        "author": wanted.author,
    }
    for what, value in due.items():
        if said[what] != value:
            raise _Void(f"is for something else: its {what} is {str(said[what])[:80]}")
    if person.casefold() == wanted.author.casefold():
        raise _Void("is by the author")
    if ends <= now:
        raise _Void(f"expired at {body['expires']}")
    if ends > now + signers.LONGEST_VALID_HOURS * 3600:
        raise _Void(f"is valid for more than {signers.LONGEST_VALID_HOURS} hours")


def _key(signature: bytes, author: str, rows: List[signers.Row]) -> bytes:
    """Give the key that `signature` names. Raises _Void for none, a certificate or the author's."""
    try:
        key = signers.key_of(signature)
    except ValueError:
        raise _Void("has no signature that can be read") from None
    if signers.is_certificate(key):
        raise _Void("is signed by a certificate, which hides whose key it is")
    if key in signers.keys_of(author, rows):
        raise _Void("is signed with a key of the author")
    return key


def _verify(record: bytes, signature: bytes, person: str, allowed: str, until: float) -> None:
    """Raise _Void unless ssh-keygen says that `person` signed exactly these bytes."""
    words = ["ssh-keygen", "-Y", "verify", "-n", signers.NAMESPACE, "-I", person, "-f", allowed]
    with process.in_memory(signature) as handle:
        code, said = process.run(
            [*words, "-s", f"/proc/self/fd/{handle}"],
            max(0.1, until - time.monotonic()),
            stdin=record,
            inherited=(handle,),
        )
    if code:
        last = (said.strip().splitlines() or [f"exit code {code}"])[-1]
        raise _Void(f"is not signed by that person ({last[:200]})")


def _rows(path: str) -> List[signers.Row]:
    try:
        return signers.rows_of(own_file(path, signers.LARGEST_BYTES).decode())
    except ValueError as error:
        raise Refused(
            "The allowed signers of this host cannot be read",
            where=path,
            wanted="NAMES [options] KEYTYPE KEY on each line",
            got=str(error)[:100],
            next_step="correct the file in the inventory, then run playbooks/install.yml again",
        ) from None


def _time(text: Any) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    parts: Tuple[int, ...] = tuple(int(part) for part in match.groups())
    return datetime(*parts[:6], tzinfo=timezone.utc).timestamp()  # type: ignore[arg-type,misc]


def _refused(change: str, what: str, wanted: str, got: str) -> Refused:
    return Refused(
        f"Change {change} {what}",
        where="approvals",
        wanted=wanted,
        got=got,
        next_step=f"let another person approve it (scripts/approve {change}), then deploy it again",
    )
