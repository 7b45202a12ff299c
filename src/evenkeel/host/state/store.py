"""Releases and snapshots on disk: written once, checked whenever they are used.

releases/<digest>/      the files of a release and `manifest.json`; read-only
live -> releases/…      what the balancer reads
back -> releases/…      made before a switch: what `live` becomes when the disk is full
snapshots/<name>/       `snapshot.json` and a second copy of the bytes below `files/`
observations/           what `observe` has counted so far
approvals/<change>.tar  what was approved of a change, where the host's policy asks for that
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any, Dict, List, Optional

from evenkeel.host.errors import Refused
from evenkeel.host.state.archive import (
    LARGEST_ARCHIVE_BYTES,
    MANIFEST,
    Release,
    is_digest,
    is_file_name,
    release_digest,
)
from evenkeel.host.system import durable
from evenkeel.host.system.sha256 import canonical, sha256_of
from evenkeel.host.system.steps import Steps

ROOT = "/var/lib/evenkeel"
SNAPSHOT = "snapshot.json"
LARGEST_META_BYTES = 4 * 1024 * 1024


class Store:
    """The folder of one balancer below `/var/lib/evenkeel`."""

    def __init__(self, root: str, steps: Steps) -> None:
        self.root = root
        self.steps = steps
        self.releases = os.path.join(root, "releases")
        self.snapshots = os.path.join(root, "snapshots")
        self.observations = os.path.join(root, "observations")
        self.approvals = os.path.join(root, "approvals")
        self.live = os.path.join(root, "live")
        self.spare_link = os.path.join(root, "back")
        self.lock = os.path.join(root, "lock")
        for folder in (self.releases, self.snapshots, self.observations):
            durable.make_folder(steps, "store", folder, 0o750)

    def folders(self) -> List[str]:
        """Give the store's folders and all above them, the deepest first."""
        found = [self.releases, self.snapshots, self.observations, self.approvals, self.root]
        while found[-1] != os.path.dirname(found[-1]):
            found.append(os.path.dirname(found[-1]))
        return found

    def release_dir(self, digest: str) -> str:
        """Where the release with this digest is kept."""
        return os.path.join(self.releases, digest)

    def approvals_of(self, change: str) -> str:
        """Where what was approved of this change is kept."""
        return os.path.join(self.approvals, f"{change}.tar")

    def approval_names(self) -> List[str]:
        """Give the changes whose approvals are kept, sorted."""
        if not os.path.isdir(self.approvals):
            return []
        names = (n for n in os.listdir(self.approvals) if not n.startswith("."))
        return sorted(name[: -len(".tar")] for name in names if name.endswith(".tar"))

    def live_digest(self) -> Optional[str]:
        """Give the release that `live` names, or None when it names none."""
        try:
            return os.path.basename(os.readlink(self.live))
        except OSError:
            return None

    def write_release(self, release: Release, created: str) -> str:
        """Write `release` under a temporary name, all of it on the disk, and give that folder."""
        folder = durable.temporary_name(self.release_dir(release.digest))
        manifest = {
            "schema_version": 1,
            "release": release.digest,
            "files": _facts(release.files, release.modes),
            "change": release.change or None,
            "change_digest": release.change_digest or None,
            "created": created,
        }
        files = {**release.files, MANIFEST: canonical(manifest)}
        self._write(f"release {release.digest[:12]}: write", folder, files, release.modes)
        return folder

    def publish_release(self, folder: str, digest: str) -> None:
        """Give the written `folder` its final name, in place of a damaged one of that name."""
        final = self.release_dir(digest)
        self._replace(f"release {digest[:12]}", folder, final)

    def release_damage(self, digest: str) -> Optional[str]:
        """Say what is wrong with a release on disk, or give None when every byte is as it was."""
        folder = self.release_dir(digest)
        try:
            manifest = self.manifest(digest)
            files = self._files(folder, manifest)
        except (OSError, ValueError, KeyError, TypeError, Refused) as error:
            return f"it cannot be read ({type(error).__name__})"
        if release_digest(files) != digest:
            return "its bytes are not the ones its name stands for"
        return None

    def manifest(self, digest: str) -> Dict[str, Any]:
        """Give the manifest of a release. Raises OSError or ValueError for one that is damaged."""
        path = os.path.join(self.release_dir(digest), MANIFEST)
        manifest: Dict[str, Any] = json.loads(durable.read_file(path, LARGEST_META_BYTES))
        return manifest

    def release_files(self, digest: str) -> Dict[str, bytes]:
        """Give the files of a release as they are on disk now, altered or not."""
        return self._files(self.release_dir(digest), self.manifest(digest))

    def modes(self, digest: str) -> Dict[str, int]:
        """Give the file modes of a release."""
        return _modes(self.manifest(digest)["files"])

    def _files(self, folder: str, manifest: Dict[str, Any]) -> Dict[str, bytes]:
        files = {}
        for name in manifest["files"]:
            if not is_file_name(name):
                raise ValueError(name)
            path = os.path.join(folder, name)
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise ValueError(name)
            files[name] = durable.read_file(path, LARGEST_ARCHIVE_BYTES)
        return files

    def write_snapshot(self, name: str, release: str, facts: Dict[str, Any]) -> str:
        """Keep a second copy of `release` with `facts` about it; give the sha256 of its record.

        An older snapshot of the same name is replaced.
        """
        files = self.release_files(release)
        modes = self.modes(release)
        meta = {
            "schema_version": 1,
            "name": name,
            "release": release,
            "files": _facts(files, modes),
            **facts,
        }
        self.spare(name, release, str(facts.get("created")))
        data = canonical(meta)
        tree = {f"files/{path}": content for path, content in files.items()}
        final = os.path.join(self.snapshots, name)
        folder = durable.temporary_name(final)
        self._write(f"snapshot {name}: write", folder, {**tree, SNAPSHOT: data}, {})
        self._replace(f"snapshot {name}", folder, final)
        return sha256_of(data)

    def _write(
        self, step: str, folder: str, files: Dict[str, bytes], modes: Dict[str, int]
    ) -> None:
        """Write the new `folder`; when that fails, nothing of it stays behind."""
        try:
            self.steps.run(step, lambda: durable.write_tree(folder, files, modes))
        except Exception:
            self.discard(folder)
            raise

    def discard(self, folder: str) -> None:
        """Remove a folder under a temporary name, if it is there."""
        durable.remove_tree(self.steps, "temporary folder", folder)

    def _replace(self, name: str, folder: str, final: str) -> None:
        aside = ""
        try:
            if os.path.lexists(final):
                aside = durable.temporary_name(final)
                self.steps.run(f"{name}: set the old one aside", lambda: os.rename(final, aside))
            self.steps.run(f"{name}: rename", lambda: os.rename(folder, final))
        except Exception:
            self.discard(folder)
            if aside and os.path.lexists(aside) and not os.path.lexists(final):
                self.steps.run(f"{name}: put the old one back", lambda: os.rename(aside, final))
            raise
        durable.sync_folder(os.path.dirname(final))
        if aside:
            self.discard(aside)

    def snapshot_names(self) -> List[str]:
        """Give the names of all snapshots, sorted. What is no folder is none of ours."""
        with os.scandir(self.snapshots) as found:
            return sorted(
                entry.name
                for entry in found
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )

    def release_names(self) -> List[str]:
        """Give the digests of all releases, sorted. What has another name is none of ours."""
        return sorted(n for n in os.listdir(self.releases) if is_digest(n))

    def snapshot(self, name: str) -> Dict[str, Any]:
        """Give what a snapshot says of itself. Raises ValueError or OSError for a damaged one."""
        path = os.path.join(self.snapshots, name, SNAPSHOT)
        meta = json.loads(durable.read_file(path, LARGEST_META_BYTES))
        if not isinstance(meta, dict) or meta.get("name") != name:
            raise ValueError(name)
        return meta

    def snapshot_release(self, name: str) -> Release:
        """Give the bytes of a snapshot. Raises ValueError or OSError when they are damaged."""
        meta = self.snapshot(name)
        files = self._files(os.path.join(self.snapshots, name, "files"), meta)
        if release_digest(files) != meta["release"]:
            raise ValueError(name)
        return Release(meta["release"], files, _modes(meta["files"]), meta.get("change") or "", "")

    def snapshot_damage(self, name: str) -> Optional[str]:
        """Say what is wrong with a snapshot, or give None when it is intact."""
        try:
            self.snapshot_release(name)
        except (OSError, ValueError, KeyError, TypeError, Refused) as error:
            return f"it is damaged ({type(error).__name__})"
        return None

    def mend(self, digest: str, created: str) -> bool:
        """Make a release intact again from any snapshot of it; tell whether it is intact now."""
        if self.release_damage(digest) is None:
            return True
        for name in self.snapshot_names():
            try:
                if self.snapshot(name)["release"] != digest:
                    continue
                folder = self.write_release(self.snapshot_release(name), created)
            except (OSError, ValueError, KeyError, TypeError, Refused):
                continue
            self.publish_release(folder, digest)
            return True
        return False

    def spare(self, name: str, but: str, created: str) -> None:
        """Before snapshot `name` goes, mend its release: it may be the last intact copy.

        The release `but` needs no look: it was read just now.
        """
        try:
            release = self.snapshot(name)["release"]
            if release != but:
                self.mend(release, created)
        except (OSError, ValueError, KeyError, TypeError, Refused):
            # Damaged copies do not count; a full disk stops nothing.
            return

    def sweep(self) -> List[str]:
        """Remove what a killed program left under temporary names; give those names."""
        removed = []
        folders = [self.root, self.releases, self.snapshots, self.observations, self.approvals]
        for folder in filter(os.path.isdir, folders):
            for name in sorted(os.listdir(folder)):
                if name.startswith(durable.TEMPORARY):
                    path = os.path.join(folder, name)
                    if os.path.isdir(path) and not os.path.islink(path):
                        self.discard(path)
                    else:
                        durable.unlink(self.steps, "temporary file", path)
                    removed.append(name)
        return removed


def _facts(files: Dict[str, bytes], modes: Dict[str, int]) -> Dict[str, Dict[str, Any]]:
    return {
        name: {
            "sha256": sha256_of(data),
            "size": len(data),
            "mode": f"{modes.get(name, 0o600):04o}",
        }
        for name, data in files.items()
    }


def _modes(facts: Dict[str, Any]) -> Dict[str, int]:
    return {name: int(fact["mode"], 8) for name, fact in facts.items()}
