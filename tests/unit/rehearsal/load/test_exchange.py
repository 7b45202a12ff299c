"""What the load client says on the wire, to servers of a few lines that look at it."""

import asyncio
import json
import socket
import struct

import pytest
from unit.rehearsal.load.test_load_client import free_port, kind, stubs_at
from unit.rehearsal.talkers import ANSWER, served, speak_h1

from evenkeel.rehearsal.load import load_client as traffic
from evenkeel.rehearsal.load.event_loop import Sockets
from evenkeel.rehearsal.load.request_maker import Request


def test_a_visit_keeps_one_connection_and_one_address_until_its_client_leaves():
    async def scene():
        peers, ended, port = [], asyncio.Event(), free_port()

        async def speak(reader, writer):
            peers.append(writer.get_extra_info("peername")[0])
            try:
                await speak_h1(reader, writer)
            finally:
                ended.set()

        server = await served(speak, port)
        client, kept = traffic.Client(1), traffic.Kept()
        for _ in range(5):
            await client.one(kind(port), client.maker.request(kind(port), source=SOURCE), kept)
        still_there = not ended.is_set()
        kept.close()
        await asyncio.wait_for(ended.wait(), 5)
        await client.run([kind(port, may_keep=False)] * 20, concurrency=4, seconds=20)
        server.close()
        return peers, still_there, client.take()["c"]

    peers, still_there, tally = asyncio.run(scene())
    assert still_there
    assert len(peers) == len(set(peers)) == 21
    assert (tally["answered"], tally["again"]) == (25, 0)


def test_a_request_that_is_given_up_closes_its_connection_and_frees_its_handle():
    async def scene():
        port, ended = free_port(), asyncio.Event()

        async def hang(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            ended.set()

        server = await served(hang, port)
        client = traffic.Client(1)
        for _ in range(3):
            ended.clear()
            with pytest.raises(TimeoutError):
                asking = client.one(kind(port), client.maker.request(kind(port)))
                await asyncio.wait_for(asking, 0.2)
            await asyncio.wait_for(ended.wait(), 5)
        server.close()
        sockets = Sockets.of_running_loop()
        return len(sockets.for_once().idle), sockets.owners, sockets.for_once().under_way

    assert asyncio.run(scene()) == (1, {}, {})


SOURCE = "127.5.6.7"


async def echoed(request, **more):
    port = free_port()
    await stubs_at(port)
    sent = Request(request.path, {"X-Evenkeel": "1", "X-Evenkeel-Echo": "1", **request.headers},
                   request.method, request.body)  # fmt: skip
    answer = await traffic.Client(1).one(kind(port, **more), sent)
    return json.loads(answer.body)


def test_a_request_arrives_as_it_was_made_and_nothing_is_added():
    headers = {"Host": "shop.example", "X-Empty": "", "Cookie": "a=1"}
    said = asyncio.run(echoed(Request("/a/../b//%2F?q=[1]&r=a b", headers)))
    assert said["line"] == "GET /a/../b//%2F?q=[1]&r=a%20b HTTP/1.1"
    assert said["headers"] == {
        "host": "shop.example", "x-empty": "", "cookie": "a=1",
        "x-evenkeel": "1", "x-evenkeel-echo": "1",
    }  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_body_arrives_whole_with_its_length(method):
    body = b"b" * 3_000_000
    given = {"Host": "shop.example", "Content-Length": str(len(body))}
    said = asyncio.run(echoed(Request("/", given, method, body)))
    assert said["line"] == f"{method} / HTTP/1.1"
    assert said["headers"]["content-length"] == "3000000"
    assert "expect" not in said["headers"]


def test_methods_follow_one_another_on_the_same_handle():
    async def scene():
        port = free_port()
        await stubs_at(port)
        client = traffic.Client(1)
        for request in (
            Request("/", {"X-Evenkeel": "1"}, "POST", b"body"),
            Request("/", {"X-Evenkeel": "1"}, "HEAD"),
            Request("/", {"X-Evenkeel": "1"}),
            Request("/", {"X-Evenkeel": "1"}, "OPTIONS"),
            Request("/", {"X-Evenkeel": "1"}, "PUT", b"body"),
        ):
            assert (await client.one(kind(port), request)).status == 200
        return len(Sockets.of_running_loop().for_once().idle)

    assert asyncio.run(scene()) == 1


def test_a_listener_that_accepts_proxy_is_told_the_client_s_address():
    said = asyncio.run(echoed(Request("/", {"Host": "shop.example"}), accept_proxy=True))
    version, _, source = said["proxy"].partition(" ")
    assert version == "v1"
    assert source.startswith("127.")


def test_the_second_half_of_an_upload_is_late():
    async def scene():
        port, arrived = free_port(), []

        async def take(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            loop = asyncio.get_running_loop()
            for _ in range(2):
                await reader.readexactly(50_000)
                arrived.append(loop.time())
            writer.write(ANSWER)

        server = await served(take, port)
        began = asyncio.get_running_loop().time()
        answer = await traffic.Client(1).upload(kind(port), 100_000, 0.3)
        server.close()
        # The first half may be slow on a busy machine; the second one is never early.
        return answer.status, arrived[1] - began

    status, late = asyncio.run(scene())
    assert status == 200
    assert late >= 0.3


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Evenkeel-Server: s\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"2\r\nab\r\n0\r\n\r\n", (200, "s", b"ab")),
        (b"HTTP/1.1 103 Early Hints\r\nX-Evenkeel-Server: no\r\n\r\n" + ANSWER, (200, "s", b"")),
        (b"HTTP/1.0 200 OK\r\nX-Evenkeel-Server: s\r\n\r\nto the end", (200, "s", b"to the end")),
    ],
)  # fmt: skip
def test_answers_are_understood_in_every_shape_that_they_have(said, found):
    async def scene():
        port = free_port()

        async def speak(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)

        server = await served(speak, port)
        client = traffic.Client(1)
        answer = await client.one(kind(port), client.maker.request(kind(port)))
        server.close()
        return answer.status, answer.server, answer.body

    assert asyncio.run(scene()) == found


def test_every_cookie_that_an_answer_sets_is_kept():
    async def scene():
        port = free_port()

        async def speak(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\n\r\n")

        server = await served(speak, port)
        client = traffic.Client(1)
        answer = await client.one(kind(port), client.maker.request(kind(port)))
        server.close()
        return answer.cookies

    assert asyncio.run(scene()) == ["a=1; Path=/", "b=2"]


def test_a_server_that_says_that_it_closes_is_not_asked_again_on_that_connection():
    async def scene():
        port = free_port()

        async def speak(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER.replace(b"X-", b"Connection: close\r\nX-", 1))

        server = await served(speak, port)
        client, kept = traffic.Client(1), traffic.Kept()
        for _ in range(4):
            await client.one(kind(port), client.maker.request(kind(port), source=SOURCE), kept)
        kept.close()
        server.close()
        return client.take()["c"]

    tally = asyncio.run(scene())
    assert (tally["answered"], tally["again"]) == (4, 0)


async def reset(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    no_lingering = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)


async def babble(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"hello, who are you?\r\n\r\n")


async def break_off(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")


async def refuse(reader, writer):
    await reader.readexactly(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("speak", "tls", "word"),
    [
        (reset, False, "connection reset"),
        (babble, False, "an answer that is not HTTP"),
        (break_off, False, "connection closed without an answer"),
        (refuse, True, "no TLS handshake"),
    ],
)
def test_a_failure_is_told_in_words_of_our_own(speak, tls, word):
    async def scene():
        port = free_port()
        server = await served(speak, port)
        client = traffic.Client(1)
        await client.one(kind(port, tls=tls), client.maker.request(kind(port)))
        server.close()
        return client.take()["c"]["errors"]

    assert asyncio.run(scene()) == {word: 1}
