"""Build the two files that hosts get: the on-host program and a balancer's driver.

Both are zip files of sources. The program holds `evenkeel.host` and `evenkeel.judge` and starts
with a line for the kernel. Names are sorted and times fixed, so the same sources give the same
sha256 on every machine.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from evenkeel.errors import Refused
from evenkeel.host.system.driver import package_of, path_of
from evenkeel.host.system.fingerprint import word_of
from evenkeel.records import write_atomically

NAME = "evenkeel-host"
# -I ignores the caller's environment, -S site packages.
FIRST_LINE = b"#!/usr/bin/python3 -IS\n"
ROOMS = ("host", "judge")
# The folders of a role's `files/` that hosts get.
DRIVER_ROOMS = ("driver", "config")

_START = "host/__main__.py"
# The earliest time in a zip file.
_TIME = (1980, 1, 1, 0, 0, 0)


def program_bytes(source: Path | None = None) -> bytes:
    """Give the program's bytes from the package folder `source` (default: this one)."""
    source = source or Path(__file__).parent
    files = {"__main__.py": (source / _START).read_bytes(), "evenkeel/__init__.py": b""}
    for room in ROOMS:
        for path in (source / room).rglob("*.py"):
            files[f"evenkeel/{path.relative_to(source).as_posix()}"] = path.read_bytes()
    return FIRST_LINE + _zipped(files)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as output:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _TIME)
            member.external_attr = 0o644 << 16
            member.create_system = 3
            output.writestr(member, files[name])
    return archive.getvalue()


def build(output: Path) -> str:
    """Write the program to `output`, executable, and give the sha256 of its bytes.

    A file that has these bytes already is left alone.
    """
    return _put(output, program_bytes(), 0o755)


def build_driver(role: Path, folder: Path) -> Path:
    """Write the driver of the role at `role` into `folder` and give its path there.

    A file that has these bytes already is left alone. Raises Refused, naming the role, when it has
    no driver.
    """
    path, data = driver_on_host(role)
    output = folder / Path(path).name
    _put(output, data, 0o644)
    return output


def _put(output: Path, data: bytes, mode: int) -> str:
    if not (output.is_file() and output.read_bytes() == data):
        write_atomically(output, data, mode)
    return hashlib.sha256(data).hexdigest()


def driver_files(role: Path) -> list[Path]:
    """Give the files of the role at `role` that are shipped to hosts: `DRIVER_ROOMS` of `files/`.

    Raises Refused, naming the role, when it has no driver.
    """
    files = role / "files"
    driver = files / "driver" / "__init__.py"
    if not driver.is_file():
        raise Refused(
            f"The role {role.name} has no driver",
            where=str(driver),
            wanted="the package files/driver in the role",
            next_step="see docs/how-to/add-a-balancer.md",
        )
    return sorted(path for room in DRIVER_ROOMS for path in (files / room).rglob("[!.]*.py"))


def driver_on_host(role: Path) -> tuple[str, bytes]:
    """Give the path on a host of the driver of the role at `role`, and its bytes.

    Raises Refused, naming the role, when it has no driver.
    """
    balancer = role.name.removeprefix("balancer_")
    package = package_of(balancer)
    top = role / "files"
    files = {
        f"{package}/{path.relative_to(top).as_posix()}": path.read_bytes()
        for path in driver_files(role)
    }
    return path_of(balancer), _zipped({f"{package}/__init__.py": b"", **files})


def build_of(role: Path) -> str:
    """Give the fingerprint of this program and the driver of `role`, as a host reports it.

    Raises Refused, naming the role, when it has no driver.
    """
    return word_of([program_bytes(), driver_on_host(role)[1]])
