"""What a server has to answer to health checks of other protocols than HTTP.

A stub server that answers so is healthy, so pools of mail, caches or databases are rehearsed too. A
check that needs more than this fails before the change as after it. The bytes are from
configuration.txt 2.6 (option mysql-check, ...) and the documents of the protocols.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from evenkeel.balancer.types import CheckProtocol

from ..config.parser import Line, Proxy

# A regex that matches one text: plain letters and quoted signs.
_PLAIN = re.compile(r"\^?((?:[^\\^$*+?()\[\]{}|]|\\[^A-Za-z0-9])*)\$?")
# The greeting, and {how a request begins: its answer}; b"" is any request.
Answers = Tuple[bytes, Dict[bytes, bytes]]

_MYSQL_HELLO = (
    b"\x0a5.7.0\0\x01\0\0\0" + b"12345678\0" + b"\x01\x82\x21\x02\0\0\0\0\0\0" + b"\0" * 24
)
_KNOWN: Dict[str, Answers] = {
    # HELO or EHLO, and QUIT.
    "smtpchk": (b"220 stand-in\r\n", {b"": b"250 ok\r\n"}),
    "redis-check": (b"", {b"*1\r\n$4\r\nPING": b"+PONG\r\n"}),
    # A handshake of protocol 10, then OK.
    "mysql-check": (
        len(_MYSQL_HELLO).to_bytes(3, "little") + b"\0" + _MYSQL_HELLO,
        {b"": b"\x07\0\0\x02\0\0\0\x02\0\0\0"},
    ),
    # AuthenticationOk for any startup message.
    "pgsql-check": (b"", {b"\0\0\0": b"R\0\0\0\x08\0\0\0\0"}),
    # A BindResponse of success (RFC 4511, 4.2.2).
    "ldap-check": (b"", {b"0": b"0\x0c\x02\x01\x01a\x07\n\x01\0\x04\0\x04\0"}),
    # Any TLS record passes: an alert.
    "ssl-hello-chk": (b"", {b"\x16": b"\x15\x03\0\0\x02\x02\x28"}),
}


def check_protocol(back: Proxy) -> Optional[CheckProtocol]:
    """Give what the pool's checks want to hear; None when they speak HTTP or nothing."""
    found = _of(back)
    if found is None:
        return None
    greets, answers = found
    rows = [[ask.hex(), say.hex()] for ask, say in sorted(answers.items(), reverse=True)]
    return {"greets": greets.hex(), "answers": rows}


def _of(back: Proxy) -> Optional[Answers]:
    for name, known in _KNOWN.items():
        if back.last("option", name):
            return known
    return _steps(back.all("tcp-check")) if back.last("option", "tcp-check") else None


def _steps(lines: List[Line]) -> Optional[Answers]:
    """Turn the steps of a tcp-check into the server's side of them."""
    request, greets = b"", b""
    answers: Dict[bytes, bytes] = {}
    for line in lines:
        if line.value(1) == "send":
            # The first word is enough to recognize it.
            request = (line.value(2).split() or [""])[0].encode()
        elif line.value(1) == "send-binary":
            request = _binary(line.value(2))
        elif line.value(1) == "expect":
            said = _expected(line)
            if not said:
                return None
            if request:
                answers[request] = answers.get(request, b"") + said
            else:
                greets += said
    return (greets, answers) if greets or answers else None


def _expected(line: Line) -> bytes:
    """Give a text that meets an `expect`; b"" when unknown."""
    for kind in ("string", "rstring", "binary"):
        value = line.after(kind)
        if value is None or "!" in line.words:
            continue
        if kind == "binary":
            return _binary(value)
        text = _literal(value) if kind == "rstring" else re.sub(r"\\(.)", r"\1", value)
        return text.rstrip().encode() + b"\r\n" if text else b""
    return b""


def _literal(regex: str) -> str:
    """Give the text that a regex of plain letters matches; "" for any other.

    A regex of HAProxy's (PCRE) may run for ever, so it is only read.
    """
    found = _PLAIN.fullmatch(regex)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else ""


def _binary(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
