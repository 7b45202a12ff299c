"""Power loss at any moment of any verb: what was not fsynced is lost, and the host boots well.

The losses follow from what the verb has written, renamed and fsynced (tests/faults/disk.py). Here
one in 16 of them is tried, and every one after an answer; `python -m faults` tries them all.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evenkeel.host.system import durable
from evenkeel.host.system.steps import Steps
from faults import power
from faults.cases import CASES, Case
from faults.disk import Disk
from faults.kills import STRANDED


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_after_a_power_loss_no_host_is_stranded_and_no_answer_was_a_lie(
    tmp_path: Path, case: Case
) -> None:
    found = list(power.inject(tmp_path, [case], one_of=16))
    assert found
    assert not [injection for injection in found if injection.outcome == STRANDED]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "old").write_bytes(b"old")
    return Disk(tmp_path, lambda: 0.0)


def left(disk: Disk) -> set[tuple[bytes, ...]]:
    """The bytes that the file `old` and the file `new` may have; b"-" for one that is not there."""
    nothing = ("", b"-", 0)
    return {
        tuple(tree.get(name, nothing)[1] for name in ("old", "new")) for _, tree in disk.losses()
    }


def test_bytes_that_were_not_synced_may_be_lost_and_their_name_kept(disk: Disk) -> None:
    with disk.watched():
        handle = os.open(f"{disk.root}/new", os.O_WRONLY | os.O_CREAT)
        os.write(handle, b"new")
        os.close(handle)
    assert left(disk) == {(b"old", b"new"), (b"old", b""), (b"old", b"-")}


def test_a_name_that_was_not_synced_may_be_lost_with_bytes_that_were(disk: Disk) -> None:
    with disk.watched():
        durable.write_new(f"{disk.root}/new", b"new", 0o600)
    assert left(disk) == {(b"old", b"new"), (b"old", b"-")}


def test_a_rename_is_lost_whole_or_kept_whole(disk: Disk) -> None:
    with disk.watched():
        durable.write_new(f"{disk.root}/new", b"new", 0o600)
        durable.sync_folder(disk.root)
        os.rename(f"{disk.root}/new", f"{disk.root}/old")
    assert left(disk) == {(b"new", b"-"), (b"old", b"new")}


def test_what_was_synced_stays(disk: Disk) -> None:
    with disk.watched():
        durable.write_file(Steps(), "x", f"{disk.root}/new", b"new")
    assert left(disk) == {(b"old", b"new")}
