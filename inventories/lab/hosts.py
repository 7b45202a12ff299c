#!/usr/bin/env python3
"""The inventory of the lab that runs: its addresses are known only once it was started."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "proof"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from evenkeel_proof.lab.inventory import listing

from evenkeel.errors import EvenkeelError

try:
    sys.stdout.write(json.dumps(listing(), indent=1) + "\n")
except EvenkeelError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(error.exit_code)
