"""What an approver sees of a change, and what the signature binds of that."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypedDict

from evenkeel.change import findings, ledger, rollout
from evenkeel.change.difference import fleet_diff
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused, readable
from evenkeel.records import (
    LARGEST_RECORD_BYTES,
    read_file,
    read_value,
    sha256_of,
    write_atomically,
)

# The files that an approver sees, beside the rehearsal's record.
SHOWN = ("change.json", "diff.txt", "forecast.json", findings.FILE, rollout.FILE)
# Every render writes these.
_ALWAYS = ("change.json", "diff.txt", "forecast.json")


def copy_to_look_at(folder: ChangeFolder, into: Path) -> ChangeFolder:
    """Copy what an approver sees of a change into the folder `into`, and give the copy.

    A person who can write into the change's folder cannot write there. So the copy does not change
    between the review and the signature, and its bundle fits its manifest. Raises Refused for a
    file that is not one of ours.
    """
    copy = ChangeFolder(into / folder.change_id)
    with readable("The bundle of the change", folder.path):
        for path in (folder.bundle, folder.base, folder.intents):
            if path.is_dir():
                shutil.copytree(path, copy.path / path.name, symlinks=True)
        if folder.profile_json.exists():
            shutil.copyfile(folder.profile_json, copy.profile_json, follow_symlinks=False)
    for path in (folder.manifest_json, folder.render_json, folder.staging_json):
        content = read_value(path, what=f"The file {path.name}", next_step="validate it again")[1]
        write_atomically(copy.path / path.name, content)
    for name in SHOWN:
        data = _file(folder.path / name)
        if data is not None:
            write_atomically(copy.path / name, data)
        elif name in _ALWAYS:
            raise Refused(
                f"The file {name} is missing, so an approver cannot see what they sign",
                where=str(folder.path / name),
                next_step="render the change again",
            )
    copy.verify_bundle()
    return copy


def difference(copy: ChangeFolder) -> str:
    """Give the difference between base and bundle, from the files themselves.

    diff.txt has it too, but anyone who can write there could have changed it.
    """

    def files(folder: Path) -> dict[str, bytes]:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else []
        return {str(path.relative_to(folder)): read_file(path) for path in paths if path.is_file()}

    base, bundle = (
        {host: files(top / host) for host in copy.hosts()} for top in (copy.base, copy.bundle)
    )
    return fleet_diff(base, bundle)


class Bound(TypedDict):
    """What an approval binds beside the digest and the rehearsal; `shown` has sha256 by file."""

    author: str
    bases: dict[str, str | None]
    shown: dict[str, str | None]


class Binding(Bound):
    """Everything that an approval binds; `rehearsal` is the sha256 of its record."""

    digest: str
    rehearsal: str


def binding(copy: ChangeFolder) -> Binding:
    """Give everything that an approval of `copy` binds; `approve` requires that it still does."""
    staging = ledger.verify_chain(copy, ledger.STAGING).tip
    return {"digest": staging.digest, "rehearsal": staging.sha256, **bound(copy)}


def bound(folder: ChangeFolder) -> Bound:
    """Give what an approval binds beside the digest and the rehearsal.

    Raises Refused for a file that cannot be shown to an approver.
    """
    shown: dict[str, str | None] = {}
    for name in SHOWN:
        data = _file(folder.path / name)
        shown[name] = None if data is None else sha256_of(data)
    return {"author": folder.author(), "bases": folder.bases(), "shown": shown}


def _file(path: Path) -> bytes | None:
    """Give the bytes of a file that the approver sees; None without it.

    Raises Refused when it is not one of ours.
    """
    try:
        data = read_file(path, LARGEST_RECORD_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        got = str(error.strerror)
    else:
        if len(data) <= LARGEST_RECORD_BYTES:
            return data
        got = "more"
    raise Refused(
        f"The file {path.name} cannot be shown to an approver",
        where=str(path),
        wanted=f"a regular file of at most {LARGEST_RECORD_BYTES} bytes",
        got=got,
        next_step="render the change again",
    )
