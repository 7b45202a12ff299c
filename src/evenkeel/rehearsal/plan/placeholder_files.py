"""Placeholders for the files that a configuration names: certificates, lists, pages.

Listeners and stub servers show one certificate, and every list of authorities trusts it. It is made
anew for each container.
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
# Needs that are no files.
_NO_FILES = ("hosts", "nameservers", SERVER_NAMES)
# RFC 5280, appendix A.1: ub-common-name.
_LONGEST_NAME = 64
_BEFORE, _AFTER = datetime.timedelta(days=1), datetime.timedelta(days=90)


@dataclass(frozen=True)
class Trusted:
    """In PEM: a self-signed certificate with its key, and its revocation list."""

    certificate: bytes
    revocations: bytes


def trusted(names: Sequence[str]) -> Trusted:
    """Give a certificate for the host `names`, for one container alone."""
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


def contents(needs: Mapping[str, Iterable[str]], trusted: Trusted) -> dict[str, bytes]:
    """Give {path: content} for the paths of `needs`, by kind as a dialect gives them."""
    by_kind = {
        "lists": b"",
        "pages": b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "revocations": trusted.revocations,
    }
    return {
        path: by_kind.get(kind, trusted.certificate)
        for kind, paths in needs.items()
        if kind not in _NO_FILES
        for path in sorted(paths)
    }
