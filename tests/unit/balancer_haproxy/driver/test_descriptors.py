"""Where there are few descriptors the unit gets a bound on its command line, and loses it again."""

import pytest
from unit.balancer_haproxy.driver_parts import driver, part

from evenkeel.host.system import process


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """A place of its own for the unit's options, and no systemd."""
    options = tmp_path / "unit.d" / "rehearsal.conf"
    monkeypatch.setattr(part("descriptors"), "REHEARSAL_OPTIONS", str(options))
    monkeypatch.setattr(process, "run", lambda *_: (0, ""))


def folder(path, text):
    path.mkdir(exist_ok=True)
    (path / "haproxy.cfg").write_text(text)
    return str(path)


def test_what_fits_leaves_the_unit_alone(tmp_path):
    live = folder(tmp_path / "live", "global\n    maxconn 4000\ndefaults\n    maxconn 90000\n")
    assert driver.DRIVER().fit([live, str(tmp_path / "nothing")], 20000) is False
    assert not (tmp_path / "unit.d").exists()


def test_the_larger_of_both_files_is_bounded_and_a_smaller_one_is_not(tmp_path):
    live = folder(tmp_path / "live", "global\n    maxconn 4000\n")
    new = folder(tmp_path / "new", "global\n    maxconn 50000\n")
    options = tmp_path / "unit.d" / "rehearsal.conf"
    assert driver.DRIVER().fit([live, new], 20000) is True
    assert f"-S {part('master').SOCKET} -n 9000" in options.read_text()
    assert driver.DRIVER().fit([live], 20000) is False
    assert " -n " not in options.read_text()
