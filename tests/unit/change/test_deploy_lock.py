"""Two deploys of one change at a time: the second is refused, and a dead one holds nobody up."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from evenkeel.change.deploy_lock import NAME, take_deploy_lock
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fix").mkdir()
    return ChangeFolder(tmp_path / "fix")


@pytest.fixture
def other():
    """A process that lives until its standard input is closed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


def test_a_change_that_another_living_process_deploys_is_refused_by_its_number(folder, other):
    take_deploy_lock(folder, other.pid)
    with pytest.raises(Refused, match=f"process {other.pid} of this machine"):
        take_deploy_lock(folder, os.getpid())


def test_a_deploy_that_is_dead_holds_nobody_up(folder, other):
    take_deploy_lock(folder, other.pid)
    other.stdin.close()
    other.wait(timeout=10)
    take_deploy_lock(folder, os.getpid())
    assert json.loads((folder.path / NAME).read_text())["pid"] == os.getpid()


def test_the_same_deploy_may_ask_again(folder):
    take_deploy_lock(folder, os.getpid())
    take_deploy_lock(folder, os.getpid())


def test_a_number_that_was_given_out_again_is_another_process(folder, other):
    take_deploy_lock(folder, other.pid)
    path = folder.path / NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "boot 1"}))
    take_deploy_lock(folder, os.getpid())


@pytest.mark.parametrize("litter", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe"])
def test_litter_in_its_file_holds_nobody_up(folder, litter):
    (folder.path / NAME).write_bytes(litter)
    take_deploy_lock(folder, os.getpid())


def test_a_symlink_in_place_of_its_file_is_not_followed(folder, tmp_path):
    (tmp_path / "precious").write_text("keep")
    (folder.path / NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        take_deploy_lock(folder, os.getpid())
    assert (tmp_path / "precious").read_text() == "keep"
