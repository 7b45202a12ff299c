"""What people write themselves, as the inventory names it; what hosts of one change share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenkeel.change.dialect import load_dialect
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.records import plain

LARGEST_BYTES = 16 * 1024 * 1024


def configurations(
    names: list[str], hostvars: Mapping[str, Any], kind: str, role_dir: Path
) -> dict[str, dict[str, bytes]]:
    """Give the files of each host that has `balancer_<kind>_config`, a path; no others.

    A relative path is seen from the inventory's folder. Raises Refused for a file that cannot be
    read, and for a balancer whose release is more than one file.
    """
    variable = f"balancer_{kind}_config"
    found: dict[str, dict[str, bytes]] = {}
    for name in names:
        given = plain(hostvars[name].get(variable))
        if not given:
            continue
        if not isinstance(given, str):
            raise _refused(f"{name}: {variable}", "the path of a file", type(given).__name__)
        path = Path(str(hostvars[name].get("inventory_dir") or "."), given)
        found[name] = read_files(path, role_dir)
    return found


def one_kind(names: list[str], hostvars: Mapping[str, Any]) -> str:
    """Give the kind of balancer that all hosts of a change have. Raises Refused for several."""
    kinds = {str(hostvars[name].get("balancer_kind")) for name in names}
    if len(kinds) != 1:
        raise Refused(
            "One change is for one kind of balancer",
            where="balancer_kind",
            wanted="the same kind on every host of the change",
            got=", ".join(sorted(kinds)),
            next_step="name one kind's hosts with --limit",
        )
    return kinds.pop()


def require_one_template(names: list[str], hostvars: Mapping[str, Any], kind: str) -> None:
    """Raise Problems when the hosts do not have the same `balancer_<kind>_template`, or all none.

    A change is rendered once for all of its hosts, with one template.
    """
    variable = f"balancer_{kind}_template"
    found = {str(plain(hostvars[name].get(variable)) or "none") for name in names}
    if len(found) > 1:
        raise Problems(
            "The hosts of the change do not agree on a template",
            [Problem(variable, "the same on every host of one change", ", ".join(sorted(found)))],
            where="the inventory, or -e",
            next_step="set it for the whole group, or make it a change of its own with --limit",
        )


def read_files(path: Path, role_dir: Path) -> dict[str, bytes]:
    """Give the one file of a release, with its name in it. Raises Refused as `configurations`."""
    files = sorted(load_dialect(role_dir).files)
    if len(files) != 1:
        raise _refused(str(path), "a balancer whose release is one file", ", ".join(files))
    try:
        with path.open("rb") as source:
            content = source.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise _refused(str(path), "a file that can be read", str(error.strerror)) from None
    if not content.strip() or len(content) > LARGEST_BYTES or b"\0" in content:
        wanted = f"a text of 1 to {LARGEST_BYTES} bytes"
        raise _refused(str(path), wanted, "none" if not content.strip() else "another file")
    return {files[0]: content}


def _refused(where: str, wanted: str, got: str) -> Refused:
    return Refused(
        "A configuration written by hand cannot be read",
        where=where,
        wanted=wanted,
        got=got,
        next_step="correct the path in the inventory, or the file",
    )
