"""Faults for the on-host program: where they may strike, how they are injected, what must hold.

`python -m faults --json FILE` injects every one of them and counts; the tests beside
them hold a part each. What must hold is written in docs/decisions/0011.
"""
