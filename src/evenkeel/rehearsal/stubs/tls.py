"""TLS of the stub servers that stand in for servers with TLS.

It decrypts what arrives and encrypts what is sent. Standard library only: it runs inside the
staging container.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

_AT_ONCE = 65536


def context(certificate: str) -> ssl.SSLContext:
    """Give the context of all connections; `certificate` is a file with its key."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


class Session:
    """TLS of one connection. Raises ssl.SSLError for data that is no TLS."""

    def __init__(self, shared: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = shared.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.is_open = False

    def open(self, data: bytes) -> bytes:
        """Decrypt `data`; `waiting` then gives what has to be sent."""
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
        """Encrypt `data` for sending."""
        if data:
            self.tls.write(data)
        return self.waiting()

    def waiting(self) -> bytes:
        """Give what TLS itself has to send."""
        return self.outgoing.read()
