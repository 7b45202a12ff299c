"""The load client in TLS: which HTTP it speaks there, and which names it tells."""

import asyncio
import ssl

import pytest
from unit.rehearsal.load.test_load_client import free_port, kind
from unit.rehearsal.talkers import served, speak_h1, speak_h2

from evenkeel.rehearsal.load import load_client as traffic
from evenkeel.rehearsal.load.event_loop import Sockets
from evenkeel.rehearsal.load.exchange import server_name
from evenkeel.rehearsal.load.request_maker import Request
from evenkeel.rehearsal.plan import placeholder_files


@pytest.fixture
def tls(tmp_path):
    """Give a server's TLS context with stand-in certificates, and the names it was asked for."""
    (tmp_path / "pem").write_bytes(placeholder_files.trusted(["shop.example"]).certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    names = []
    context.sni_callback = lambda sock, name, context: names.append(name)
    return context, names


async def https(tls, alpn, **more):
    context, _ = tls
    if alpn:
        context.set_alpn_protocols(alpn)

    async def speak(reader, writer):
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        await (speak_h2 if chosen == "h2" else speak_h1)(reader, writer)

    port = free_port()
    server = await served(speak, port, ssl=context)
    client = traffic.Client(1)
    asked = kind(port, tls=True, h2=True, **more)
    await client.run([asked] * 80, concurrency=8, seconds=20)
    server.close()
    return client.take()["c"]


def test_a_tls_listener_is_asked_in_http_2_by_half_of_the_clients(tls):
    tally = asyncio.run(https(tls, ["h2", "http/1.1"]))
    assert (tally["answered"], tally["failed"], tally["again"]) == (80, 0, 0)
    assert tally["servers"] == {"s": 80}
    assert tally["versions"].keys() == {"1.1", "2"}
    assert min(tally["versions"].values()) > 20


@pytest.mark.parametrize("alpn", [["http/1.1"], []])
def test_a_listener_without_http_2_is_asked_in_http_1_by_all(tls, alpn):
    assert asyncio.run(https(tls, alpn))["versions"] == {"1.1": 80}


def test_a_handle_goes_from_tls_to_plain_http_and_back(tls):
    async def scene():
        ports = free_port(), free_port()
        servers = [
            await served(speak_h1, ports[0], ssl=tls[0]),
            await served(speak_h1, ports[1]),
        ]
        client = traffic.Client(1)
        for _ in range(3):
            for port, secure in zip(ports, (True, False), strict=True):
                asked = kind(port, tls=secure)
                await client.one(asked, client.maker.request(asked))
        for server in servers:
            server.close()
        return client.take()["c"], len(Sockets.of_running_loop().for_once().idle)

    tally, handles = asyncio.run(scene())
    assert (tally["answered"], tally["failed"], handles) == (6, 0, 1)


def test_the_name_in_the_handshake_is_the_host_that_is_asked_for(tls):
    hosts = ["shop.example", "www.shop.example", "rehearsal.other.example"]
    asyncio.run(https(tls, ["h2"], hosts=hosts))
    assert set(tls[1]) == set(hosts)


@pytest.mark.parametrize(
    ("host", "otherwise", "told"),
    [
        ("shop.example:8443", "a.example", "shop.example"),
        ("no name", "a.example", "a.example"),
        ("", "*", "rehearsal.invalid"),
    ],
)
def test_what_can_be_no_name_is_not_told_in_a_handshake(host, otherwise, told):
    assert server_name(Request("/", {"Host": host}), otherwise) == told


# The old versions are deprecated, which is why they are tried.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_listener_of_a_tls_version_that_browsers_refuse_is_refused(tls):
    tls[0].minimum_version = ssl.TLSVersion.TLSv1
    tls[0].maximum_version = ssl.TLSVersion.TLSv1_1
    tls[0].set_ciphers("ALL:@SECLEVEL=0")
    tally = asyncio.run(https(tls, []))
    assert (tally["answered"], set(tally["errors"])) == (0, {"no TLS handshake"})
