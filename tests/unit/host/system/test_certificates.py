"""Certificates that are over or end soon are seen on the host, where they lie."""

import datetime
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from unit.host.fakes import SECOND, Host, archive, digest

from evenkeel.host.system import certificates

NOW = 1_800_000_000.0
DAY = 86400
KEY = ec.generate_private_key(ec.SECP256R1())


def pem(end):
    """A certificate with its key, that ends so many seconds after 1970."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    end = datetime.datetime.fromtimestamp(end, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(end)
        .sign(KEY, hashes.SHA256())
    )
    key = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key + made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("end", [NOW, 951_782_400, 4_102_444_799, 2_524_608_000])
def test_the_end_is_read_before_and_after_2050(tmp_path, end):
    path = tmp_path / "one.pem"
    path.write_bytes(pem(end))
    assert certificates.ends(str(path)) == end


@pytest.mark.parametrize(
    "data", [b"", b"key only", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END", b"\0" * 100]
)
def test_what_is_no_certificate_is_left_to_the_balancer(tmp_path, data):
    path = tmp_path / "odd.pem"
    path.write_bytes(data)
    assert certificates.ends(str(path)) is None
    assert certificates.ends(str(tmp_path / "absent.pem")) is None


def test_one_that_is_over_and_one_that_ends_soon_are_named_with_their_day(tmp_path):
    for name, end in (("old", NOW - 1), ("soon", NOW + 3 * DAY), ("good", NOW + 90 * DAY)):
        (tmp_path / f"{name}.pem").write_bytes(pem(end))
    (tmp_path / "old.pem.key").write_bytes(pem(NOW - 1))
    over, soon = certificates.notes([str(tmp_path)], NOW)
    assert over == [f"the certificate {tmp_path}/old.pem ended on 2027-01-15"]
    assert soon == [f"the certificate {tmp_path}/soon.pem ends on 2027-01-18, in 3 days"]


@pytest.fixture
def named(host: Host, tmp_path, monkeypatch):
    """A driver whose releases name one certificate; what was live before names `live`."""
    path, live = tmp_path / "site.pem", []

    def names(release_dir):
        return live if release_dir == str(host.driver.native.parent) else [str(path)]

    monkeypatch.setattr(type(host.driver), "certificates", lambda self, where: names(where))
    return path, live


WORDS = ("prepare", "--change", "c1", "--release", digest(SECOND))


def test_prepare_refuses_a_release_with_a_certificate_that_is_over(host: Host, named):
    path, live = named
    path.write_bytes(pem(time.time() - 20 * 365 * DAY))
    code, answer = host.program(*WORDS, stdin=archive("c1", SECOND))
    assert code == 10 and "has expired" in answer["error"]["what"]
    assert str(path) in answer["error"]["got"]
    assert list((host.root / "releases").iterdir()) == []
    live.append(str(path))
    assert "ended on" in host.must(*WORDS, stdin=archive("c1", SECOND))["notes"][0]


def test_prepare_notes_a_certificate_that_ends_soon(host: Host, named):
    now = host.clock.wall()
    named[0].write_bytes(pem(now + 5 * DAY + 60))
    assert "in 5 days" in host.must(*WORDS, stdin=archive("c1", SECOND))["notes"][0]
