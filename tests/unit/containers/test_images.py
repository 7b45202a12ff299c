"""The image's tag is the digest of what it is made from, and of nothing else."""

import io
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from evenkeel.containers import images
from evenkeel.containers.names import ROOT
from evenkeel.errors import UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("EVENKEEL_BASE", raising=False)
    copy = tmp_path / "host"
    shutil.copytree(ROOT / "images" / "host", copy)
    return copy


def test_the_same_definition_elsewhere_has_the_same_digest(folder):
    assert images.definition(folder) == images.definition(ROOT / "images" / "host")


@pytest.mark.parametrize("what", ["packages.txt", "prepare.sh", "files/etc/sudoers.d/admin"])
def test_a_changed_file_changes_the_digest(folder, what):
    before = images.definition(folder)
    (folder / what).write_text((folder / what).read_text() + "\n")
    assert images.definition(folder) != before


def test_a_moved_file_changes_the_digest(folder):
    before = images.definition(folder)
    (folder / "files/etc/sudoers.d/admin").rename(folder / "files/etc/sudoers.d/other")
    assert images.definition(folder) != before


def test_another_base_image_changes_the_digest(folder, monkeypatch):
    before = images.definition(folder)
    monkeypatch.setenv("EVENKEEL_BASE", "registry.example/debian:12")
    assert images.definition(folder) != before


def test_what_goes_into_the_image_belongs_to_root_whoever_owns_the_checkout(folder):
    (folder / "files/etc/sudoers.d/admin").chmod(0o666)
    with tarfile.open(fileobj=io.BytesIO(images.files(folder))) as tar:
        members = tar.getmembers()
    assert len(members) > 3
    assert {(m.uid, m.gid, m.mode) for m in members} == {(0, 0, 0o644)}


def test_comments_are_no_packages():
    wanted = images.packages(ROOT / "images" / "host")
    assert "haproxy" in wanted
    assert not any("#" in name or " " in name for name in wanted)


def test_refuses_an_image_that_there_is_none_of():
    with pytest.raises(UsageError, match="no such image"):
        images.image("windows")


MMDEBSTRAP = """\
mkdir "$TMPDIR/half-made"
trap 'rmdir "$TMPDIR/half-made"; exit 1' TERM
echo building >"$BUILDING"
while :; do read -r _ <"$NEVER"; done
"""
TERMINATED = """\
import pathlib, signal, sys
from evenkeel.containers.images import image
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
image("host", pathlib.Path(sys.argv[1]))
"""


def test_a_build_that_is_terminated_leaves_nothing(folder, tmp_path):
    root, commands, left = tmp_path / "root", tmp_path / "commands", tmp_path / "left"
    (root / "images").mkdir(parents=True)
    folder.rename(root / "images" / "host")
    commands.mkdir()
    left.mkdir()
    for name, script in (("podman", "exit 1"), ("sudo", 'exec "$@"'), ("mmdebstrap", MMDEBSTRAP)):
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    for name in ("building", "never"):
        os.mkfifo(tmp_path / name)
    build = subprocess.Popen(
        [sys.executable, "-c", TERMINATED, root],
        env={
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "TMPDIR": str(left),
            "BUILDING": str(tmp_path / "building"),
            "NEVER": str(tmp_path / "never"),
        },
    )
    assert (tmp_path / "building").read_text() == "building\n"
    assert sorted(path.name[:14] for path in left.iterdir()) == ["evenkeel-image", "half-made"]
    build.terminate()
    assert build.wait(timeout=60) == 143
    assert list(left.iterdir()) == []
