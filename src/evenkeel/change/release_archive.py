"""What a host is sent of a change: its release as a tar, and what people approved of it.

Apart from the bundle's rendering, because a deploy does this once for each host and must not wait
for what only rendering needs.
"""

from __future__ import annotations

from pathlib import Path

from evenkeel.errors import Refused
from evenkeel.host.state.archive import CHANGE_MANIFEST, approval_name, approver_of, pack
from evenkeel.records import canonical_json, read_value, sha256_of


def release_archive(change_folder: Path, host: str) -> bytes:
    """Give what `prepare` on `host` reads from standard input: the release as a tar.

    The approvals go along, with the manifest that they bind: what they are worth the host decides
    by itself. The same folder always gives the same bytes. Raises Refused when the folder holds
    nothing for the host.
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
            "The change has no whole bundle for this host",
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
    return pack(canonical_json(head), files, _approved(change_folder, data))


def _approved(change_folder: Path, manifest: bytes) -> dict[str, bytes]:
    """Give what was approved by its name in the archive; empty when nobody has approved."""
    found: dict[str, bytes] = {}
    for path in sorted((change_folder / "approvals").glob("*.json")):
        name, signature = approval_name(path.stem), path.with_name(f"{path.name}.sig")
        if approver_of(name) and signature.is_file():
            found |= {name: path.read_bytes(), f"{name}.sig": signature.read_bytes()}
    return {CHANGE_MANIFEST: manifest, **found} if found else {}
