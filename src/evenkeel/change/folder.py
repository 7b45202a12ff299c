"""The folder of one change: where each file is, and whether its bundle is still the rendered one.

The folder is the change. Its name is the change id. Its `digest` is the sha256 of `manifest.json`,
which has the sha256 of the traffic profile and of every file under `bundle/` and `intent/`, and the
release digest of each host's files under `base/`. So the digest binds everything that decides the
rehearsal.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeGuard, cast

from evenkeel.errors import Problem, Problems, Refused
from evenkeel.host.state.archive import is_file_name
from evenkeel.records import (
    canonical_json,
    check_change_id,
    read_value,
    sha256_of,
    write_atomically,
)

if TYPE_CHECKING:
    from evenkeel.change.declarations import DeclaredRows

PROFILE = "traffic_profile.json"
_CHUNK_BYTES = 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FileFacts(TypedDict):
    """One file of a release; `mode` in octal, `size` in bytes."""

    sha256: str
    size: int
    mode: str


class HostEntry(TypedDict):
    """What the manifest binds of one host; `base` is the release that was live, or None."""

    release: str
    base: str | None
    intent: str
    files: dict[str, FileFacts]


class Manifest(TypedDict):
    """What manifest.json holds; the digest of the change is its sha256."""

    schema_version: int
    change_id: str
    author: str
    balancer_kind: str
    hosts: dict[str, HostEntry]
    declared: NotRequired[DeclaredRows]
    traffic_profile: NotRequired[str]


class ChangeFacts(TypedDict, total=False):
    """What change.json holds. Times are ISO 8601 in UTC; an empty one does not bind."""

    change_id: str
    author: str
    title: str
    created: str
    scheduled: bool
    not_before: str
    not_after: str


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
        """The file with the author, the title and the times of the change."""
        return self.path / "change.json"

    @property
    def manifest_json(self) -> Path:
        """The file whose sha256 is the digest of the change."""
        return self.path / "manifest.json"

    @property
    def bundle(self) -> Path:
        """The folder of the rendered files, one folder for each host."""
        return self.path / "bundle"

    @property
    def intents(self) -> Path:
        """The folder of `<host>.json`, the normalised intent of each host."""
        return self.path / "intent"

    @property
    def base(self) -> Path:
        """The folder of the files that were live at render, one folder for each host."""
        return self.path / "base"

    @property
    def profile_json(self) -> Path:
        """The traffic profile for the rehearsal; without it, the default."""
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

    def change(self) -> ChangeFacts:
        """Read change.json; raises Refused when it is missing or damaged."""
        self.require_exists()
        return cast("ChangeFacts", self._value(self.change_json)[0])

    def manifest(self) -> Manifest:
        """Read manifest.json; raises Refused when it is missing, damaged or another change's."""
        return self.sealed()[0]

    def sealed(self) -> tuple[Manifest, str]:
        """Give the manifest and the digest of the change, both from the same bytes.

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
        """Give the author, who may not approve; the digest binds it."""
        return str(self.manifest()["author"])

    def hosts(self) -> list[str]:
        """Give the hosts that this change has a bundle for, sorted."""
        return sorted(self.manifest()["hosts"])

    def bases(self) -> dict[str, str | None]:
        """Give the release that was live on each host when the change was rendered."""
        return {host: entry["base"] for host, entry in sorted(self.manifest()["hosts"].items())}

    def verify_bundle(self) -> str:
        """Compare bundle, intents, base and traffic profile with the manifest and give the digest.

        Raises Problems that names each altered, missing or surplus file with the wanted sha256 and
        the one of the file. A symlink or another special file is surplus. The base is compared by
        host, with release digests.
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
        if "traffic_profile" in manifest:
            wanted[PROFILE] = f"sha256 {manifest['traffic_profile']}"
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

    def write_json(self, name: str, value: Mapping[str, object]) -> str:
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

    def _base(self, host: str) -> str | None:
        """Give "release <digest>" for base/<host>, or what is wrong with it."""
        top = self.base / host
        found = {name.partition("/")[2]: state for name, state in self._files(top, self.base)}
        odd = [
            f"{name or host}: {state}"
            for name, state in found.items()
            if not state.startswith("sha256 ")
        ]
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
        """Give each file under `top`, relative to `above` (the change's folder), and its state."""
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


def _fingerprint(path: Path) -> str:
    # Never follow a planted symlink or wait for a pipe.
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


def is_a_manifest(value: Mapping[str, Any]) -> TypeGuard[Manifest]:  # any JSON object
    """Whether `value` has an author and, for each host, everything that the digest binds.

    Nothing in a manifest is used as a path or compared before this.
    """
    hosts = value.get("hosts")
    return (
        isinstance(value.get("author"), str)
        and ("traffic_profile" not in value or _is_a_digest(value["traffic_profile"]))
        and isinstance(hosts, dict)
        # A host's name becomes the name of a folder.
        and all(
            host not in ("", ".", "..") and "/" not in host and host.isprintable() for host in hosts
        )
        and all(map(_is_an_entry, hosts.values()))
    )


def _is_an_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and _is_a_digest(entry.get("release"))
        and _is_a_digest(entry.get("intent"))
        and "base" in entry
        and (entry["base"] is None or _is_a_digest(entry["base"]))
        and isinstance(entry.get("files"), dict)
        and all(
            is_file_name(name) and isinstance(facts, dict) and _is_a_digest(facts.get("sha256"))
            for name, facts in entry["files"].items()
        )
    )


def _is_a_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
