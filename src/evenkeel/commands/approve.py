"""Show a person what a change does, ask, and sign for it with the person's SSH key."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evenkeel.change import approval
from evenkeel.change.approval_view import binding, copy_to_look_at, difference
from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT, add_inventory, run
from evenkeel.errors import EXIT_OK, Refused, UsageError, readable
from evenkeel.records import check_change_id
from evenkeel.report import page, write_report
from evenkeel.report.page import diff_parts
from evenkeel.schedule.runner import read_settings

BAR = 24
Object = Mapping[str, Any]


def main(arguments: list[str]) -> int:
    """Show the change, ask, sign. Raises Refused for every approval that would not count."""
    options = _options(arguments)
    # Before it becomes a part of a path: only its last component would be looked at there.
    change_id = check_change_id(options.change)
    changes, signers = _places(options)
    folder = ChangeFolder(changes / change_id)
    approval.require_rehearsed(folder)
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as private:
        # Who can write into the change's folder may do so while a person looks: what is signed is
        # what was shown, or nothing.
        copy = copy_to_look_at(folder, Path(private))
        seen = binding(copy)
        with readable(f"The change {change_id}", folder.path):
            looked = {**page(copy), "diff": diff_parts(difference(copy))}
            lines = list(summary(looked))
    _demand_whole(looked, folder.path)
    say("\n".join(lines))
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
    """Give the folder of changes and the file of allowed signers; ask the inventory if need be."""
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
            "Nobody is allowed to sign",
            where=options.inventory,
            wanted="the variable evenkeel_allowed_signers, a file as ssh-keygen(1) describes it",
            next_step="set it in the inventory, or give --allowed-signers",
        )
    changes, signers = (Path(str(value)).expanduser() for value in found.values())
    return changes, signers


def _demand_whole(looked: Object, where: Path) -> None:
    """Raise Refused for a change of which a part is damaged: it would not be shown, but signed."""
    if looked["faults"]:
        raise Refused(
            "The change cannot be shown whole",
            where=str(where),
            got="; ".join(looked["faults"])[:500],
            next_step="look for an edited file in the change's folder, and render the change again",
        )


def _ask(person: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "There is nobody to ask",
            wanted="a terminal, so that a person can look before signing",
            next_step="run it in a terminal, or give --yes after having looked",
        )
    if input(f"\nSign for this change as {person}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("The change was not signed", got="no", next_step="nothing was written")


def summary(shown: Object) -> Iterator[str]:
    """Give the effect of a change in plain lines: `shown` is what the report's page shows.

    Whatever a text of the change holds, a line cannot move the cursor or turn its direction: the
    person who signs sees what stands there.
    """
    for line in _lines(shown):
        yield "".join(
            letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
        )


def _lines(shown: Object) -> Iterator[str]:
    yield f"{shown['change_id']}: {shown['title']}"
    yield f"  by {shown['author']}, rendered {shown['created']}, digest {shown['digest'][:16]}"
    yield f"  for {shown['host_count']} hosts" + (f", {shown['window']}" if shown["window"] else "")
    for group in shown["effects"]:
        yield ""
        yield f"Effect on {group['hosts']}"
        yield from (f"  {line}" for line in group["summary"])
        for pool in group["moved"]:
            yield from _pool(pool)
        if group["still"]:
            yield f"  as before: {', '.join(pool['name'] for pool in group['still'])}"
    if any(shown["policy"].values()):
        yield ""
        yield "Policy"
        for line in shown["policy"]["declared"]:
            yield f"  declared: {line}"
        yield from (f"  {line}" for line in shown["policy"]["found"])
        if shown["policy"]["live"]:
            yield f"  {len(shown['policy']['live'])} findings that are live already"
    yield ""
    yield "Rollout"
    yield from (f"  {line}" for line in shown["rollout"])
    yield ""
    yield "Rehearsal"
    if shown["traffic"]:
        yield f"  with {shown['traffic']}"
    for group in shown["checks"]:
        yield f"  {len(group['passed'])} of {group['total']} checks passed on {group['hosts']}"
        yield from (f"  {row['verdict']}: {row['title']}" for row in group["broken"])
    yield ""
    yield "Difference to what was live"
    for part in shown["diff"]:
        yield f"  {part['hosts']}: +{part['added']} -{part['removed']} lines"
    if not shown["diff"]:
        yield "  none"


def _pool(pool: Object) -> Iterator[str]:
    yield f"  pool {pool['name']} ({pool['change'] or 'same'}, {pool['algorithm']})"
    width = max((len(row["server"]) for row in pool["rows"]), default=0)
    for row in pool["rows"]:
        for kind in ("forecast", "measured"):
            move = row[kind]
            if move:
                name = row["server"] if kind == "forecast" or not row["forecast"] else ""
                bars = f"{_bar(move['before_length'])} > {_bar(move['after_length'])}"
                figures = f"{move['before']:>7} > {move['after']:>7}  {move['shift']:>6}"
                yield f"    {name:<{width}}  {kind:<8}  {bars}  {figures}"
    if pool["clients"]:
        yield f"    {pool['clients']}"
    if pool["more"]:
        yield f"    and {pool['more']} more servers that move less"


def _bar(length: float) -> str:
    filled = round(BAR * length / 100)
    return "#" * filled + "." * (BAR - filled)


def say(text: str) -> None:
    """Print what the person who approves reads."""
    print(text)  # noqa: T201 - a command speaks on its standard output


if __name__ == "__main__":
    run(main)
