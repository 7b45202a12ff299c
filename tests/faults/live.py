"""Live random lives until they had so many steps."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from faults.life import LIVED, Life

STEPS_OF_A_LIFE = 50


def live(steps: int, first_seed: int = 0, examples: int = 100, shrink: bool = False) -> int:
    """Live at least `steps` steps from the seeds `first_seed` on; give how many they were.

    Raises the fault of the first life in which an invariant was violated.
    """
    LIVED.clear()
    number = first_seed
    profile = settings(
        max_examples=examples,
        stateful_step_count=STEPS_OF_A_LIFE,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
    )
    while LIVED["steps"] < steps:
        run_state_machine_as_test(seed(number)(Life), settings=profile)
        number += 1
    return LIVED["steps"]
