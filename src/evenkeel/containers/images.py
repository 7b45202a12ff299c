"""Build the image that lab hosts and the staging container run from, from Debian's packages.

The image's tag is the digest of its definition (`images/host`), so it is built exactly when that
changes, and checkouts with the same definition share it.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenkeel.containers import podman
from evenkeel.containers.names import ROOT
from evenkeel.errors import Refused, UsageError

SUITE = "bookworm"
# The rehearsal uses the host's own image.
IMAGES = {"host": "host", "staging": "host"}
# Part of an image's identity: raise it when `_debian` changes.
_RECIPE = "2"
_BUILD_SECONDS = 900
_WITHOUT = ("doc", "info", "locale", "man")


def image(kind: str = "host", root: Path = ROOT) -> str:
    """Give the reference of the image of `kind` (host or staging); build it when it is not there.

    Raises UsageError for another kind, Refused when it cannot be built.
    """
    if kind not in IMAGES:
        raise UsageError(
            "There is no such image", wanted=" or ".join(sorted(IMAGES)), got=repr(kind[:60])
        )
    folder = root / "images" / IMAGES[kind]
    reference = f"localhost/evenkeel/{IMAGES[kind]}:{definition(folder)[:16]}"
    if podman.succeeds(["image", "exists", reference]):
        return reference
    with _alone(root / ".lab"):
        if not podman.succeeds(["image", "exists", reference]):
            base = os.environ.get("EVENKEEL_BASE", "")
            if base:
                _containerfile(folder, base, reference)
            else:
                _debian(folder, reference)
    return reference


def definition(folder: Path) -> str:
    """Give the digest of everything that the image in `folder` is made from: 64 hex digits."""
    sha = hashlib.sha256(f"{_RECIPE} {SUITE} {os.environ.get('EVENKEEL_BASE', '')}\n".encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        sha.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return sha.hexdigest()


def packages(folder: Path) -> list[str]:
    """Give the packages that the image is made of, as its list names them."""
    lines = (folder / "packages.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def files(folder: Path) -> bytes:
    """Give the image's own files as a tar whose owner and modes do not depend on the checkout's."""
    buffer = io.BytesIO()
    top = folder / "files"
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(p for p in top.rglob("*") if p.is_file()):
            add_file(tar, path.relative_to(top).as_posix(), path.read_bytes())
    return buffer.getvalue()


def add_file(
    tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644, owner: int = 0
) -> None:
    """Add one file to a tar, owned by the numeric user and group `owner`."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.uid, member.gid = len(content), mode, owner, owner
    tar.addfile(member, io.BytesIO(content))


def _debian(folder: Path, reference: str) -> None:
    """Build with mmdebstrap and import the result."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-image-") as scratch:
        overlay, rootfs = Path(scratch, "files.tar"), Path(scratch, "rootfs.tar")
        overlay.write_bytes(files(folder))
        _build(
            [
                *podman.as_root(), "mmdebstrap", "--quiet", "--variant=minbase",
                "--include=" + ",".join(packages(folder)),
                *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _WITHOUT),
                f"--customize-hook=tar-in {overlay} /",
                f"--customize-hook=upload {folder / 'prepare.sh'} /tmp/prepare.sh",
                '--customize-hook=chroot "$1" sh /tmp/prepare.sh',
                '--customize-hook=rm "$1/tmp/prepare.sh"',
                SUITE, str(rootfs),
            ]
        )  # fmt: skip
        podman.call(
            [
                "import", "--quiet", '--change=CMD ["/sbin/init"]',
                "--change=STOPSIGNAL SIGRTMIN+3", str(rootfs), reference,
            ],
            timeout=_BUILD_SECONDS,
            wrong="The image could not be imported",
        )  # fmt: skip


def _containerfile(folder: Path, base: str, reference: str) -> None:
    """Build with `podman build` on top of an image of the user's own."""
    _build(
        [
            *podman.command(), "build", "--quiet", f"--build-arg=BASE={base}",
            f"--tag={reference}", str(folder),
        ]
    )  # fmt: skip


def _build(arguments: list[str]) -> None:
    what, tool = "The image could not be built", next(a for a in arguments if a != "sudo")
    try:
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
    except FileNotFoundError:
        raise Refused(what, got=f"{tool} is not installed", next_step="scripts/setup") from None
    try:
        _, stderr = child.communicate(timeout=_BUILD_SECONDS)
    except BaseException as error:
        # Ended politely, the tool removes its half-made tree and mounts.
        subprocess.run([*podman.as_root(), "kill", str(child.pid)], check=False)
        child.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Refused(what, got=f"{tool} did not end within {_BUILD_SECONDS} s") from None
        raise
    if child.returncode:
        raise Refused(what, where=tool, got=podman.without_noise(stderr)[-2000:])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process of this checkout at a time build."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
