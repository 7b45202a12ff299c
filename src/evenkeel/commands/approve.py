"""Show what a change does, ask, and sign for it with your SSH key."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from evenkeel.change import approval
from evenkeel.change.approval_view import binding, copy_to_look_at, difference
from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT, add_inventory, run
from evenkeel.errors import EXIT_OK, Refused, UsageError, readable
from evenkeel.records import check_change_id
from evenkeel.report import page, write_report
from evenkeel.report.effect_rows import PoolEffect
from evenkeel.report.page import Page, diff_parts
from evenkeel.report.tones import STYLES
from evenkeel.schedule.runner import read_settings
from evenkeel.terminal import draws, say, show, text

NARROWEST_WITH_BARS = 60
SHORTEST_NAME, SHORTEST_BAR, LONGEST_BAR = 4, 4, 24


def main(arguments: list[str]) -> int:
    """Show the change, ask, sign. Raises Refused for an approval that would not count."""
    options = _options(arguments)
    # Checked before it becomes part of a path.
    change_id = check_change_id(options.change)
    changes, signers = _places(options)
    folder = ChangeFolder(changes / change_id)
    approval.require_rehearsed(folder)
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as private:
        # The folder may change meanwhile: what was shown is signed.
        copy = copy_to_look_at(folder, Path(private))
        seen = binding(copy)
        with readable(f"The change {change_id}", folder.path):
            shown = page(copy)
            shown["diff"] = diff_parts(difference(copy))
            room = shutil.get_terminal_size().columns >= NARROWEST_WITH_BARS
            parts = list(summary(shown, bars=room and draws(sys.stdout, os.environ)))
    if shown["damaged"]:
        raise Refused(
            "A part of the change is damaged and cannot be shown",
            where=str(folder.path),
            got="; ".join(shown["damaged"])[:500],
            next_step="look for an edited file in the change's folder, and render the change again",
        )
    show(*parts)
    if not options.yes:
        _ask(options.person)
    given = approval.approve(
        folder,
        options.person,
        Path(options.key).expanduser(),
        signers,
        valid_hours=options.valid_hours,
        seen=seen,
    )
    write_report(folder)
    word = "signed" if given.changed else "was signed before"
    say(f"\n{folder.change_id} {word} by {given.person}, valid until {given.expires}")
    words = f"-i {shlex.quote(options.inventory)} playbooks/deploy.yml"
    say(f"next: ansible-playbook {words} -e change={folder.change_id}")
    return EXIT_OK


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/approve", description=__doc__)
    parser.add_argument("change", help="the change id")
    parser.add_argument(
        "--as",
        dest="person",
        default=getpass.getuser(),
        metavar="PERSON",
        help="your name in the file of allowed signers (default: your user name)",
    )
    parser.add_argument(
        "--key",
        default=os.environ.get("EVENKEEL_KEY", "~/.ssh/id_ed25519"),
        metavar="FILE",
        help="your SSH key, or a public one whose private half is in the agent "
        "(default: $EVENKEEL_KEY, else ~/.ssh/id_ed25519)",
    )
    parser.add_argument("--yes", action="store_true", help="sign without asking")
    parser.add_argument(
        "--valid-hours",
        type=float,
        default=approval.DEFAULT_VALID_HOURS,
        metavar="N",
        help=f"how long the approval holds (default: {approval.DEFAULT_VALID_HOURS})",
    )
    add_inventory(parser)
    parser.add_argument("--changes-dir", metavar="PATH", help="instead of the inventory's")
    parser.add_argument("--allowed-signers", metavar="FILE", help="instead of the inventory's")
    return parser.parse_args(arguments)


def _places(options: argparse.Namespace) -> tuple[Path, Path]:
    """Give the folder of changes and the file of allowed signers.

    They come from the inventory unless options name them.
    """
    found = {
        "evenkeel_changes_dir": options.changes_dir,
        "evenkeel_allowed_signers": options.allowed_signers,
    }
    if not all(found.values()):
        defaults = {"evenkeel_changes_dir": str(ROOT / "changes"), "evenkeel_allowed_signers": ""}
        settings = read_settings(ROOT, options.inventory, options.fleet, defaults)
        found = {name: value or settings[name] for name, value in found.items()}
    if not found["evenkeel_allowed_signers"]:
        raise Refused(
            "There is no file of allowed signers",
            where=options.inventory,
            wanted="the variable evenkeel_allowed_signers, a file as ssh-keygen(1) describes it",
            next_step="set it in the inventory, or give --allowed-signers",
        )
    changes, signers = (Path(str(value)).expanduser() for value in found.values())
    return changes, signers


def _ask(person: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "Signing needs a terminal, or --yes",
            wanted="a terminal, so that you can look before you sign",
            next_step="run it in a terminal, or give --yes after you looked",
        )
    if input(f"\nSign for this change as {person}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("The change was not signed", got="no", next_step="nothing was written")


def summary(shown: Page, *, bars: bool = False) -> Iterator[Text | Table]:
    """Give the effect of a change, line by line, with tables of shares and their `bars`.

    No text of the change can move the cursor, add a line or turn the direction of writing.
    """
    for part in _summary(shown, bars=bars):
        yield text(part) if isinstance(part, str) else part


def _summary(shown: Page, *, bars: bool) -> Iterator[str | Text | Table]:
    yield text(f"{shown['change_id']}: {shown['title']}", "bold")
    yield f"  by {shown['author']}, rendered {shown['created']}, digest {shown['digest'][:16]}"
    yield f"  for {shown['host_count']} hosts" + (f", {shown['window']}" if shown["window"] else "")
    for group in shown["effects"]:
        yield ""
        yield text(f"Effect on {group['hosts']}", "bold")
        yield from (f"  {line}" for line in group["summary"])
        for pool in group["moved"]:
            yield f"  pool {pool['name']} ({pool['change'] or 'same'}, {pool['algorithm']})"
            yield _shares(pool, bars=bars)
            if pool["clients"]:
                yield f"    {pool['clients']}"
            if pool["more"]:
                yield f"    and {pool['more']} more servers that move less"
        if group["still"]:
            yield f"  as before: {', '.join(pool['name'] for pool in group['still'])}"
    if any(shown["policy"].values()):
        yield ""
        yield text("Policy", "bold")
        yield from (f"  declared: {line}" for line in shown["policy"]["declared"])
        yield from (text(f"  {line}", STYLES["warn"]) for line in shown["policy"]["found"])
        if shown["policy"]["live"]:
            yield f"  {len(shown['policy']['live'])} findings that are live already"
    yield ""
    yield text("Rollout", "bold")
    yield from (f"  {line}" for line in shown["rollout"])
    yield ""
    yield text("Rehearsal", "bold")
    if shown["traffic"]:
        yield f"  with {shown['traffic']}"
    for checks in shown["checks"]:
        yield f"  {len(checks['passed'])} of {checks['total']} checks passed on {checks['hosts']}"
        for row in checks["broken"]:
            yield text(f"  {row['verdict']}: {row['title']}", STYLES[row["tone"]])
    yield ""
    yield text("Difference to what was live", "bold")
    for part in shown["diff"]:
        yield f"  {part['hosts']}: +{part['added']} -{part['removed']} lines"
    if not shown["diff"]:
        yield "  none"


def _shares(pool: PoolEffect, *, bars: bool) -> Table:
    """Give the table of a pool: for each server the forecast and the measured move."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=3)
    table.add_column(min_width=SHORTEST_NAME, overflow="fold")
    for justify in ("left", "right", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    for _ in range(2 * bars):
        table.add_column(min_width=SHORTEST_BAR, max_width=LONGEST_BAR)
    for row in pool["rows"]:
        for kind, move in (("forecast", row["forecast"]), ("measured", row["measured"])):
            if move:
                # grep needs the name on every plain line.
                again = bars and kind == "measured" and row["forecast"]
                name = "" if again else row["server"]
                figures = (kind, move["before"], ">", move["after"], move["shift"])
                before = Bar(100, 0, move["before_length"], color="bright_black")
                after = Bar(100, 0, move["after_length"], color="cyan")
                cells = map(text, (name, *figures))
                table.add_row("", *cells, *((before, after) if bars else ()))
    return table


if __name__ == "__main__":
    run(main)
