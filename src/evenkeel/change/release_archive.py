"""The archive that a host gets: its release as a tar, with the approvals of the change.

It is a module of its own because a deploy does this once for each host, and must not wait for the
imports that only rendering needs.
"""

from __future__ import annotations

from pathlib import Path

from evenkeel.errors import Refused
from evenkeel.host.state.archive import CHANGE_MANIFEST, approval_name, approver_of, pack
from evenkeel.records import canonical_json, read_value, sha256_of


def release_archive(change_folder: Path, host: str) -> bytes:
    """Give the release of `host` as a tar, which `prepare` there reads from standard input.

    It has the approvals too, with the manifest that they bind: the host verifies them itself. The
    same folder always gives the same bytes. Raises Refused when the folder has no bundle for the
    host.
    """
    again = "render the change again"
    path = change_folder / "manifest.json"
    plan, data = read_value(path, what="The manifest of the change", next_step=again)
    try:
        entry = plan["hosts"][host]
        folder = change_folder / "bundle" / host
        files = {name: (folder / name).read_bytes() for name in sorted(entry["files"])}
    except (OSError, KeyError, TypeError) as error:
        raise Refused(
            "The change has no complete bundle for this host",
            where=f"{change_folder}, host {host}",
            got=str(error)[:200],
            next_step=again,
        ) from None
    head = {
        "change_id": plan["change_id"],
        "digest": sha256_of(data),
        "release": entry["release"],
        "files": entry["files"],
    }
    approvals: dict[str, bytes] = {}
    for path in sorted((change_folder / "approvals").glob("*.json")):
        name, signature = approval_name(path.stem), path.with_name(f"{path.name}.sig")
        if approver_of(name) and signature.is_file():
            approvals |= {name: path.read_bytes(), f"{name}.sig": signature.read_bytes()}
    approved = {CHANGE_MANIFEST: data, **approvals} if approvals else {}
    return pack(canonical_json(head), files, approved)
