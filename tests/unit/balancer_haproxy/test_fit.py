"""Where there are few descriptors the unit gets a bound on its command line, and loses it again."""

import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType

import pytest
from unit.balancer_haproxy.files import ROLE


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """The driver, with a place of its own for the unit's options and no systemd."""
    path = str(ROLE / "files" / "driver.py")
    module = ModuleType("evenkeel_driver_to_fit")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    SourceFileLoader(module.__name__, path).exec_module(module)
    monkeypatch.setattr(module, "REHEARSAL_OPTIONS", str(tmp_path / "unit.d" / "rehearsal.conf"))
    monkeypatch.setattr(module.process, "run", lambda *_: (0, ""))
    return module


def folder(path, text):
    path.mkdir(exist_ok=True)
    (path / "haproxy.cfg").write_text(text)
    return str(path)


def test_what_fits_leaves_the_unit_alone(driver, tmp_path):
    live = folder(tmp_path / "live", "global\n    maxconn 4000\ndefaults\n    maxconn 90000\n")
    assert driver.DRIVER().fit([live, str(tmp_path / "nothing")], 20000) is False
    assert not (tmp_path / "unit.d").exists()


def test_the_larger_of_both_files_is_bounded_and_a_smaller_one_is_not(driver, tmp_path):
    live = folder(tmp_path / "live", "global\n    maxconn 4000\n")
    new = folder(tmp_path / "new", "global\n    maxconn 50000\n")
    options = tmp_path / "unit.d" / "rehearsal.conf"
    assert driver.DRIVER().fit([live, new], 20000) is True
    assert f"-S {driver.SOCKET} -n 9000" in options.read_text()
    assert driver.DRIVER().fit([live], 20000) is False
    assert " -n " not in options.read_text()
