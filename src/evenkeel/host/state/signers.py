"""Who may sign, with which keys and for how long: what host and controller must read alike.

Reads OpenSSH's own formats and decides nothing: ssh-keygen(1), "ALLOWED SIGNERS", and
PROTOCOL.sshsig. That a signature is good is said by `ssh-keygen -Y verify` alone.
"""

from __future__ import annotations

import binascii
import re
from fnmatch import fnmatchcase
from typing import FrozenSet, List, Optional, Sequence, Tuple

NAMESPACE = "evenkeel"
LONGEST_VALID_HOURS = 30 * 24
LARGEST_BYTES = 1024 * 1024

PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_WORDS = re.compile(r'(?:[^\s"]|"[^"]*")+')
_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END SSH SIGNATURE-----\s*"
)

_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")

Row = Tuple[str, bytes]
"""One line of allowed signers: its patterns of names, and its public key."""


def is_armoured(signature: bytes) -> bool:
    """Tell whether `signature` looks like what `ssh-keygen -Y sign` writes."""
    return len(signature) <= LARGEST_BYTES and _ARMOUR.fullmatch(signature) is not None


def key_of(signature: bytes) -> bytes:
    """Give the public key that an armoured signature names.

    Raises ValueError for what is no SSH signature.
    """
    match = _ARMOUR.fullmatch(signature) if len(signature) <= LARGEST_BYTES else None
    if match is None:
        raise ValueError("no armour")
    blob = _decoded(b"".join(match.group(1).split()))
    if blob[:6] != b"SSHSIG" or int.from_bytes(blob[6:10], "big") != 1:
        raise ValueError("no signature")
    key = _string(blob, 10)
    kind_of(key)
    return key


def kind_of(key: bytes) -> str:
    """Give the type that a public key names, such as ssh-ed25519. Raises ValueError for none."""
    return _string(key, 0).decode("ascii", "replace")


def is_certificate(key: bytes) -> bool:
    """Tell whether `key` is a certificate, which would hide whose key it is."""
    return "-cert-" in kind_of(key)


def rows_of(text: str) -> List[Row]:
    """Give the lines of an allowed_signers file. Raises ValueError, naming one that is none."""
    rows: List[Row] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = _WORDS.findall(line)
        if not words or words[0].startswith("#"):
            continue
        key = _key_in(words[1:])
        if key is None:
            raise ValueError(f"line {number}")
        rows.append((words[0].strip('"'), key))
    return rows


def keys_of(person: str, rows: Sequence[Row]) -> FrozenSet[bytes]:
    """Give all keys that `rows` list for `person`, capital letters or not.

    Nobody is two persons by a capital letter.
    """
    name = person.casefold()
    return frozenset(key for names, key in rows if _matches(name, names.casefold().split(",")))


def is_listed(person: str, rows: Sequence[Row]) -> bool:
    """Tell whether `rows` give a key to exactly this name, letter by letter, by no pattern."""
    named = any(person in names.split(",") for names, _ in rows)
    return named and bool(keys_of(person, rows))


def _decoded(text: bytes) -> bytes:
    # Importing base64 takes longer than this.
    if not _BASE64.fullmatch(text):
        raise ValueError("no base64")
    return binascii.a2b_base64(text)


def _key_in(words: Sequence[str]) -> Optional[bytes]:
    # A key names its type; no option looks like it.
    for at in range(1, len(words)):
        try:
            blob = _decoded(words[at].encode())
            if kind_of(blob) == words[at - 1]:
                return blob
        except ValueError:
            continue
    return None


def _matches(name: str, patterns: Sequence[str]) -> bool:
    # OpenSSH knows * and ?; fnmatch would also read [...].
    def match(pattern: str) -> bool:
        return fnmatchcase(name, pattern.replace("[", "[[]"))

    if any(match(pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(match(pattern) for pattern in patterns)


def _string(blob: bytes, start: int) -> bytes:
    size = int.from_bytes(blob[start : start + 4], "big")
    value = blob[start + 4 : start + 4 + size]
    if len(blob) < start + 4 or len(value) != size:
        raise ValueError("cut short")
    return value
