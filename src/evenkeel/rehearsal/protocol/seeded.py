"""Random numbers from words: the same words give the same numbers.

A request with numbers of its own does not depend on the order of other requests, so traffic does
not depend on timing. Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import hashlib
import struct

_NUMBER_BITS = 64
# Weyl (1916): its multiples fill 0 to 1 evenly.
_GOLDEN = 0.6180339887498949


class Draws:
    """A row of random numbers that `words` decide."""

    def __init__(self, *words: object) -> None:
        self._words = "\0".join(map(str, words)).encode()
        self._numbers: list[int] = []
        self._blocks = 0

    def below(self, count: int) -> int:
        """Give the next number, from 0 to `count` - 1."""
        if not self._numbers:
            salt = self._blocks.to_bytes(16, "big")
            block = hashlib.blake2b(self._words, salt=salt).digest()
            self._numbers = list(struct.unpack("!8Q", block))
            self._blocks += 1
        return self._numbers.pop() * count >> _NUMBER_BITS

    def hexadecimal(self) -> str:
        """Give the next number in hexadecimal, for a key or a part of a path."""
        return f"{self.below(1 << 40):x}"


def evenly(start: float, number: int) -> float:
    """Give the `number`-th of a row of numbers that fills 0 to 1 evenly."""
    return (start + number * _GOLDEN) % 1.0
