#!/usr/bin/env python3
"""The scenario's inventory: one container for each distinct bundle of the change."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from evenkeel.rehearsal.bundles import main

if __name__ == "__main__":
    raise SystemExit(main())
