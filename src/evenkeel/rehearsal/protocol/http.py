"""The parts of HTTP/1.1 and of the PROXY protocol that the stub servers understand.

It is no general parser: only our client and a balancer send to it. Standard library only: it runs
inside the staging container.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass

# Neither client nor balancer sends a longer head.
LARGEST_HEAD_BYTES = 256 * 1024
# ip(7): bind to an address that only a route makes local.
IP_FREEBIND = 15
_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEADER_BYTES = 16
_V1_LONGEST = 107


class WireError(ValueError):
    """Bytes that are neither HTTP/1.1 nor the PROXY protocol."""


@dataclass
class Head:
    """The first line of a message and its headers: names in lower case, the last one counts."""

    first_line: str
    headers: dict[str, str]

    @property
    def body_bytes(self) -> int:
        """The length of the body that follows."""
        return int(self.headers.get("content-length", "0"))

    @property
    def closes(self) -> bool:
        """Whether the sender closes the connection after this message."""
        return (
            "close" in self.headers.get("connection", "").lower() or "HTTP/1.0" in self.first_line
        )


def take_head(buffer: bytearray) -> Head | None:
    """Remove one message head from the front of `buffer`; None while it is incomplete.

    Raises WireError for bytes that cannot be a head.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > LARGEST_HEAD_BYTES:
            raise WireError("a head without an end")
        return None
    lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    del buffer[: end + 4]
    head = Head(lines[0], {})
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise WireError(f"a header without a colon: {line[:40]!r}")
        head.headers[name.lower()] = value.strip()
    return head


def take_proxy_header(buffer: bytearray) -> str | None:
    """Remove a PROXY protocol header, version 1 or 2, from the front of `buffer`.

    Gives "v1 SOURCE" or "v2 SOURCE", "" for a connection without one, and None while too few
    bytes have arrived.
    """
    start = bytes(buffer[:_V2_HEADER_BYTES])
    if start.startswith(_V2_SIGNATURE):
        if len(buffer) < _V2_HEADER_BYTES:
            return None
        end = _V2_HEADER_BYTES + int(struct.unpack("!H", buffer[14:16])[0])
        if len(buffer) < end:
            return None
        family, addresses = buffer[13] >> 4, bytes(buffer[_V2_HEADER_BYTES:end])
        del buffer[:end]
        if family == 1 and len(addresses) >= 12:
            return f"v2 {socket.inet_ntop(socket.AF_INET, addresses[:4])}"
        if family == 2 and len(addresses) >= 36:
            return f"v2 {socket.inet_ntop(socket.AF_INET6, addresses[:16])}"
        return "v2 unknown"
    if start.startswith(b"PROXY "):
        end = buffer.find(b"\r\n")
        if end < 0:
            if len(buffer) > _V1_LONGEST:
                raise WireError("a PROXY header without an end")
            return None
        words = bytes(buffer[:end]).decode("latin-1").split(" ")
        del buffer[: end + 2]
        return f"v1 {words[2] if len(words) > 2 else 'unknown'}"
    could_become = _V2_SIGNATURE.startswith(start) or b"PROXY ".startswith(start)
    return None if could_become and len(start) < len(_V2_SIGNATURE) else ""


def endpoint_of(address: str, port: int) -> str:
    """Give an address and a port as one text."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Give the address and the port of an endpoint."""
    address, _, port = endpoint.rpartition(":")
    return address.strip("[]"), int(port)


def is_ip(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
