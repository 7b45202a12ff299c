"""TLS of stub servers that stand in for servers which are spoken to so.

Between the connection and its requests: what arrives is opened, what is said is sealed. Standard
library only: it runs inside the staging container.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

_AT_ONCE = 65536


def context(certificate: str) -> ssl.SSLContext:
    """Give what all connections share: the file `certificate` holds a certificate and its key."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


class Session:
    """One connection's TLS. Raises ssl.SSLError for what is no TLS."""

    def __init__(self, shared: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = shared.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.is_open = False

    def open(self, data: bytes) -> bytes:
        """Take what arrived and give what it says; `waiting` is then what has to be sent."""
        self.incoming.write(data)
        said = b""
        with suppress(ssl.SSLWantReadError):
            if not self.is_open:
                self.tls.do_handshake()
                self.is_open = True
            while part := self.tls.read(_AT_ONCE):
                said += part
        return said

    def seal(self, data: bytes) -> bytes:
        """Give what has to be sent to say `data`."""
        if data:
            self.tls.write(data)
        return self.waiting()

    def waiting(self) -> bytes:
        """Give what the protocol itself wants to send."""
        return self.outgoing.read()
