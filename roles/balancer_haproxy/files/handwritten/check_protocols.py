"""What a server has to say for a health check of another protocol than HTTP to succeed.

A stand-in that says it is taken for well, so that a pool of mail, caches or databases is rehearsed
too. A check that asks for more than is known here fails before the change as after it. Texts are
those of configuration.txt 2.6 (option mysql-check, ...) and of the protocols' own documents.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from evenkeel.balancer.types import CheckProtocol

from ..config.parser import Line, Proxy

# A regex without anything but letters, the dot that matches itself, and what a backslash quotes.
_PLAIN = re.compile(r"\^?((?:[^\\^$*+?()\[\]{}|]|\\[^A-Za-z0-9])*)\$?")
# What is said at once, and {how a question begins: its answer}; "" is any question.
Speech = Tuple[bytes, Dict[bytes, bytes]]

_MYSQL_HELLO = (
    b"\x0a5.7.0\0\x01\0\0\0" + b"12345678\0" + b"\x01\x82\x21\x02\0\0\0\0\0\0" + b"\0" * 24
)
_KNOWN: Dict[str, Speech] = {
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
    # Any record of TLS will do: an alert.
    "ssl-hello-chk": (b"", {b"\x16": b"\x15\x03\0\0\x02\x02\x28"}),
}


def speech(back: Proxy) -> Optional[CheckProtocol]:
    """Give {"greets": hex, "answers": [[hex of the question, hex of the answer], ...]}, or None."""
    found = _of(back)
    if found is None:
        return None
    greets, answers = found
    rows = [[ask.hex(), say.hex()] for ask, say in sorted(answers.items(), reverse=True)]
    return {"greets": greets.hex(), "answers": rows}


def _of(back: Proxy) -> Optional[Speech]:
    for name, known in _KNOWN.items():
        if back.last("option", name):
            return known
    return _steps(back.all("tcp-check")) if back.last("option", "tcp-check") else None


def _steps(lines: List[Line]) -> Optional[Speech]:
    """Read the steps of a tcp-check: what is expected is what a server has to say."""
    asked, greets = b"", b""
    answers: Dict[bytes, bytes] = {}
    for line in lines:
        if line.value(1) == "send":
            # Its first word is enough; where lines end is not known any more.
            asked = (line.value(2).split() or [""])[0].encode()
        elif line.value(1) == "send-binary":
            asked = _binary(line.value(2))
        elif line.value(1) == "expect":
            said = _expected(line)
            if not said:
                return None
            if asked:
                answers[asked] = answers.get(asked, b"") + said
            else:
                greets += said
    return (greets, answers) if greets or answers else None


def _expected(line: Line) -> bytes:
    """Give a text that meets an `expect`; b"" where none is known."""
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

    It is HAProxy's (PCRE) and may take for ever: it is read and never run.
    """
    found = _PLAIN.fullmatch(regex)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else ""


def _binary(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
