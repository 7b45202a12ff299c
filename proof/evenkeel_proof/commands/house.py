"""scripts/house: the figures of the house, from the code as it is now."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evenkeel.commands import ROOT, run
from evenkeel.records import canonical_json, write_atomically
from evenkeel_proof.house.figures import Figure, measure

EXIT_MISSED = 1


def main(arguments: list[str]) -> int:
    """Print the figures beside their targets; give 0 when all are met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="scripts/house", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--show", metavar="KEY", help="show what one figure is made of")
    given = parser.parse_args(arguments)
    figures = measure(ROOT)
    if given.json:
        write_atomically(Path(given.json).absolute(), canonical_json(value_of(figures)), 0o644)
    if given.show:
        wanted = [one for one in figures if one.key.startswith(given.show)]
        if not wanted:
            parser.error(f"no figure {given.show}; wanted {', '.join(one.key for one in figures)}")
        for line in (line for one in wanted for line in one.seen):
            print(line)  # noqa: T201 - a measurement is there to be read
        return 0
    for one in figures:
        target = f"{'<' if one.below else '<='} {one.most:g}"
        verdict = "met" if one.is_met else "missed"
        print(f"{one.title:<45} {one.value:>8g}  {target:<8} {verdict}")  # noqa: T201 - as above
    return 0 if all(one.is_met for one in figures) else EXIT_MISSED


def value_of(figures: Iterable[Figure]) -> dict[str, Any]:
    """Give what --json writes: each figure by its key, and the keys of those that miss."""
    value: dict[str, Any] = {"missed": []}
    for one in figures:
        key, _, part = one.key.partition(".")
        if part:
            value.setdefault(key, {})[part] = one.value
        else:
            value[key] = one.value
        if not one.is_met:
            value["missed"].append(one.key)
    return value


if __name__ == "__main__":
    run(main)
