"""What an approver is shown of a change, and what the signature binds of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

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

# Beside the rehearsal's record.
SHOWN = ("change.json", "diff.txt", "forecast.json", findings.FILE, rollout.FILE)
# What every render leaves.
_ALWAYS = ("change.json", "diff.txt", "forecast.json")


def copy_to_look_at(folder: ChangeFolder, into: Path) -> ChangeFolder:
    """Copy what an approver is shown of a change into the folder `into`, and give the copy.

    Who can write into the change's folder cannot write there: it stays what it is from the look to
    the signature, and its bundle is the one of its manifest. Raises Refused for a file that is not
    one of ours.
    """
    copy = ChangeFolder(into / folder.change_id)
    with readable("The bundle of the change", folder.path):
        for path in (folder.bundle, folder.base, folder.intents):
            if path.is_dir():
                shutil.copytree(path, copy.path / path.name, symlinks=True)
        if folder.profile_json.exists():
            shutil.copyfile(folder.profile_json, copy.profile_json, follow_symlinks=False)
    for path in (folder.manifest_json, folder.render_json, folder.staging_json):
        _, data = read_value(path, what=f"The file {path.name}", next_step="validate it again")
        write_atomically(copy.path / path.name, data)
    for name in SHOWN:
        found = _file(folder.path / name)
        if found is not None:
            write_atomically(copy.path / name, found)
        elif name in _ALWAYS:
            raise Refused(
                f"The file {name} is missing, so nobody could be shown what they sign for",
                where=str(folder.path / name),
                next_step="render the change again",
            )
    copy.verify_bundle()
    return copy


def difference(copy: ChangeFolder) -> str:
    """Give the difference between what was live and what ships, from the files themselves.

    diff.txt says it too, but is a file of its own: who wrote it could say anything there.
    """
    base, bundle = (
        {host: _files(top / host) for host in copy.hosts()} for top in (copy.base, copy.bundle)
    )
    return fleet_diff(base, bundle)


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {str(path.relative_to(folder)): read_file(path) for path in paths if path.is_file()}


def binding(copy: ChangeFolder) -> dict[str, Any]:
    """Give all that an approval of `copy` binds: for `approve` to demand that it still is so."""
    staging = ledger.verify_chain(copy, ledger.STAGING).tip
    return {"digest": staging.digest, "rehearsal": staging.sha256, **bound(copy)}


def bound(folder: ChangeFolder) -> dict[str, Any]:
    """Give what an approval binds beside the digest and the rehearsal.

    Raises Refused for a file that an approver could not have been shown.
    """
    shown = {}
    for name in SHOWN:
        data = _file(folder.path / name)
        shown[name] = None if data is None else sha256_of(data)
    return {"author": folder.author(), "bases": folder.bases(), "shown": shown}


def _file(path: Path) -> bytes | None:
    """Give a file that the approver is shown; None when it is not there.

    Raises Refused when it is none of ours.
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
