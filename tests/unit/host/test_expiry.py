"""The end of certificates: an expired one is refused, one near its end is told."""

import datetime
import importlib.util
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from evenkeel.host import expiry
from evenkeel.host.faults import Refused
from evenkeel.lab.names import ROOT

NOW = datetime.datetime.now(datetime.UTC)


def certificate(path: Path, days: float) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=400))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return str(path)


def test_an_expired_certificate_is_refused_with_its_path_and_its_end(tmp_path):
    path = certificate(tmp_path / "shop.pem", -1)
    with pytest.raises(Refused) as refused:
        expiry.demand([path], NOW.timestamp())
    assert path in str(refused.value.where)


def test_one_near_its_end_is_told_and_one_far_from_it_is_not(tmp_path):
    near = certificate(tmp_path / "near.pem", 10)
    far = certificate(tmp_path / "far.pem", 60)
    (line,) = expiry.demand([near, far], NOW.timestamp())
    assert near in line
    assert "in 9 days" in line or "in 10 days" in line


def test_a_folder_stands_for_its_files_and_what_is_no_certificate_is_passed_over(tmp_path):
    certificate(tmp_path / "a.pem", -3)
    (tmp_path / "b.pem").write_text("no certificate")
    with pytest.raises(Refused):
        expiry.demand([str(tmp_path)], NOW.timestamp())
    assert expiry.demand([str(tmp_path / "b.pem"), "/no/such/file"], NOW.timestamp()) == []


def test_the_driver_names_what_its_bind_lines_serve():
    path = ROOT / "roles" / "balancer_haproxy" / "files" / "driver.py"
    spec = importlib.util.spec_from_file_location("haproxy_driver", path)
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    text = (
        "global\n crt-base /etc/ssl/own\nfrontend a\n bind *:443 ssl crt a.pem crt /etc/x/b.pem\n"
    )
    assert driver.certificates(text) == ["/etc/ssl/own/a.pem", "/etc/x/b.pem"]
