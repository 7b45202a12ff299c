"""Build the on-host program: `evenkeel.host` and `evenkeel.judge` as one executable file.

A zip file with a first line for the kernel. Its bytes depend on the sources alone: names sorted,
times fixed, nothing of the machine that built it, so the same sources give the same sha256.
"""

from __future__ import annotations

import hashlib
import zipfile
from io import BytesIO
from pathlib import Path

from evenkeel.records import write_atomically

NAME = "evenkeel-host"
# -I: nothing of the caller's environment or folder is imported; -S: nor any site package.
FIRST_LINE = b"#!/usr/bin/python3 -IS\n"
ROOMS = ("host", "judge")

_START = "host/start.py"
# The earliest time that a zip file can say.
_TIME = (1980, 1, 1, 0, 0, 0)


def program_bytes(source: Path | None = None) -> bytes:
    """Give the program's bytes, made from the package folder `source` (default: this one)."""
    source = source or Path(__file__).parent
    files = {"__main__.py": (source / _START).read_bytes(), "evenkeel/__init__.py": b""}
    for room in ROOMS:
        for path in (source / room).glob("*.py"):
            files[f"evenkeel/{room}/{path.name}"] = path.read_bytes()
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as output:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _TIME)
            member.external_attr = 0o644 << 16
            member.create_system = 3
            output.writestr(member, files[name])
    return FIRST_LINE + archive.getvalue()


def build(output: Path) -> str:
    """Write the program to `output`, executable, and give the sha256 of its bytes.

    A file that has these bytes already is left alone.
    """
    data = program_bytes()
    if not (output.is_file() and output.read_bytes() == data):
        write_atomically(output, data, 0o755)
    return hashlib.sha256(data).hexdigest()
