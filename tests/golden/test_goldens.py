"""Every golden case is rendered to its exact bytes, and the real balancer takes those bytes."""

from __future__ import annotations

import subprocess

import pytest
from golden.cases import cases, rendered

from evenkeel.rehearsal.plan import placeholder_files

HAPROXY = cases("haproxy")
CERTIFICATES = (b"/etc/haproxy/certs/", b"/etc/ssl/certs/")


@pytest.mark.parametrize("case", HAPROXY, ids=lambda case: case.name)
def test_renders_a_golden_case_to_its_exact_bytes(case):
    for name, data in rendered("haproxy", case).items():
        assert data == (case / name).read_bytes(), "if this is wanted: scripts/update_goldens"


def test_there_are_goldens():
    assert len(HAPROXY) >= 12


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Stand in for the certificates that the goldens name: a folder with self-signed ones."""
    folder = tmp_path_factory.mktemp("certs")
    pem = placeholder_files.trusted(["shop.example.com"]).certificate
    for file in ("site.pem", "other.pem", "internal.pem"):
        (folder / file).write_bytes(pem)
    return folder


@pytest.mark.parametrize("case", HAPROXY, ids=lambda case: case.name)
def test_the_real_haproxy_takes_a_golden_without_a_warning(case, certificates, tmp_path):
    golden = (case / "haproxy.cfg").read_bytes()
    config = tmp_path / "haproxy.cfg"
    # What differs from the golden is where the stand-ins for files beside it are.
    states = tmp_path / "servers"
    states.write_text("1\n")
    golden = golden.replace(b"/var/lib/evenkeel/haproxy.servers", str(states).encode())
    for where in CERTIFICATES:
        golden = golden.replace(where, f"{certificates}/".encode())
    config.write_bytes(golden)
    # -dW: a warning fails.
    done = subprocess.run(
        ["haproxy", "-c", "-dW", "-f", str(config)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
