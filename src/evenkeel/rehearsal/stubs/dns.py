"""Stub name servers: they answer with the stand-in address of a host name.

A query for A gets all addresses of its name that fit; any other query gets none. The formats are
those of RFC 1035, 4.1, and RFC 6891, 6.1.2. Standard library only: it runs inside the staging
container.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

# Server templates want several: `slot2.NAME` is the second.
SLOT = "slot"
_HEAD_BYTES = 12
_A, _IN, _OPT = 1, 1, 41
_LONGEST_NAME = 255
_TTL_SECONDS = 5
_NO_SUCH_NAME = 3
# RFC 1035, 4.2.1: the limit without EDNS.
_MOST_BYTES = 512
_RECORD_BYTES = 16
# A response, with recursion desired and available.
_FLAGS = 0x8180


def addresses(name: str, names: Mapping[str, str]) -> list[str]:
    """Give the addresses of a name, its slots' after its own."""
    name = name.lower().rstrip(".")
    own = [names[name]] if name in names else []
    for host, address in sorted(names.items()):
        first, _, rest = host.partition(".")
        if rest == name and first.startswith(SLOT) and first[len(SLOT) :].isdigit():
            own.append(address)
    return own


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    """Give the response to one query; b"" for bytes that are no query."""
    try:
        name, end = _question(query)
    except (IndexError, UnicodeDecodeError):
        return b""
    if len(query) < end + 4:
        return b""
    wanted = int.from_bytes(query[end : end + 2], "big")
    known = addresses(name, names)
    # HAProxy ignores truncated responses, so leave the rest out.
    edns = query[end + 4 : end + 5] == b"\0" and query[end + 5 : end + 7] == _OPT.to_bytes(2, "big")
    most = int.from_bytes(query[end + 7 : end + 9], "big") if edns else 0
    fits = (max(most, _MOST_BYTES) - end - 4) // _RECORD_BYTES
    given = known[: max(fits, 0)] if wanted == _A else []
    flags = _FLAGS if known else _FLAGS | _NO_SUCH_NAME
    head = query[:2] + b"".join(
        number.to_bytes(2, "big") for number in (flags, 1, len(given), 0, 0)
    )
    records = b"".join(
        # A pointer to the name at byte 12.
        b"\xc0\x0c"
        + _A.to_bytes(2, "big")
        + _IN.to_bytes(2, "big")
        + _TTL_SECONDS.to_bytes(4, "big")
        + b"\x00\x04"
        + ipaddress.IPv4Address(address).packed
        for address in given
    )
    return head + query[_HEAD_BYTES : end + 4] + records


def _question(query: bytes) -> tuple[str, int]:
    """Give the name in a query and the position after it."""
    labels, at = [], _HEAD_BYTES
    while query[at]:
        length = query[at]
        if length > 63 or at > _LONGEST_NAME + _HEAD_BYTES:
            raise IndexError
        labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
        at += length + 1
    return ".".join(labels), at + 1


class _NameServer(asyncio.DatagramProtocol):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for responses."""
        # The transport of Python 3.11 lacks its documented base class.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        if said := answer(data, self.names):
            self.transport.sendto(said, addr)


async def serve(places: Sequence[tuple[str, int]], names: Mapping[str, str]) -> None:
    """Answer at every one of `places` (address, port); skip those that are in use."""
    loop = asyncio.get_running_loop()
    for address, port in places:
        with suppress(OSError):
            await loop.create_datagram_endpoint(
                lambda: _NameServer(names), local_addr=(address, port)
            )
