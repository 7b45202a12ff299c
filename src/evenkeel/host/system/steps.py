"""The seam through which every externally visible step of the program passes.

A test enumerates the steps of a verb, and stops the program before or after each of them.
"""

from __future__ import annotations

from typing import Callable, TypeVar

T = TypeVar("T")


class Steps:
    """Runs steps. A step is one change that outlives the program, named by what it does."""

    def run(self, name: str, action: Callable[[], T]) -> T:
        """Run `action`, the step called `name`, and give what it gives."""
        del name
        return action()
