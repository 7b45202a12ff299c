import contextlib
import json
import ssl
import subprocess
import sys
from pathlib import Path

import pycurl
import pytest
from cryptography import x509
from unit.rehearsal.changes import hand_made, intent, servers, write_change

from evenkeel.errors import Problems
from evenkeel.host.system import driver
from evenkeel.records import canonical_json
from evenkeel.rehearsal import bundles, ship
from evenkeel.rehearsal.bundles import Settings
from evenkeel.rehearsal.protocol import paths
from evenkeel.rehearsal.stubs import tls as stub_tls


@pytest.fixture
def shipped(tmp_path):
    """Lay out the one container of a change and give its tree."""

    def lay_out(made, base=None):
        folder = write_change(tmp_path / "c1", {"lb1": made}, {"lb1": base} if base else {})
        role = ship.Path(bundles.names.ROOT, "roles", "balancer_haproxy")
        settings = Settings(folder.path, tmp_path / "results", role, None)
        (bundle,) = settings.bundles()
        ship.payload(bundle, settings, tmp_path / "tree", ship.Keys.make())
        return tmp_path / "tree"

    return lay_out


def world(tree):
    return json.loads((tree / paths.FOLDER[1:] / "world.json").read_text())


def test_a_container_gets_the_exact_bytes_and_what_is_live_now(shipped, tmp_path):
    tree = shipped(intent(), hand_made(3))
    folder = tree / paths.FOLDER[1:]
    rendered = (tmp_path / "c1/bundle/lb1/haproxy.cfg").read_bytes()
    assert (folder / "candidate/haproxy.cfg").read_bytes() == rendered
    assert (folder / "base/haproxy.cfg").read_text() == hand_made(3)
    assert world(tree)["base"]["files"] == ["haproxy.cfg"]


def test_the_program_in_the_container_finds_a_driver_that_it_may_load(shipped):
    tree = shipped(intent())
    assert driver.load("haproxy", f"{tree}{driver.DRIVERS}").KIND == "haproxy"


def handshake(tree, authorities, name):
    """Let a client that trusts `authorities` speak with a stub server, in memory."""
    stub = stub_tls.Session(stub_tls.context(f"{tree}{paths.STUB_CERTIFICATE}"))
    trust = ssl.create_default_context(cafile=f"{tree}{authorities}")
    trust.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    trust.load_verify_locations(f"{tree}/etc/ssl/certs/own.crl")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(incoming, outgoing, server_hostname=name)
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        stub.open(outgoing.read())
        incoming.write(stub.waiting())
    return client.version()


def test_stub_servers_are_who_the_configuration_wants_to_be_verified(shipped):
    wanted = (
        "ssl verify required ca-file /etc/ssl/certs/own.pem crl-file /etc/ssl/certs/own.crl"
        " sni str(shop.internal) check-sni check.internal"
    )
    tls = {"authorities": "/etc/ssl/certs/internal.pem", "server_name": "web.internal"}
    tree = shipped(
        intent({"tls": tls, "servers": servers(3, port=443)}),
        hand_made(3).replace("check", f"check {wanted}"),
    )
    for name in ("shop.internal", "check.internal"):
        assert handshake(tree, "/etc/ssl/certs/own.pem", name)
    assert handshake(tree, "/etc/ssl/certs/internal.pem", "web.internal")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tree, "/etc/ssl/certs/internal.pem", "another.internal")


def test_a_host_with_nothing_live_has_no_base(shipped):
    assert world(shipped(intent()))["base"] == {"release": None, "files": []}


def test_the_program_in_the_container_needs_nothing_but_pycurl_and_the_standard_library(
    shipped, tmp_path
):
    program = shipped(intent()) / paths.PROGRAM[1:]
    library = tmp_path / "library"
    library.mkdir()
    for part in Path(pycurl.__file__).parents[1].glob("pycurl*"):
        (library / part.name).symlink_to(part)
    start = (
        f"import runpy, sys; sys.path.append({str(library)!r});"
        f" sys.argv[1:] = ['converge']; runpy.run_path({str(program)!r}, run_name='__main__')"
    )
    words = [sys.executable, "-I", "-S", "-c", start]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    # It gets as far as looking for its own folder, which only the container has.
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("converge: ")
    assert "world.json" in done.stderr


def test_a_certificate_stands_in_where_the_real_one_lies(shipped):
    bind = {"port": 443, "tls": {"certificate": "/etc/haproxy/certs/shop.pem"}}
    route = {"name": "shop", "pool": "web", "hosts": ["shop.example"]}
    listeners = [{"name": "www", "binds": [bind], "default_pool": "web", "routes": [route]}]
    tree = shipped(intent(listeners=listeners))
    pem = (tree / "etc/haproxy/certs/shop.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "shop.example" in names.get_values_for_type(x509.DNSName)
    assert b"PRIVATE KEY" in pem


def test_an_altered_bundle_is_refused(shipped, tmp_path):
    shipped(intent())
    (tmp_path / "c1/bundle/lb1/haproxy.cfg").write_text("altered")
    settings = Settings(
        tmp_path / "c1", tmp_path, bundles.names.ROOT / "roles/balancer_haproxy", None
    )
    with pytest.raises(Problems, match="not the one that was rendered"):
        ship.payload(settings.bundles()[0], settings, tmp_path / "again", ship.Keys.make())


@pytest.mark.parametrize(
    ("name", "text"), [("base/lb1/haproxy.cfg", hand_made(9)), ("intent/lb1.json", "{}\n")]
)
def test_an_altered_base_or_intent_is_refused(shipped, tmp_path, name, text):
    shipped(intent(), hand_made(3))
    (tmp_path / "c1" / name).write_text(text)
    settings = Settings(
        tmp_path / "c1", tmp_path, bundles.names.ROOT / "roles/balancer_haproxy", None
    )
    with pytest.raises(Problems, match=name.removesuffix("/haproxy.cfg")):
        ship.payload(settings.bundles()[0], settings, tmp_path / "again", ship.Keys.make())


def test_each_run_has_keys_of_its_own():
    one, other = ship.Keys.make(), ship.Keys.make()
    assert one.user_private != other.user_private
    assert one.host_public.startswith(b"ssh-ed25519 ")
    assert one.user_public != one.host_public


def test_the_container_knows_which_requests_the_change_waives(tmp_path):
    folder = write_change(tmp_path / "c1", {"lb1": intent()}, {})
    text = folder.path / "manifest.json"
    waiver = {"rule": "asked", "subject": "POST", "reason": "read only"}
    made = json.loads(text.read_text()) | {"declared": {"waivers": [waiver]}}
    text.write_bytes(canonical_json(made))
    role = ship.Path(bundles.names.ROOT, "roles", "balancer_haproxy")
    settings = Settings(folder.path, tmp_path / "results", role, None)
    (bundle,) = settings.bundles()
    ship.payload(bundle, settings, tmp_path / "tree", ship.Keys.make())
    assert world(tmp_path / "tree")["waived_requests"] == {"POST": "read only"}
