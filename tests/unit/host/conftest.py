"""A host in a temporary folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from unit.host.fakes import Host


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing; that fsync is called is proven in test_durable."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
