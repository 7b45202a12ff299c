"""The bytecode of a driver is kept beside the program's, and believed as little."""

from __future__ import annotations

import marshal
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.host.drivers import Installed

from evenkeel.host.system import bytecode, driver


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are compiled from now on."""
    seen: list[str] = []
    compiled = bytecode.compiled

    def counted(sources: Any) -> bytecode.Modules:
        seen.append(sources.name)
        return compiled(sources)

    monkeypatch.setattr(bytecode, "compiled", counted)
    return seen


def test_the_second_load_reads_what_the_first_one_kept(
    installed: Installed, compiles: list[str]
) -> None:
    for _ in range(2):
        assert installed.load(keep=True).version() == "1.2"
    assert compiles == [str(installed.path)]
    assert [path.name for path in installed.caches.iterdir()] == ["driver-x.code"]
    assert installed.cache.stat().st_mode & 0o777 == 0o600
    assert installed.caches.stat().st_mode & 0o777 == 0o700


def test_only_an_installed_driver_is_kept_where_the_program_is(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytecode, "CACHES", str(installed.caches))
    installed.load()
    assert not installed.caches.exists()
    monkeypatch.setattr(driver, "DRIVERS", str(installed.folder))
    installed.load()
    assert installed.cache.exists()


def test_bytecode_of_another_driver_is_not_believed(
    installed: Installed, compiles: list[str]
) -> None:
    installed.load(keep=True)
    whole = installed.cache.read_bytes()
    os.link(installed.path, installed.folder / "y.zip")
    shutil.copy(installed.cache, installed.caches / "driver-y.code")
    with pytest.raises(driver.Refused, match="incomplete"):
        driver.load("y", str(installed.folder), str(installed.caches))
    installed.write("config/later.py", "VERSION = '9.9'\n")
    installed.build()
    assert installed.load(keep=True).version() == "9.9"
    assert installed.cache.read_bytes() != whole
    assert len(compiles) == 3


def test_bytecode_of_another_python_is_not_believed(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.load(keep=True)
    kept = marshal.loads(installed.cache.read_bytes())
    kept["modules"] = {}
    kept["made_of"][-1] = "3.99"
    installed.cache.write_bytes(marshal.dumps(kept))
    assert installed.load(keep=True).version() == "1.2"
    assert marshal.loads(installed.cache.read_bytes())["made_of"][-1] == sys.version


@pytest.mark.parametrize("whose", ["file", "folder", "link"])
def test_bytecode_that_others_could_write_is_not_believed(installed: Installed, whose: str) -> None:
    installed.load(keep=True)
    kept = marshal.loads(installed.cache.read_bytes())
    package, _ = kept["modules"]["evenkeel_driver_x.config.later"]
    planted = marshal.dumps(compile("VERSION = 'planted'", "planted", "exec"))
    kept["modules"]["evenkeel_driver_x.config.later"] = (package, planted)
    installed.cache.write_bytes(marshal.dumps(kept))
    # Whoever could write it could have made it such that it is believed.
    assert installed.load(keep=True).version() == "planted"
    if whose == "link":
        elsewhere = installed.caches / "elsewhere"
        installed.cache.rename(elsewhere)
        installed.cache.symlink_to(elsewhere)
    else:
        path = installed.cache if whose == "file" else installed.caches
        path.chmod(0o666 if whose == "file" else 0o777)
    assert installed.load(keep=True).version() == "1.2"


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, marshal.dumps(["list"]), marshal.dumps({})])
def test_damaged_bytecode_is_made_anew(
    installed: Installed, compiles: list[str], damage: bytes
) -> None:
    installed.load(keep=True)
    installed.cache.write_bytes(damage)
    for _ in range(2):
        assert installed.load(keep=True).version() == "1.2"
    assert len(compiles) == 2


def test_at_boot_nothing_is_written(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, compiles: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["evenkeel-host", "--balancer", "x", "recover", "--boot"])
    assert installed.load(keep=True).version() == "1.2"
    assert not installed.caches.exists()
    monkeypatch.setattr(sys, "argv", ["evenkeel-host", "--balancer", "x", "status"])
    installed.load(keep=True)
    assert installed.cache.exists()


def test_at_boot_what_was_kept_before_is_read(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, compiles: list[str]
) -> None:
    installed.load(keep=True)
    monkeypatch.setattr(sys, "argv", ["evenkeel-host", "--balancer", "x", "recover", "--boot"])
    assert installed.load(keep=True).version() == "1.2"
    assert len(compiles) == 1


def test_without_a_place_for_its_bytecode_a_driver_is_loaded_all_the_same(
    installed: Installed,
) -> None:
    installed.caches.write_text("no folder")
    assert installed.load(keep=True).version() == "1.2"


def test_a_file_of_the_driver_that_was_kept_is_unmarshalled_when_it_is_imported(
    installed: Installed,
) -> None:
    installed.load(keep=True)
    kept = marshal.loads(installed.cache.read_bytes())
    kept["modules"]["evenkeel_driver_x.config.later"] = (False, b"\xff")
    installed.cache.write_bytes(marshal.dumps(kept))
    loaded = installed.load(keep=True)
    with pytest.raises(ValueError, match="bad marshal data"):
        loaded.version()
