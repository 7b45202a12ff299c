"""Content addresses: the one JSON text of a value, and sha256.

`hashlib` loads OpenSSL, which takes longer than hashing a release does. Up to Python 3.11 the same
sums can be had without it.
"""

from __future__ import annotations

import json

try:
    from _sha256 import sha256  # type: ignore[import-not-found] # it has no stubs
except ImportError:
    from hashlib import sha256


def sha256_of(data: bytes) -> str:
    """Give the sha256 of `data` as 64 hexadecimal digits."""
    digits: str = sha256(data).hexdigest()
    return digits


def canonical(value: object) -> bytes:
    """Give `value` as its one JSON text: sorted keys, no spaces, one newline at the end."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode() + b"\n"
