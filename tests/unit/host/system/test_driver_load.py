"""A driver is one file, loaded whole, and only when nobody else could have written it."""

from __future__ import annotations

import os
import socket
import zipfile
from pathlib import Path

import pytest
from unit.host.drivers import Installed

from evenkeel.host.system import driver


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_a_driver_imports_the_files_beside_it_at_once_and_later(installed: Installed) -> None:
    assert installed.load().version() == "1.2"


@pytest.mark.parametrize("keep", [False, True])
def test_a_driver_that_was_replaced_is_loaded_with_its_new_files(
    installed: Installed, keep: bool
) -> None:
    assert installed.load(keep).version() == "1.2"
    installed.write("config/later.py", "VERSION = '9.9'\n")
    installed.build()
    assert installed.load(keep).version() == "9.9"


@pytest.mark.parametrize("keep", [False, True])
def test_what_becomes_of_its_file_does_no_harm_to_a_driver_that_was_loaded(
    installed: Installed, keep: bool
) -> None:
    replaced = installed.load(keep)
    installed.write("config/later.py", "VERSION = '9.9'\n")
    installed.build()
    assert replaced.version() == "1.2"
    removed = installed.load(keep)
    installed.path.unlink()
    assert removed.version() == "9.9"
    installed.build()
    overwritten = installed.load(keep)
    installed.path.write_bytes(b"\0" * installed.path.stat().st_size)
    assert overwritten.version() == "9.9"


def test_a_file_of_the_driver_is_run_when_it_is_imported_and_not_before(
    installed: Installed,
) -> None:
    installed.write("config/later.py", "VERSION = 1 / 0\n")
    installed.build()
    loaded = installed.load()
    with pytest.raises(ZeroDivisionError):
        loaded.version()


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o622])
def test_a_driver_that_others_can_write_is_refused(installed: Installed, mode: int) -> None:
    installed.path.chmod(mode)
    error = installed.refused()
    assert "Another user" in error["what"] and error["where"] == str(installed.path)
    assert "regular file" in error["wanted"] and "mode -rw" in error["got"]


@pytest.mark.parametrize("leads", ["to the driver", "nowhere"])
def test_a_driver_that_is_a_link_is_refused(installed: Installed, leads: str) -> None:
    elsewhere = installed.path.with_name("elsewhere")
    installed.path.rename(elsewhere)
    installed.path.symlink_to(elsewhere if leads == "to the driver" else "nowhere")
    error = installed.refused()
    assert "Another user" in error["what"] and "mode l" in error["got"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket"])
def test_what_is_no_regular_file_is_refused(installed: Installed, kind: str) -> None:
    installed.path.unlink()
    if kind == "folder":
        installed.path.mkdir(mode=0o755)
    elif kind == "pipe":
        os.mkfifo(installed.path, 0o600)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(installed.path))
        installed.path.chmod(0o600)
    assert "Another user" in installed.refused()["what"]


def test_what_somebody_else_owns_is_refused(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"owner {owner}," in installed.refused()["got"]


@pytest.mark.parametrize("put", ["link", "writable"])
def test_a_driver_that_is_exchanged_between_look_and_open_is_not_loaded(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, put: str
) -> None:
    looked = os.lstat(installed.path)
    elsewhere = installed.path.with_name("elsewhere")
    installed.path.rename(elsewhere)
    if put == "link":
        installed.path.symlink_to(elsewhere)
    else:
        elsewhere.rename(installed.path)
        installed.path.chmod(0o666)
    monkeypatch.setattr(os, "lstat", lambda _path: looked)
    with pytest.raises((OSError, driver.Refused)):
        installed.load()


def test_a_missing_driver_names_the_role_and_what_to_do(installed: Installed) -> None:
    installed.path.unlink()
    error = installed.refused()
    assert "No driver" in error["what"] and "balancer_x" in error["wanted"]
    assert error["where"] == str(installed.path) and "in place again" in error["next_step"]


def test_a_driver_of_an_earlier_version_is_none(installed: Installed) -> None:
    installed.path.rename(installed.folder / "x.py")
    assert "No driver" in installed.refused()["what"]


def spoil_the_middle(data: bytes) -> bytes:
    return data.replace(b"VERSION = '1.2'", b"VERSION = '6.6'")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"VERSION = 1\n",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        spoil_the_middle,
    ],
    ids=["empty", "no zip file", "half", "all but a byte", "another content"],
)
def test_a_file_that_is_not_whole_is_refused(installed: Installed, damage, keep: bool) -> None:
    whole = installed.path.read_bytes()
    installed.path.write_bytes(damage(whole))
    assert installed.path.read_bytes() != whole
    error = installed.refused(keep)
    assert "incomplete" in error["what"] and error["where"] == str(installed.path)
    assert "balancer_x" in error["wanted"] and "in place again" in error["next_step"]
    assert not installed.cache.exists()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("text", ["import\n", "a = 1\0\n", "x = '\ud800'\n"])
def test_a_driver_with_a_file_that_is_no_python_is_not_whole(
    installed: Installed, text: str, keep: bool
) -> None:
    (installed.files / "driver/part.py").write_bytes(text.encode("utf-8", "surrogatepass"))
    installed.build()
    assert "incomplete" in installed.refused(keep)["what"]


def test_a_driver_without_a_file_that_it_imports_says_which_and_what_to_do(
    installed: Installed,
) -> None:
    installed.load()
    (installed.files / "driver/part.py").unlink()
    installed.build()
    error = installed.refused()
    assert "incomplete" in error["what"] and "part" in error["got"]
    assert "balancer_x" in error["wanted"] and "in place again" in error["next_step"]


def test_the_driver_of_another_balancer_is_not_loaded_for_this_one(installed: Installed) -> None:
    installed.path.rename(installed.folder / "y.zip")
    with pytest.raises(driver.Refused) as caught:
        driver.load("y", str(installed.folder))
    error = caught.value.as_dict()
    assert "incomplete" in error["what"] and "evenkeel_driver_x" in error["got"]


def test_a_driver_brings_no_module_that_is_not_its_own(installed: Installed) -> None:
    with zipfile.ZipFile(installed.path, "a") as archive:
        archive.writestr("json.py", "")
    assert "json" in installed.refused()["got"]


def test_a_driver_that_leaves_a_capability_open_names_the_role(installed: Installed) -> None:
    installed.write("driver/part.py", "CAPABILITIES = {}\n")
    installed.build()
    assert "balancer_x" in installed.refused()["what"]
