"""A driver `x` of a few files, and the one file that it is on a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenkeel.host.errors import Refused
from evenkeel.host.system import driver
from evenkeel.host.system.driver import CAPABILITY_NAMES
from evenkeel.program import build_driver

SOURCE = """
from evenkeel.host.system.driver import Driver

from .part import CAPABILITIES as STATED


class X(Driver):
    CAPABILITIES = STATED

    def version(self):
        from ..config.later import VERSION

        return VERSION


DRIVER = X
"""


class Installed:
    """The driver on its host; `path` is its file there."""

    def __init__(self, top: Path) -> None:
        self.files = top / "roles" / "balancer_x" / "files"
        for room in ("driver", "config"):
            (self.files / room).mkdir(parents=True)
            self.write(f"{room}/__init__.py", "")
        self.folder = top / "drivers"
        self.path = self.folder / "x.zip"
        self.caches = top / "cache"
        self.cache = self.caches / "driver-x.code"
        self.write("driver/__init__.py", SOURCE)
        stated = dict.fromkeys(CAPABILITY_NAMES, True)
        self.write("driver/part.py", f"CAPABILITIES = {stated}\n")
        self.write("config/later.py", "VERSION = '1.2'\n")
        self.build()

    def write(self, name: str, text: str) -> None:
        """Write a file of the role."""
        (self.files / name).write_text(text)

    def build(self) -> None:
        """Put the role's files in place on the host, as the installation does: by a rename."""
        assert build_driver(self.files.parent, self.folder) == self.path

    def load(self, keep: bool = False) -> driver.Driver:
        """Load the driver; `keep` its bytecode."""
        caches: str | None = str(self.caches) if keep else None
        return driver.load("x", str(self.folder), caches)

    def refused(self, keep: bool = False) -> dict[str, str]:
        """Give the error of a driver that must not be loaded."""
        with pytest.raises(Refused) as caught:
            self.load(keep)
        return caught.value.as_dict()
