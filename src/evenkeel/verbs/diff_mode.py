"""--diff: what becomes of a host's files, as Ansible shows it, without secrets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evenkeel.change.folder import ChangeFolder


def of_activation(folder: ChangeFolder, host: str) -> dict[str, Any]:
    """Give the difference between a host's base and its bundle."""
    change = folder.change_id
    bundle = folder.bundle / host
    names = {path.name for path in bundle.iterdir()}
    return _parts(host, names, folder.path / "base" / host, bundle, ("live", change))


def of_rollback(folder: ChangeFolder, host: str, to: str) -> dict[str, Any]:
    """Give the difference between a host's bundle and the base that it goes back to, release `to`.

    {} where the change's folder is not here or began elsewhere: a rollback works without it.
    """
    if not folder.manifest_json.exists():
        return {}
    entry = folder.manifest()["hosts"].get(host)
    if not entry or entry["base"] != to:
        return {}
    base, change = folder.path / "base" / host, folder.change_id
    names = {path.name for path in base.iterdir()} | set(entry["files"])
    return _parts(host, names, folder.bundle / host, base, (change, f"before {change}"))


def _parts(
    host: str, names: Iterable[str], before: Path, after: Path, words: tuple[str, str]
) -> dict[str, Any]:
    from evenkeel.change.difference import redact

    def text(path: Path) -> str:
        return redact(path.read_text(errors="replace")) if path.exists() else ""

    parts = [
        {
            "before": text(before / name),
            "after": text(after / name),
            "before_header": f"{host}: {words[0]} {name}",
            "after_header": f"{host}: {words[1]} {name}",
        }
        for name in sorted(names)
    ]
    return {"diff": parts}
