"""How long the certificates live that a release would serve: an expired one is refused."""

from __future__ import annotations

import os
import re
import time
from typing import Iterable, Iterator, List, Optional

from evenkeel.host import process
from evenkeel.host.faults import Refused

# A person needs so long to get another one without haste.
NEAR_SECONDS = 14 * 86400
_MOST_FILES = 500
_OPENSSL_SECONDS = 10.0
_DAY_SECONDS = 86400


def demand(paths: Iterable[str], now: float) -> List[str]:
    """Give a line for each certificate near its end; `now` is seconds since 1970.

    `paths` are files, or folders of files. Raises Refused when one is past its end. What cannot be
    read as a certificate is the balancer's own check's affair.
    """
    ended, near = [], []
    for path in sorted(set(_files(paths))):
        end = ends(path)
        if end is None:
            continue
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
        if end <= now:
            ended.append(f"{path} ended {date}")
        elif end <= now + NEAR_SECONDS:
            days = int((end - now) // _DAY_SECONDS)
            near.append(f"certificate {path} ends {date}, in {days} days")
    if ended:
        raise Refused(
            "The release would serve a certificate that has expired",
            where="; ".join(ended)[:1000],
            wanted="certificates that clients still accept",
            got=f"{len(ended)} past their end",
            next_step="put a valid certificate there, or name another one, and deploy again",
        )
    return near


def ends(path: str) -> Optional[float]:
    """Give when the first certificate in a PEM file ends, in seconds since 1970."""
    import ssl

    text = _by_ssl(path) or _by_openssl(path)
    try:
        return float(ssl.cert_time_to_seconds(text)) if text else None
    except ValueError:
        return None


def _by_ssl(path: str) -> str:
    """Ask Python's own TLS library. It has no other way to read a certificate from a file."""
    try:
        import _ssl

        return str(_ssl._test_decode_cert(path).get("notAfter", ""))  # type: ignore[attr-defined]
    except (ImportError, AttributeError, OSError, ValueError):
        return ""


def _by_openssl(path: str) -> str:
    words = ["openssl", "x509", "-noout", "-enddate", "-in", path]
    code, said = process.run(words, _OPENSSL_SECONDS)
    found = re.search(r"^notAfter=(.+)$", said, re.M)
    return found.group(1).strip() if code == 0 and found else ""


def _files(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if os.path.isdir(path):
            for name in sorted(os.listdir(path))[:_MOST_FILES]:
                if not name.endswith((".key", ".ocsp", ".issuer")):
                    yield os.path.join(path, name)
        elif os.path.isfile(path):
            yield path
