"""--diff: how a host's files would change or changed, in Ansible's form and without secrets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evenkeel.change.folder import ChangeFolder
from evenkeel.verbs.results import Difference


def of_activation(folder: ChangeFolder, host: str) -> list[Difference]:
    """Give the difference between a host's base and its bundle."""
    bundle = folder.bundle / host
    names = {path.name for path in bundle.iterdir()}
    headers = ("live", folder.change_id)
    return _parts(host, names, folder.path / "base" / host, bundle, headers)


def of_rollback(folder: ChangeFolder, host: str, to: str) -> list[Difference]:
    """Give the difference between a host's bundle and the base `to`, a release's digest.

    [] without the change's folder, or when it began elsewhere: a rollback needs neither.
    """
    if not folder.manifest_json.exists():
        return []
    entry = folder.manifest()["hosts"].get(host)
    if not entry or entry["base"] != to:
        return []
    base, change = folder.path / "base" / host, folder.change_id
    names = {path.name for path in base.iterdir()} | set(entry["files"])
    return _parts(host, names, folder.bundle / host, base, (change, f"before {change}"))


def _parts(
    host: str, names: Iterable[str], before: Path, after: Path, headers: tuple[str, str]
) -> list[Difference]:
    from evenkeel.change.difference import redact

    def text(path: Path) -> str:
        return redact(path.read_text(errors="replace")) if path.exists() else ""

    return [
        {
            "before": text(before / name),
            "after": text(after / name),
            "before_header": f"{host}: {headers[0]} {name}",
            "after_header": f"{host}: {headers[1]} {name}",
        }
        for name in sorted(names)
    ]
