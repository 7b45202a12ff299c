"""Numbers that follow from words alone: the same words, the same numbers, whoever asks first.

A request that draws its own numbers is the same whatever was drawn for the others before, so
traffic does not depend on timing. Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

import hashlib
import struct

_NUMBER_BITS = 64
# The golden ratio: multiples of it fill 0 to 1 evenly, however many are taken (Weyl, 1916).
_GOLDEN = 0.6180339887498949


class Draws:
    """A row of numbers that `words` decide."""

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
        """Give the next number in hexadecimal digits, as a key or a part of a path."""
        return f"{self.below(1 << 40):x}"


def evenly(start: float, number: int) -> float:
    """Give the `number`-th of a row from 0 to 1 that fills every part of it in proportion."""
    return (start + number * _GOLDEN) % 1.0
