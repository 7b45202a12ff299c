"""How long certificates on this host are good for: a bundle holds their paths alone.

A certificate is read by hand, as far as its dates (RFC 5280, 4.1; X.690 for the encoding), since
the standard library of Python has no public reader. What cannot be read is left to the balancer's
own check.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import os
import re
import time
from typing import Iterable, List, Optional, Tuple

SOON_SECONDS = 14 * 24 * 3600
_LARGEST_BYTES = 1024 * 1024
_MOST_FILES = 2000
_PEM = rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END"
_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18
# Other files of a certificate folder (configuration.txt, "crt").
_BESIDE = (".issuer", ".ocsp", ".sctl", ".key", ".dh")


def notes(paths: Iterable[str], now: float) -> Tuple[List[str], List[str]]:
    """Give the sentences about certificates that are over, and about those that end soon.

    `paths` are files or folders of files, `now` is in seconds since 1970.
    """
    over, soon = [], []
    for path in _files(paths):
        end = ends(path)
        if end is None:
            continue
        day = time.strftime("%Y-%m-%d", time.gmtime(end))
        if end <= now:
            over.append(f"the certificate {path} ended on {day}")
        elif end - now < SOON_SECONDS:
            days = int((end - now) // 86400)
            soon.append(f"the certificate {path} ends on {day}, in {days} days")
    return over, soon


def ends(path: str) -> Optional[float]:
    """Give when the first certificate of a PEM file ends, in seconds since 1970, or None."""
    try:
        with open(path, "rb") as file:
            found = re.search(_PEM, file.read(_LARGEST_BYTES))
        return _not_after(base64.b64decode(found.group(1))) if found else None
    except (OSError, binascii.Error, ValueError, IndexError):
        return None


def _files(paths: Iterable[str]) -> List[str]:
    found: List[str] = []
    for path in paths:
        if os.path.isdir(path):
            names = sorted(os.listdir(path))[:_MOST_FILES]
            found += [os.path.join(path, name) for name in names if not name.endswith(_BESIDE)]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def _not_after(der: bytes) -> float:
    """Walk down to `validity` and give its second time. Raises ValueError for anything else."""
    _, certificate, _ = _part(der, _SEQUENCE)
    _, body, _ = _part(certificate, _SEQUENCE)
    kind, _, rest = _part(body)
    if kind == _VERSION:
        _, _, rest = _part(rest)
    for _ in ("signature", "issuer"):
        _, _, rest = _part(rest, _SEQUENCE)
    _, validity, _ = _part(rest, _SEQUENCE)
    _, _, second = _part(validity)
    kind, text, _ = _part(second)
    if kind not in (_UTC_TIME, _TIME):
        raise ValueError("no time")
    digits = text.decode("ascii").rstrip("Z")
    if kind == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: from 50 on it is 19xx.
        digits = ("19" if int(digits[:2]) >= 50 else "20") + digits
    return float(calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S")))


def _part(data: bytes, wanted: Optional[int] = None) -> Tuple[int, bytes, bytes]:
    """Give the kind and the content of the first value of `data`, and what follows it."""
    kind, length, at = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if (wanted is not None and kind != wanted) or at + length > len(data):
        raise ValueError("not a certificate")
    return kind, data[at : at + length], data[at + length :]
