"""The entry point of the program: start from kept bytecode, run one verb, end."""

from __future__ import annotations

import gc
import os
import sys

# A garbage run costs a tenth of a short verb.
OBJECTS_UNTIL_GARBAGE = 50_000


def start() -> int:
    """Run the program and give its exit code."""
    gc.set_threshold(OBJECTS_UNTIL_GARBAGE)
    from evenkeel.host.system import bytecode

    bytecode.use(sys.path[0])
    # Imported late, so that it comes from the bytecode.
    from evenkeel.host.main import main

    return main()


if __name__ == "__main__":
    code = start()
    # The system frees everything faster than sys.exit.
    os._exit(code)
