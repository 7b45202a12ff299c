"""Read one line of an access log: HAProxy's HTTP log format, or nginx's combined.

A syslog prefix is skipped. What a profile does not need (user names, referrers, agents, cookies,
query strings) is never read from the line.
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
# Format: HAProxy's configuration manual, "HTTP log format".
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
# Short labels that end in a word are readable.
_HOST = re.compile(r"(?:[a-z0-9-]{1,30}\.){1,6}[a-z]{2,18}")
_ADDRESS_HOST = re.compile(r"[0-9.]+|\[[0-9a-f:]*\]")
# Only words that a programmer would choose are kept.
_WORD = re.compile(r"[A-Za-z][A-Za-z._-]{0,23}|v\d{1,2}")
# One case, Capitalised or camelCase; random tokens mix cases.
_NAME = re.compile(r"[a-z]*|[A-Z]{1,8}|[A-Z]{0,2}[a-z]+(?:[A-Z][a-z]{2,})*|v\d{1,2}")
# A hexadecimal token may hold letters only.
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
# More digits mean an address (ip-10-0-0-7) or a token.
_MOST_LABEL_DIGITS = 3
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Line:
    """The values of one line. Times are in seconds; None where the format has no value."""

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
    """Give the format of a line; None when it is unknown."""
    if _HAPROXY.search(text):
        return "haproxy"
    return "nginx" if _NGINX.search(text) else None


def read_line(text: str, kind: Format, host_capture: int = 1) -> Line | None:
    """Read a line of format `kind`; None for a line in another format.

    `host_capture` is the position of the host among HAProxy's captured request headers, from 1; 0
    for none.
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
    """Give `06/Feb/2009:12:14:14` in seconds; callers use differences only."""
    try:
        day, month, rest = date.split("/")
        year, hour, minute, second = (int(number) for number in rest.split(":"))
        number = _MONTHS.index(month) + 1
        return calendar.timegm((year, number, int(day), hour, minute, second))
    except (ValueError, OverflowError):
        return None


def _target(text: str) -> tuple[str, str]:
    """Give host ("" when unknown) and grouped path of a request's target.

    HAProxy logs an HTTP/2 request with its full URL.
    """
    scheme, found, rest = text.partition("://")
    if found and scheme in ("http", "https"):
        authority, slash, path = rest.partition("/")
        return host_of(authority.partition("?")[0]), group_path(slash + path)
    return "", group_path(text)


@lru_cache(maxsize=4096)
def host_of(text: str) -> str:
    """Give `text` as a lower-case host name without its port; "" when it is not one.

    An IP address may identify a person, so it gives "". So does a name that holds an address or a
    token.
    """
    name = text.lower().partition(":")[0].rstrip(".")
    if "@" in text or _ADDRESS_HOST.fullmatch(name) or not _HOST.fullmatch(name):
        return ""
    for label in name.split("."):
        if sum(map(str.isdigit, label)) > _MOST_LABEL_DIGITS or _HEX.search(label):
            return ""
    return name


@lru_cache(maxsize=65536)
def group_path(target: str) -> str:
    """Give the path of `target` without its query, with values replaced by placeholders.

    A number becomes {number}, a UUID {uuid}, and everything but a short plain word {token}.
    """
    path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        return "/"
    segments = path.split("/")[1:]
    kept = [_segment(one.partition(";")[0]) for one in segments[:MOST_SEGMENTS]]
    return "/" + "/".join(kept) + ("/{more}" if len(segments) > MOST_SEGMENTS else "")


def _segment(text: str) -> str:
    parts = re.split("[._-]", text)
    is_word = _WORD.fullmatch(text) and all(
        _NAME.fullmatch(part) and not _HEX.fullmatch(part) for part in parts
    )
    if not text or is_word:
        return text
    if text.isascii() and text.isdigit():
        return "{number}"
    return "{uuid}" if _UUID.fullmatch(text) else "{token}"
