"""One line of an access log: HAProxy's HTTP log format, or nginx's combined.

A prefix of syslog's is skipped. What is of no use to a profile (users' names, referrers, agents,
cookies, query strings) is never taken out of the line.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Format = Literal["haproxy", "nginx"]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MOST_SEGMENTS = 6
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# HAProxy's configuration manual, "HTTP log format": client:port [date] frontend backend/server
# TR/Tw/Tc/Tr/Ta status bytes cookies state connections/retries queues {captures} "request".
_HAPROXY = re.compile(
    r"(?P<client>[0-9A-Fa-f.:]+):(?P<port>\d{1,5}) \[(?P<date>[^\]]{20,40})\] (?P<listener>\S+)"
    r" \S+ -?\d+/-?\d+/-?\d+/(?P<server_ms>-?\d+)/\+?(?P<whole_ms>-?\d+) (?P<status>-?\d+)"
    r" \+?(?P<bytes>\d+) \S+ \S+ \S{2,4} \d+/\d+/(?P<under_way>\d+)/\d+/\+?\d+ \d+/\d+"
    r'(?: \{(?P<captures>[^}]*)\})?(?: \{[^}]*\})? "(?P<request>[^"]*)"'
)
_NGINX = re.compile(
    r"(?:^|\s)(?P<client>[0-9A-Fa-f.:]+) - .{0,256}? \[(?P<date>[^\]]{20,40})\]"
    r' "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<bytes>\d+|-)(?: |$)'
)
# A name that people read: labels that are short, an end that is a word.
_HOST = re.compile(r"(?:[a-z0-9-]{1,30}\.){1,6}[a-z]{2,18}")
_ADDRESS_HOST = re.compile(r"[0-9.]+|\[[0-9a-f:]*\]")
# Only what looks like a word that a programmer chose stays as it is.
_WORD = re.compile(r"[A-Za-z][A-Za-z._-]{0,23}|v\d{1,2}")
# As people write names: one case, Capitalised or camelCase. A generator's letters jump about.
_NAME = re.compile(r"[a-z]*|[A-Z]{1,8}|[A-Z]{0,2}[a-z]+(?:[A-Z][a-z]{2,})*|v\d{1,2}")
# Hexadecimal digits of a token may all be letters.
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
# More digits in one label than a numbered server has: an address (ip-10-0-0-7) or a token.
_MOST_LABEL_DIGITS = 3
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Line:
    """What one line says. Times in seconds; None where the format does not have it."""

    client: str
    connection: str | None
    second: int
    listener: str
    host: str
    path: str
    method: str
    status: int
    answer_bytes: int
    server_seconds: float | None
    whole_seconds: float | None
    under_way: int | None


def format_of(text: str) -> Format | None:
    """Tell which format a line is of; None when it is of neither."""
    if _HAPROXY.search(text):
        return "haproxy"
    return "nginx" if _NGINX.search(text) else None


def read_line(text: str, kind: Format, host_capture: int = 1) -> Line | None:
    """Give what a line of format `kind` says; None for a line that is not one.

    `host_capture` is which of HAProxy's captured request headers is the host, from 1; 0 for none.
    """
    found = (_HAPROXY if kind == "haproxy" else _NGINX).search(text)
    if found is None:
        return None
    part = found.groupdict()
    second = _second(part["date"][:20])
    words = part["request"].split(" ")
    if second is None or len(words) != 3 or words[0] not in METHODS:
        return None
    host, path = _target(words[1])
    if kind == "nginx":
        size = 0 if part["bytes"] == "-" else int(part["bytes"])
        return Line(
            part["client"], None, second, "", host, path, words[0], int(part["status"]), size,
            None, None, None,
        )  # fmt: skip
    captures = (part["captures"] or "").split("|")
    if not host and 0 < host_capture <= len(captures):
        host = host_of(captures[host_capture - 1])
    return Line(
        part["client"],
        f"{part['client']}:{part['port']}",
        second,
        part["listener"].rstrip("~")[:80],
        host,
        path,
        words[0],
        int(part["status"]),
        int(part["bytes"]),
        _seconds(part["server_ms"]),
        _seconds(part["whole_ms"]),
        int(part["under_way"]),
    )


def _seconds(milliseconds: str) -> float | None:
    return None if milliseconds.startswith("-") else int(milliseconds) / 1000


@lru_cache(maxsize=64)
def _second(date: str) -> int | None:
    """Give the second of `06/Feb/2009:12:14:14`; only differences between them are used."""
    try:
        day, month, rest = date.split("/")
        year, hour, minute, second = (int(number) for number in rest.split(":"))
        number = _MONTHS.index(month) + 1
        return calendar.timegm((year, number, int(day), hour, minute, second))
    except (ValueError, OverflowError):
        return None


def _target(text: str) -> tuple[str, str]:
    """Give host ("" when unknown) and grouped path of a request's target.

    HAProxy logs a request that came by HTTP/2 with its whole address.
    """
    scheme, found, rest = text.partition("://")
    if found and scheme in ("http", "https"):
        authority, slash, path = rest.partition("/")
        return host_of(authority.partition("?")[0]), group_path(slash + path)
    return "", group_path(text)


@lru_cache(maxsize=4096)
def host_of(text: str) -> str:
    """Give `text` as a host name in lower case, without a port; "" when it does not look like one.

    An address is a host too, but stays out: it may be a person's. So does a name with an address or
    a token in it.
    """
    name = text.lower().partition(":")[0].rstrip(".")
    if "@" in text or _ADDRESS_HOST.fullmatch(name) or not _HOST.fullmatch(name):
        return ""
    return name if all(map(_is_plain_label, name.split("."))) else ""


def _is_plain_label(text: str) -> bool:
    return sum(map(str.isdigit, text)) <= _MOST_LABEL_DIGITS and not _HEX.search(text)


@lru_cache(maxsize=65536)
def group_path(target: str) -> str:
    """Give the path of `target` without its query, with values replaced by placeholders.

    Numbers are {number}, uuids {uuid}, and everything that is not a short plain word is {token}.
    """
    path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        return "/"
    segments = path.split("/")[1:]
    kept = [_segment(one.partition(";")[0]) for one in segments[:MOST_SEGMENTS]]
    return "/" + "/".join(kept) + ("/{more}" if len(segments) > MOST_SEGMENTS else "")


def _segment(text: str) -> str:
    if not text or (_WORD.fullmatch(text) and all(map(_is_plain_part, re.split("[._-]", text)))):
        return text
    if text.isascii() and text.isdigit():
        return "{number}"
    return "{uuid}" if _UUID.fullmatch(text) else "{token}"


def _is_plain_part(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) and not _HEX.fullmatch(text)
