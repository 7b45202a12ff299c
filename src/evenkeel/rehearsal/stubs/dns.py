"""Stand-in name servers: they answer with the address that stands in for a host name.

A query for A gets the addresses of its name, as many as the one who asks can take, and one for
anything else none. Formats are those of RFC 1035, 4.1, and RFC 6891, 6.1.2. Standard library only:
it runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

# `slot2.NAME` has the second address of NAME: a template of servers wants several.
SLOT = "slot"
_HEAD_BYTES = 12
_A, _IN, _OPT = 1, 1, 41
_LONGEST_NAME = 255
_TTL_SECONDS = 5
_NO_SUCH_NAME = 3
# A message over UDP is no longer, unless the one who asks says so (RFC 1035, 4.2.1).
_MOST_BYTES = 512
_RECORD_BYTES = 16
# Answer, recursion wanted and there.
_FLAGS = 0x8180


def addresses(name: str, names: Mapping[str, str]) -> list[str]:
    """Give the addresses of a name, its slots' after its own."""
    name = name.lower().rstrip(".")
    found = [names[name]] if name in names else []
    for host, address in sorted(names.items()):
        first, _, rest = host.partition(".")
        if rest == name and first.startswith(SLOT) and first[len(SLOT) :].isdigit():
            found.append(address)
    return found


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    """Give the answer to one query; b"" for what is no question."""
    try:
        name, end = _question(query)
    except (IndexError, UnicodeDecodeError):
        return b""
    if len(query) < end + 4:
        return b""
    wanted = int.from_bytes(query[end : end + 2], "big")
    all_of_them = addresses(name, names)
    # The rest is left out as load-balancing name servers do: HAProxy takes nothing of an answer
    # that says it is truncated.
    fits = (_room(query, end + 4) - end - 4) // _RECORD_BYTES
    given = all_of_them[: max(fits, 0)] if wanted == _A else []
    flags = _FLAGS if all_of_them else _FLAGS | _NO_SUCH_NAME
    head = query[:2] + b"".join(
        number.to_bytes(2, "big") for number in (flags, 1, len(given), 0, 0)
    )
    records = b"".join(
        # The name is that of the question, at byte 12.
        b"\xc0\x0c"
        + _A.to_bytes(2, "big")
        + _IN.to_bytes(2, "big")
        + _TTL_SECONDS.to_bytes(4, "big")
        + b"\x00\x04"
        + ipaddress.IPv4Address(one).packed
        for one in given
    )
    return head + query[_HEAD_BYTES : end + 4] + records


def _room(query: bytes, at: int) -> int:
    """Give how many bytes an answer may have: what the OPT record after the question says."""
    is_there = query[at : at + 1] == b"\0" and query[at + 1 : at + 3] == _OPT.to_bytes(2, "big")
    said = int.from_bytes(query[at + 3 : at + 5], "big") if is_there else 0
    return max(said, _MOST_BYTES)


def _question(query: bytes) -> tuple[str, int]:
    """Give the name that is asked for and the place after it."""
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
        """Keep what answers go through."""
        # Python 3.11's own is no subclass of what its documentation calls it.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        if said := answer(data, self.names):
            self.transport.sendto(said, addr)


async def serve(places: Sequence[tuple[str, int]], names: Mapping[str, str]) -> None:
    """Answer at every one of `places` (address, port); one that is taken is left alone."""
    loop = asyncio.get_running_loop()
    for address, port in places:
        with suppress(OSError):
            await loop.create_datagram_endpoint(
                lambda: _NameServer(names), local_addr=(address, port)
            )
