"""A host in a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.host.fakes import Host

MEMORY = Path("/dev/shm")
ROOM_BYTES = 512 * 1024 * 1024


def has_room(folder: Path) -> bool:
    """Whether files can be made and run there."""
    if not os.access(folder, os.W_OK):
        return False
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize > ROOM_BYTES and not facts.f_flag & os.ST_NOEXEC


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: a hundred thousand files are made here."""
    if not has_room(MEMORY):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(
        prefix="evenkeel-", dir=MEMORY, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing; that fsync is called is proven in test_durable."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
