"""One change's folder: where each of its files is, and that its bundle is still what was rendered.

The folder is the change. Its name is the change id; its `digest` is the sha256 of `manifest.json`,
which in turn holds the sha256 of the traffic profile and of every file under `bundle/` and
`intent/`, and the release digest of what `base/` keeps of each host. So the digest binds everything
that decides the rehearsal.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evenkeel.change.shape import is_a_manifest
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.records import (
    canonical_json,
    check_change_id,
    read_value,
    sha256_of,
    write_atomically,
)

# The key of the manifest has its sha256.
PROFILE_KEY = "traffic_profile"
PROFILE = "traffic_profile.json"
_CHUNK_BYTES = 1024 * 1024


class ChangeFolder:
    """The folder of one change: `path` is `<changes>/<change_id>`; it need not exist yet.

    Raises Refused when the last part of `path` is no usable change id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.change_id = check_change_id(path.name)

    def __repr__(self) -> str:
        return f"ChangeFolder({str(self.path)!r})"

    @property
    def change_json(self) -> Path:
        """Who made the change, when, and under which title."""
        return self.path / "change.json"

    @property
    def manifest_json(self) -> Path:
        """The file whose sha256 is the digest of the change."""
        return self.path / "manifest.json"

    @property
    def bundle(self) -> Path:
        """The folder of the exact bytes, one folder for each host."""
        return self.path / "bundle"

    @property
    def intents(self) -> Path:
        """The folder of `<host>.json`, the normalised intent of each host."""
        return self.path / "intent"

    @property
    def base(self) -> Path:
        """The folder of what was live when this was rendered, one folder for each host."""
        return self.path / "base"

    @property
    def profile_json(self) -> Path:
        """The traffic profile that the rehearsal follows; not there where it is the default."""
        return self.path / PROFILE

    @property
    def render_json(self) -> Path:
        """The record of render."""
        return self.path / "render.json"

    @property
    def staging_json(self) -> Path:
        """The record of validate."""
        return self.path / "staging.json"

    @property
    def outcome_json(self) -> Path:
        """The record of deploy or of rollback."""
        return self.path / "outcome.json"

    @property
    def approvals(self) -> Path:
        """The folder of `<person>.json` and `<person>.json.sig`."""
        return self.path / "approvals"

    @property
    def plan_json(self) -> Path:
        """The plan of stages that this change's deploy follows."""
        return self.path / "canary" / "plan.json"

    def stage_json(self, stage: int) -> Path:
        """The record of one stage."""
        return self.path / "canary" / f"{stage}.json"

    def stage_results(self, stage: int) -> Path:
        """The folder of one stage's results, one file for each host."""
        return self.path / "canary" / str(stage)

    def require_exists(self) -> None:
        """Raise Refused when there is no such change."""
        if not self.path.is_dir():
            raise Refused(
                f"There is no change {self.change_id}",
                where=str(self.path),
                wanted="the folder that render leaves",
                next_step=f"run: ansible-playbook playbooks/render.yml -e change={self.change_id}",
            )

    def change(self) -> dict[str, Any]:
        """Give change.json: change_id, author, title, created, and when it may be deployed."""
        self.require_exists()
        return self._value(self.change_json)[0]

    def manifest(self) -> dict[str, Any]:
        """Give manifest.json; raises Refused when it is missing, damaged or another change's."""
        return self.sealed()[0]

    def sealed(self) -> tuple[dict[str, Any], str]:
        """Give the manifest and the digest of the change, both of the same bytes.

        Raises Refused as `manifest` does.
        """
        self.require_exists()
        manifest, data = self._value(self.manifest_json)
        if not is_a_manifest(manifest):
            raise Refused(
                "The file manifest.json is damaged",
                where=str(self.manifest_json),
                wanted="an author and, for each host, its release, its base, the sha256 of its "
                "intent and its files with their sha256",
                next_step=self._render_again(),
            )
        if manifest.get("change_id") != self.change_id:
            raise Refused(
                "The manifest is of another change",
                where=str(self.manifest_json),
                wanted=f"change_id {self.change_id}",
                got=f"change_id {manifest.get('change_id')!r}",
                next_step=self._render_again(),
            )
        return manifest, sha256_of(data)

    def digest(self) -> str:
        """Give the digest of the change: the sha256 of the manifest's bytes."""
        return self.sealed()[1]

    def author(self) -> str:
        """Give the author as the digest binds it: the one who may not approve."""
        return str(self.manifest()["author"])

    def hosts(self) -> list[str]:
        """Give the hosts that this change has a bundle for, sorted."""
        return sorted(self.manifest()["hosts"])

    def bases(self) -> dict[str, str | None]:
        """Give the release that was live on each host when the change was rendered."""
        return {host: entry["base"] for host, entry in sorted(self.manifest()["hosts"].items())}

    def verify_bundle(self) -> str:
        """Compare bundle, intents, base and traffic profile with the manifest and give the digest.

        Raises Problems naming each altered, missing or surplus file with the sha256 that was wanted
        and the one that was found; a symlink or any other special file is surplus. What was live
        is named by its host, with the release digests.
        """
        manifest, sealed = self.sealed()
        hosts = manifest["hosts"]
        wanted = {
            f"bundle/{host}/{name}": f"sha256 {facts['sha256']}"
            for host, entry in hosts.items()
            for name, facts in entry["files"].items()
        }
        wanted |= {f"intent/{host}.json": f"sha256 {hosts[host]['intent']}" for host in hosts}
        wanted |= {
            f"base/{host}": f"release {entry['base']}"
            for host, entry in hosts.items()
            if entry["base"] is not None
        }
        if PROFILE_KEY in manifest:
            wanted[PROFILE] = f"sha256 {manifest[PROFILE_KEY]}"
        found = dict([*self._files(self.bundle), *self._files(self.intents), *self._bases()])
        if self.profile_json.is_symlink() or self.profile_json.exists():
            found[PROFILE] = _fingerprint(self.profile_json)
        problems = [
            Problem(name, wanted.get(name, "no such file"), found.get(name, "no file"))
            for name in sorted(wanted.keys() | found.keys())
            if found.get(name) != wanted.get(name)
        ]
        if problems:
            raise Problems(
                "The bundle is not the one that was rendered",
                problems,
                where=str(self.path),
                next_step=self._render_again(),
            )
        return sealed

    def write_json(self, name: str, value: Mapping[str, Any]) -> str:
        """Write `value` canonically and atomically to the file `name`; give its sha256."""
        data = canonical_json(value)
        write_atomically(self.path / name, data)
        return sha256_of(data)

    def _value(self, path: Path) -> tuple[dict[str, Any], bytes]:
        again = self._render_again()
        value, data = read_value(path, what=f"The file {path.name}", next_step=again)
        if not isinstance(value, dict):
            raise Refused(
                f"The file {path.name} is damaged",
                where=str(path),
                wanted="a JSON object",
                got=type(value).__name__,
                next_step=again,
            )
        return value, data

    def base_release(self, host: str) -> str | None:
        """Give the release digest of what is kept of `host` under base/; None when nothing is.

        Raises Refused for anything there that is no regular file.
        """
        state = self._base(host)
        if state is None:
            return None
        kind, _, digest = state.partition(" ")
        if kind == "release":
            return digest
        raise Refused(
            "What was live is not kept as plain files",
            where=str(self.base / host),
            wanted="regular files",
            got=state,
            next_step=self._render_again(),
        )

    def _base(self, host: str) -> str | None:
        """Say what is under base/<host>: "release <digest>", or what is wrong with it."""
        top = self.base / host
        found = {name.partition("/")[2]: state for name, state in self._files(top, self.base)}
        odd = [f"{name or host}: {state}" for name, state in found.items() if _is_odd(state)]
        if odd:
            return odd[0]
        sums = {name: state.removeprefix("sha256 ") for name, state in found.items()}
        return f"release {sha256_of(canonical_json({'files': sums}))}" if sums else None

    def _bases(self) -> Iterator[tuple[str, str]]:
        hosts = sorted(path.name for path in self.base.iterdir()) if self.base.is_dir() else []
        for host in hosts:
            state = self._base(host)
            if state is not None:
                yield f"base/{host}", state

    def _files(self, top: Path, above: Path | None = None) -> Iterator[tuple[str, str]]:
        """Give each file under `top`, named from `above` (the change's folder), and what it is."""
        above = above or self.path
        if top.is_symlink() or (top.exists() and not top.is_dir()):
            yield top.relative_to(above).as_posix(), _fingerprint(top)
            return
        for folder, folders, names in os.walk(top):
            linked = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in [*names, *linked]:
                path = Path(folder) / name
                yield path.relative_to(above).as_posix(), _fingerprint(path)

    def _render_again(self) -> str:
        return f"render it again: ansible-playbook playbooks/render.yml -e change={self.change_id}"


def _is_odd(state: str) -> bool:
    return not state.startswith("sha256 ")


def _fingerprint(path: Path) -> str:
    # O_NOFOLLOW and O_NONBLOCK: a symlink or a pipe planted in the bundle is named, never followed.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return f"not a readable file ({error.strerror})"
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return "not a regular file"
        digest = hashlib.sha256()
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return f"sha256 {digest.hexdigest()}"
