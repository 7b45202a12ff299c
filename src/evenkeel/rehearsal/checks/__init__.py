"""Turns measurements into checks with verdicts: pure functions."""
