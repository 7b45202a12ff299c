"""Files that stand in for those which a configuration names and which stay at home.

Listeners show a certificate, stub servers show one, and both are trusted where a configuration
says by whom they have to be signed. Here all of them are one, made anew for each container.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAMES = "server_names"
# What a dialect names beside files.
_NO_FILES = ("hosts", "nameservers", SERVER_NAMES)
# Of a common name (RFC 5280, appendix A.1: ub-common-name).
_LONGEST_NAME = 64
_BEFORE, _AFTER = datetime.timedelta(days=1), datetime.timedelta(days=90)


@dataclass(frozen=True)
class Trusted:
    """In PEM: a certificate that signed itself, with its key, and the list of what it revoked."""

    certificate: bytes
    revocations: bytes


def trusted(names: Sequence[str]) -> Trusted:
    """Give a certificate for the host `names`, for nobody but one container."""
    key = ec.generate_private_key(ec.SECP256R1())
    short = [name for name in dict.fromkeys(names) if len(name) <= _LONGEST_NAME]
    short = short or ["rehearsal.invalid"]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, short[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _AFTER)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in short]), False)
        .sign(key, hashes.SHA256())
    )
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(subject)
        .last_update(now - _BEFORE)
        .next_update(now + _AFTER)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = serialization.Encoding.PEM
    return Trusted(certificate.public_bytes(pem) + private, revoked.public_bytes(pem))


def contents(named: Mapping[str, Iterable[str]], trusted: Trusted) -> dict[str, bytes]:
    """Give what lies at each path of `named`: kind to paths, as a dialect's `needs` gives it."""
    by_kind = {
        "lists": b"",
        "pages": b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "revocations": trusted.revocations,
    }
    return {
        path: by_kind.get(kind, trusted.certificate)
        for kind, paths in named.items()
        if kind not in _NO_FILES
        for path in sorted(paths)
    }
