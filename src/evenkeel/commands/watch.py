"""Watch a deploy from another terminal while it runs.

It only reads the folder of the change, and may be started and stopped at any time. It ends with the
deploy, with the deploy's exit code.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.live import Live

from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT, add_inventory, run
from evenkeel.errors import Refused
from evenkeel.records import check_change_id
from evenkeel.report.live_view import Picture, View, look, news
from evenkeel.schedule.runner import read_settings
from evenkeel.terminal import console, draws, say

LOOK_SECONDS = 1.0
# Looks in a row that may meet a half-written folder.
MOST_MISSED = 3


def main(arguments: list[str]) -> int:
    """Watch until the deploy has ended or is held; give its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/watch", description=__doc__)
    parser.add_argument("change", help="the change id")
    parser.add_argument("--once", action="store_true", help="look once, and end with 0")
    add_inventory(parser)
    parser.add_argument("--changes-dir", metavar="PATH", help="instead of the inventory's")
    options = parser.parse_args(arguments)
    change_id = check_change_id(options.change)
    folder = ChangeFolder(_changes(options) / change_id)
    if not draws(sys.stdout, os.environ):
        return _follow(folder, _say_news, once=options.once)
    # rich hides the cursor, so end in order.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    on = console(sys.stdout, drawing=True)
    with Live(console=on, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:

        def redraw(_: View | None, view: View) -> None:
            live.update(Picture(view, datetime.now(UTC)), refresh=True)

        return _follow(folder, redraw, once=options.once)


def _follow(folder: ChangeFolder, show: Callable[[View | None, View], None], *, once: bool) -> int:
    """Show each look, with the one before it, until the deploy ends; give its exit code."""
    before: View | None = None
    missed = 0
    while True:
        try:
            view = look(folder)
        except Refused:
            # A deploy that starts again removes records one by one.
            missed += 1
            if once or missed > MOST_MISSED:
                raise
        else:
            missed = 0
            show(before, view)
            if once:
                return 0
            if view.exit_code is not None:
                return view.exit_code
            before = view
        time.sleep(LOOK_SECONDS)


def _say_news(before: View | None, view: View) -> None:
    for line in news(before, view, datetime.now(UTC)):
        say(line)


def _changes(options: argparse.Namespace) -> Path:
    """Give the folder of changes, from the inventory unless an option names it."""
    if options.changes_dir:
        return Path(options.changes_dir).expanduser()
    defaults = {"evenkeel_changes_dir": str(ROOT / "changes")}
    settings = read_settings(ROOT, options.inventory, options.fleet, defaults)
    return Path(str(settings["evenkeel_changes_dir"])).expanduser()


if __name__ == "__main__":
    run(main)
