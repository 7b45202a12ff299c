"""The commands behind `scripts/`: arguments in, exit codes out, no traceback for bad input.

`scripts/<name>` is a few lines of shell that start `python -m evenkeel.commands.<name>` of the
checkout's own environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from evenkeel.errors import EvenkeelError

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: its playbooks, its roles and its default inventory."""

# The shell's code: 128 and the number of SIGINT.
EXIT_INTERRUPTED = 130


def run(main: Callable[[list[str]], int]) -> None:
    """Run `main` on the command's arguments and exit with its code, or with its error's.

    An EvenkeelError is told on standard error, as a person reads it.
    """
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except EvenkeelError as error:
        print(error, file=sys.stderr)  # noqa: T201
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def add_inventory(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a fleet, the same for every command."""
    default = os.environ.get("EVENKEEL_INVENTORY") or str(ROOT / "inventories" / "lab")
    parser.add_argument(
        "-i",
        "--inventory",
        default=default,
        type=_inventory,
        metavar="PATH",
        help="the inventory (default: $EVENKEEL_INVENTORY, else inventories/lab)",
    )
    parser.add_argument(
        "--fleet", default="balancers", metavar="GROUP", help="its group of balancers"
    )


def _inventory(text: str) -> str:
    """Give a path as seen from everywhere: Ansible is started in another folder. Else as it is."""
    return str(Path(text).resolve()) if Path(text).exists() else text
