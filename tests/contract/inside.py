"""Runs inside the container: web servers that say who they are, a client that counts answers."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

STOP = Path("/run/contract-stop")


async def serve(ports):
    async def answer(reader, writer):
        port = writer.get_extra_info("sockname")[1]
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"slowly" in head:
                    await asyncio.sleep(0.3)
                body = str(port).encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                writer.write(head + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    for port in ports:
        await asyncio.start_server(answer, "127.0.0.1", port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    await asyncio.Event().wait()


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head[:40])
    return body.decode()


async def drive(port, requests):
    """Send `requests` requests, or go on until the stop file is there; print what came back."""
    servers, failed, sent = {}, 0, 0
    STOP.unlink(missing_ok=True)
    sys.stdout.write("driving\n")
    sys.stdout.flush()

    async def one():
        nonlocal failed, sent
        while (sent < requests) if requests else not STOP.exists():
            sent += 1
            try:
                server = await ask(port)
                servers[server] = servers.get(server, 0) + 1
            except (TimeoutError, OSError):
                failed += 1
            await asyncio.sleep(0 if requests else 0.005)

    await asyncio.gather(*(one() for _ in range(1 if requests else 4)))
    json.dump({"sent": sent, "failed": failed, "servers": servers}, sys.stdout)


async def talk(reader, writer, path, cookie=""):
    """Send one request over an open connection; give the server's port and a cookie it got."""
    extra = f"Cookie: {cookie}\r\n" if cookie else ""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n{extra}\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head[:40])
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    fields = {name.lower(): value for name, value in fields.items()}
    body = await reader.readexactly(int(fields["content-length"]))
    return body.decode(), fields.get("set-cookie", "").split(";")[0]


async def paths(port, prefix, first, count):
    """Ask for `count` different paths over one connection; print how many each server got."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    servers = {}
    for number in range(first, first + count):
        server, _ = await talk(reader, writer, f"{prefix}{number}")
        servers[server] = servers.get(server, 0) + 1
    writer.close()
    json.dump(servers, sys.stdout)


async def clients(port, path, count, each):
    """Let `count` clients send `each` requests, all but the first with the cookie they got."""
    servers = {}
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        cookie = ""
        for _ in range(each):
            server, got = await talk(reader, writer, path, cookie)
            servers[server] = servers.get(server, 0) + 1
            cookie = cookie or got
        writer.close()
    json.dump(servers, sys.stdout)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve([int(port) for port in sys.argv[2:]]))
    elif sys.argv[1] == "paths":
        asyncio.run(paths(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
    elif sys.argv[1] == "clients":
        asyncio.run(clients(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
    else:
        asyncio.run(drive(int(sys.argv[2]), int(sys.argv[3])))
