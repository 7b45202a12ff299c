"""sha256 for a program that starts anew for every verb.

`hashlib` loads OpenSSL, which takes longer than hashing a release does. Up to Python 3.11 the same
sums can be had without it.
"""

from __future__ import annotations

try:
    from _sha256 import sha256  # type: ignore[import-not-found] # it has no stubs
except ImportError:
    from hashlib import sha256


def sha256_of(data: bytes) -> str:
    """Give the sha256 of `data` as 64 hexadecimal digits."""
    digits: str = sha256(data).hexdigest()
    return digits
