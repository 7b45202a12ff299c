"""Changes that people approved with real keys, as a controller sends them to a host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evenkeel_proof.lab.keys import key_pair

from evenkeel.change import signature
from evenkeel.host.state.archive import CHANGE_MANIFEST, approval_name
from evenkeel.records import Record, canonical_json, sha256_of

AUTHOR, APPROVER, SECOND_APPROVER = "ann@example.com", "bob@example.com", "cid@example.com"


class People:
    """Keys below a folder, and the file of allowed signers that names some of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signers = folder / "allowed_signers"
        self.allow(*((person, person) for person in (AUTHOR, APPROVER, SECOND_APPROVER)))

    def key(self, person: str) -> Path:
        """Give the key of a person, made when there is none."""
        path = self.folder / "keys" / person
        key_pair(path, person)
        return path

    def allow(self, *pairs: tuple[str, str]) -> None:
        """List names with the keys of persons."""
        lines = []
        for name, person in pairs:
            public = " ".join(Path(f"{self.key(person)}.pub").read_text().split()[:2])
            lines.append(f'{name} namespaces="evenkeel" {public}\n')
        self.signers.write_text("".join(lines))
        self.signers.chmod(0o644)


@dataclass
class Change:
    """A change with one release for the host `lb1`. Its parts can be bent before they are sent."""

    people: People
    release: str
    change_id: str = "c1"
    author: str = AUTHOR
    base: str | None = None
    host: str = "lb1"
    balancer: str = "fake"

    def manifest(self, **more: Any) -> bytes:
        """Give the manifest of the whole change, with `more` in the place of what it has."""
        other = {"release": "1" * 64, "base": None, "intent": "0" * 64, "files": {}}
        value = {
            "schema_version": 1,
            "change_id": self.change_id,
            "author": self.author,
            "balancer_kind": self.balancer,
            "hosts": {self.host: {**other, "release": self.release, "base": self.base}},
        }
        value["hosts"].setdefault("other", other)
        return canonical_json({**value, **more})

    def record(
        self, person: str = APPROVER, hours: float = 72, manifest: bytes = b"", **more: Any
    ) -> bytes:
        """Give the approval's record; `more` goes over the envelope, or over the body."""
        expires = datetime.now(UTC) + timedelta(hours=hours)
        body = {
            "approver": person,
            "author": self.author,
            "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "bases": {self.host: self.base},
            "shown": {},
        }
        body |= {key: more.pop(key) for key in list(more) if key in body}
        envelope = {
            "record": "approval",
            "change_id": self.change_id,
            "digest": sha256_of(manifest or self.manifest()),
            "previous": "0" * 64,
            "started": "",
            "ended": "",
            "versions": {},
        }
        return Record(**{**envelope, **more}, body=body).encode()

    def signed(
        self, record: bytes, person: str = APPROVER, key: str = "", namespace: str = "evenkeel"
    ) -> dict[str, bytes]:
        """Give a record as the approval of `person`, signed with that person's or another's key."""
        used = self.people.key(key or person)
        before, signature.NAMESPACE = signature.NAMESPACE, namespace
        try:
            made = signature.sign(record, used)
        finally:
            signature.NAMESPACE = before
        name = approval_name(person)
        return {name: record, f"{name}.sig": made}

    def approved(self, *people: str, **more: Any) -> dict[str, bytes]:
        """Give all that goes along when these people approved."""
        sent = {CHANGE_MANIFEST: self.manifest()}
        for person in people or (APPROVER,):
            sent |= self.signed(self.record(person, **more), person)
        return sent


def write_policy(folder: Path, people: People, required: int = 1, host: str = "lb1") -> None:
    """Put a policy in place as the role host_switch does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "allowed_signers").write_bytes(people.signers.read_bytes())
    path = folder / "policy.json"
    path.write_text(json.dumps({"approvals_required": required, "host": host}))
    for each in (path, folder / "allowed_signers"):
        each.chmod(0o644)
    folder.chmod(0o755)
