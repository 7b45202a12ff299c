"""scripts/house: how easy the code is to find one's way in, as figures beside their targets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evenkeel.commands import ROOT, run
from evenkeel.errors import EXIT_OK, EvenkeelError
from evenkeel.records import canonical_json, write_atomically
from evenkeel_proof.house.figures import MEASURES, as_json, lines, measured, missed
from evenkeel_proof.house.tree import Tree


class Missed(EvenkeelError):
    """A figure misses its target."""

    exit_code = 1


def main(arguments: list[str]) -> int:
    """Measure and print the figures, or list what makes up one of them.

    Raises Missed, with the figures that miss their targets, when one does.
    """
    given = _parser().parse_args(arguments)
    tree = Tree(given.root)
    if given.show:
        shown = [
            cause
            for key, measure in MEASURES.items()
            if given.show in (key, key.partition(".")[0])
            for cause in measure.figure(tree).causes
        ]
        sys.stdout.writelines(f"{cause}\n" for cause in shown)
        return EXIT_OK
    values = measured(tree)
    if given.json:
        write_atomically(Path(given.json).absolute(), canonical_json(as_json(values)), 0o644)
    sys.stdout.writelines(f"{line}\n" for line in lines(values))
    wrong = missed(values)
    if wrong:
        raise Missed(
            f"{len(wrong)} of {len(values)} figures of the code miss their targets",
            wanted=", ".join(f"{key} {MEASURES[key].target}" for key in wrong),
            got=", ".join(f"{values[key]:g}" for key in wrong),
            next_step=f"list what makes up a figure: scripts/house --show {wrong[0]}",
        )
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/house", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    keys = dict.fromkeys(part for key in MEASURES for part in (key, key.partition(".")[0]))
    parser.add_argument(
        "--show", choices=keys, metavar="KEY", help=f"list what makes up one: {', '.join(keys)}"
    )
    parser.add_argument(
        "--root", type=_folder, default=ROOT, metavar="PATH", help="the checkout (default: this)"
    )
    return parser


def _folder(text: str) -> Path:
    if not (Path(text) / "src" / "evenkeel").is_dir():
        raise argparse.ArgumentTypeError("wanted a checkout, with the folder src/evenkeel")
    return Path(text)


if __name__ == "__main__":
    run(main)
