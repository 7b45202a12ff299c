"""Servers of a few lines, to see what the load client says to them."""

from __future__ import annotations

import asyncio

from unit.rehearsal.load.test_load_client import HERE

ANSWER = b"HTTP/1.1 200 OK\r\nX-Evenkeel-Server: s\r\nContent-Length: 0\r\n\r\n"
# RFC 9113: frames of these types, and the flags that end headers and a stream.
_HEADERS, _SETTINGS = 1, 4
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PREFACE_BYTES = 24


def frame(what, flags, stream, body=b""):
    return len(body).to_bytes(3, "big") + bytes([what, flags]) + stream.to_bytes(4, "big") + body


async def speak_h2(reader, writer):
    await reader.readexactly(_PREFACE_BYTES)
    writer.write(frame(_SETTINGS, 0, 0))
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if head[3] == _SETTINGS and not head[4] & _ACK:
            writer.write(frame(_SETTINGS, _ACK, 0))
        if head[3] == _HEADERS:
            # HPACK: `:status: 200` of the static table, then a literal name and value.
            told = b"\x88\x00\x11x-evenkeel-server\x01s"
            stream = int.from_bytes(head[5:], "big")
            writer.write(frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, told))


async def speak_h1(reader, writer):
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)


async def served(speak, port, **more):
    async def client(reader, writer):
        try:
            await speak(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(client, HERE, port, **more)
