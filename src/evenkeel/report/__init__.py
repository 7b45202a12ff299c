"""report.html: one change on one self-contained page.

It needs no network and no script and holds no secret. It can be written after every verb: steps
that have not happened are shown as to come, and damaged records are named.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused, readable
from evenkeel.records import write_atomically
from evenkeel.report.page import page

__all__ = ["page", "render_report", "write_report"]

NAME = "report.html"


def render_report(folder: ChangeFolder) -> str:
    """Give the page of a change as HTML.

    Raises Refused when there is no such change, or a record has another shape than ours.
    """
    environment = Environment(
        loader=PackageLoader("evenkeel.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("evenkeel.report") / "templates" / "report.css").read_text(encoding="utf-8")
    with readable(f"The change {folder.change_id}", folder.path):
        shown = page(folder)
    return environment.get_template("report.html.j2").render(shown, style=style)


def write_report(folder: ChangeFolder) -> Path:
    """Write the page beside the records, atomically, and give its path.

    A page that cannot be drawn holds the reason instead, so that the verb can go on. Raises Refused
    when there is no such change.
    """
    path = folder.path / NAME
    try:
        text = render_report(folder)
    except Refused as error:
        if not folder.path.is_dir():
            raise
        head = f'<!doctype html><meta charset="utf-8"><title>{escape(folder.change_id)}</title>'
        text = f"{head}<pre>{escape(str(error))}"
    write_atomically(path, text.encode())
    return path
