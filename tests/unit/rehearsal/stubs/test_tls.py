"""A stub server that is spoken to by TLS answers in it, and breaks off what is plain."""

import asyncio
import ssl

from evenkeel.rehearsal.plan import placeholder_files
from evenkeel.rehearsal.stubs import server as stub
from evenkeel.rehearsal.stubs import tls as stub_tls


def talk(tmp_path, *, tls, head=b""):
    """Send one request to a stub server with TLS; gives its answer."""
    path = tmp_path / "stub.pem"
    path.write_bytes(placeholder_files.trusted(["a.example"]).certificate)

    async def both():
        stubs = stub.Stubs()
        stubs.tls = stub_tls.context(str(path))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: stub.Connection(stubs), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stubs.over_tls.add(f"127.0.0.1:{port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if head:
            writer.write(head)
            await writer.drain()
        if tls:
            trusting = ssl.create_default_context(cafile=str(path))
            await writer.start_tls(trusting, server_hostname="a.example")
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Evenkeel: 1\r\n\r\n")
        try:
            return await asyncio.wait_for(reader.readuntil(b"ok\n"), 5)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        finally:
            writer.close()
            server.close()

    return asyncio.run(both())


def test_it_answers_in_tls_with_who_it_is(tmp_path):
    answer = talk(tmp_path, tls=True)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"X-Evenkeel-Server: 127.0.0.1:" in answer


def test_a_proxy_header_comes_before_tls(tmp_path):
    head = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    assert talk(tmp_path, tls=True, head=head).startswith(b"HTTP/1.1 200")


def test_plain_words_are_broken_off(tmp_path):
    assert talk(tmp_path, tls=False) == b""
