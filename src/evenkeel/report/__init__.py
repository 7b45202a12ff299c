"""report.html: one change on one self-contained page.

It needs no network and no script, says nothing secret, and can be written after every verb: what
has not happened yet is shown as still to come, and a record that is damaged is named as such.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from evenkeel.change.folder import ChangeFolder
from evenkeel.records import write_atomically
from evenkeel.report.page import page

__all__ = ["page", "render_report", "write_report"]

NAME = "report.html"


def render_report(folder: ChangeFolder) -> str:
    """Give the page of a change as it stands; raises Refused when there is no such change."""
    environment = Environment(
        loader=PackageLoader("evenkeel.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("evenkeel.report") / "templates" / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(page(folder), style=style)


def write_report(folder: ChangeFolder) -> Path:
    """Write the page beside the records, atomically, and give its path."""
    path = folder.path / NAME
    write_atomically(path, render_report(folder).encode())
    return path
