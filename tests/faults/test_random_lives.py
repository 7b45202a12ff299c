"""Random sequences of verbs, crashes, power losses, reboots, clocks and hands violate nothing.

A small, repeatable part of what `python -m faults` lives (10,000 steps and more).
"""

from __future__ import annotations

from faults.life import LIVED
from faults.live import live


def test_no_invariant_is_violated_in_random_lives() -> None:
    assert live(steps=800, examples=16) >= 800
    assert {"kill", "power", "reboots", "edits", "clock jumps", "leases run out"} <= set(LIVED)
