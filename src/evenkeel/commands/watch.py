"""Watch a deploy as it goes, from another terminal: the hosts of the stage under way, live.

It reads the folder of the change and nothing else, and may be started and stopped at any time. It
ends with the deploy, with the deploy's exit code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT, add_inventory, run
from evenkeel.errors import Refused
from evenkeel.records import check_change_id
from evenkeel.report.live import NARROWEST, View, draw, look, news
from evenkeel.schedule.runner import read_settings

LOOK_SECONDS = 1.0
# So many looks in a row may meet a folder that is just being changed.
MOST_MISSED = 3


def main(arguments: list[str]) -> int:
    """Watch until the deploy has ended or is held; give what it ended with."""
    parser = argparse.ArgumentParser(prog="scripts/watch", description=__doc__)
    parser.add_argument("change", help="the change id")
    parser.add_argument("--once", action="store_true", help="look once, and end with 0")
    add_inventory(parser)
    parser.add_argument("--changes-dir", metavar="PATH", help="instead of the inventory's")
    options = parser.parse_args(arguments)
    change_id = check_change_id(options.change)
    folder = ChangeFolder(_changes(options) / change_id)
    live = redraws(sys.stdout, os.environ)
    before: View | None = None
    drawn = missed = 0
    while True:
        try:
            view = look(folder)
        except Refused:
            # A deploy that begins anew takes records away, one after the other.
            missed += 1
            if options.once or missed > MOST_MISSED:
                raise
            time.sleep(LOOK_SECONDS)
            continue
        missed = 0
        drawn = _show(before, view, live=live, drawn=drawn)
        if options.once:
            return 0
        if view.exit_code is not None:
            return view.exit_code
        before = view
        time.sleep(LOOK_SECONDS)


def redraws(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the picture is drawn over itself: on a terminal alone, and never in CI."""
    dumb = environment.get("TERM") == "dumb" or environment.get("CI", "") not in ("", "false")
    return stream.isatty() and not dumb


def _show(before: View | None, view: View, *, live: bool, drawn: int) -> int:
    """Print the picture, over the `drawn` lines of the one before if `live`; give its lines."""
    now = datetime.now(UTC)
    if not live:
        for line in news(before, view, now):
            print(line, flush=True)  # noqa: T201
        return 0
    size = shutil.get_terminal_size()
    # The last line stays free, so that nothing scrolls the picture away from under the cursor.
    width, height = max(NARROWEST, size.columns), max(3, size.lines - 1)
    colour = "NO_COLOR" not in os.environ
    lines = draw(view, now, width=width, height=height, colour=colour)
    back = f"\x1b[{drawn}A\r\x1b[J" if drawn else ""
    print(back + "\n".join(lines), flush=True)  # noqa: T201
    return len(lines)


def _changes(options: argparse.Namespace) -> Path:
    """Give the folder of changes; ask the inventory if need be."""
    if options.changes_dir:
        return Path(options.changes_dir).expanduser()
    defaults = {"evenkeel_changes_dir": str(ROOT / "changes")}
    settings = read_settings(ROOT, options.inventory, options.fleet, defaults)
    return Path(str(settings["evenkeel_changes_dir"])).expanduser()


if __name__ == "__main__":
    run(main)
