"""Turns what was measured in the container into checks with verdicts: pure functions."""
