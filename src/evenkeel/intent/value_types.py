"""The types of an intent's values: names, addresses, paths, ports, seconds.

Each is an annotated type that the models share. Text has a pattern: the fast validator checks it,
the JSON Schema shows it to editors, and `WANTED` describes it for people.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"({_LABEL}\.)*{_LABEL}")
_HAS_LETTER = re.compile(r"[A-Za-z]")

_PATTERN_NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_PATTERN_TOKEN = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"  # noqa: S105 - no secret
_PATTERN_HEADER_VALUE = "^[!-~]([ -~]{0,1022}[!-~])?$"
_PATTERN_URL_PATH = "^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,1023}$"
_PATTERN_CHECK_PATH = "^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1023}$"
_PATTERN_FILE = "^/[A-Za-z0-9_@+.-]+(/[A-Za-z0-9_@+.-]+)*$"
_PATTERN_HOST_NAME = rf"^({_LABEL}\.)*{_LABEL}$"
_PATTERN_HOST_MATCH = rf"^(\*\.)?({_LABEL}\.)*{_LABEL}$"
_PATTERN_TITLE = r"^\S(.{0,118}\S)?$"
_PATTERN_EXTRA = r"^\S(.*\S)?$"

# Each pattern in words, for error messages.
WANTED = {
    _PATTERN_NAME: "1 to 64 of A-Z a-z 0-9 _ . -, starting with a letter or digit",
    _PATTERN_TOKEN: "1 to 128 of A-Z a-z 0-9 _ . -, starting with a letter, a digit or _",
    _PATTERN_HEADER_VALUE: "1 to 1024 printable ASCII characters with no space at either end",
    _PATTERN_URL_PATH: "a path of a URL: a / and then URL characters (write others as %XX), no ? #",
    _PATTERN_CHECK_PATH: "a path of a URL: a / and then URL characters (write others as %XX), no #",
    _PATTERN_FILE: "an absolute path of A-Z a-z 0-9 _ @ + . - and /",
    _PATTERN_HOST_NAME: "a host name such as shop.example.com",
    _PATTERN_HOST_MATCH: "a host name such as shop.example.com or *.example.com",
    _PATTERN_TITLE: "1 to 120 characters with no space at either end",
    _PATTERN_EXTRA: "one line with no space at either end",
}


def canonical_address(text: str) -> str | None:
    """Give the canonical form of an IP address or strict host name; None when it is neither."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if len(text) > 253 or not _HOST_NAME.fullmatch(text):
            return None
        return text.lower() if _HAS_LETTER.search(text.rsplit(".", 1)[-1]) else None
    # A scope (fe80::1%eth0) is valid on one machine only.
    if address.is_multicast or address.is_unspecified or getattr(address, "scope_id", None):
        return None
    return str(address)


def canonical_bind(text: str) -> str | None:
    """Give the canonical form of an address to listen on: `*` for all IPv4 addresses, or an IP."""
    if text in ("*", "0.0.0.0"):  # noqa: S104 - a balancer is there to be reached
        return "*"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.is_multicast or getattr(address, "scope_id", None):
        return None
    return str(address)


def _address(text: str) -> str:
    canonical = canonical_address(text)
    if canonical is None:
        raise PydanticCustomError("wanted", "an IP address or a host name of letters, digits and -")
    return canonical


def _host_match(text: str) -> str:
    name = text.removeprefix("*.")
    canonical = canonical_address(name)
    if canonical is None or canonical != name.lower():
        raise PydanticCustomError("wanted", "a host name whose last part is not a number")
    return text.lower()


def _host_name(text: str) -> str:
    # An IP address is not a name (RFC 6066, 3).
    if not _HAS_LETTER.search(text.rsplit(".", 1)[-1]):
        raise PydanticCustomError("wanted", "a host name whose last part is not a number")
    return text.lower()


def _bind_address(text: str) -> str:
    canonical = canonical_bind(text)
    if canonical is None:
        raise PydanticCustomError("wanted", "* or an IP address")
    return canonical


def _file(text: str) -> str:
    if {".", ".."} & set(text.split("/")):
        raise PydanticCustomError("wanted", "an absolute path without . or .. in it")
    return text


def _date_as_text(value: Any) -> Any:
    # YAML turns such text into a date.
    return value.isoformat() if type(value) is date else value


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise PydanticCustomError("wanted", "a date such as 2026-12-31") from None


def _in_a_list(value: Any) -> Any:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


def _sorted(values: list[int]) -> list[int]:
    return sorted(set(values))


Name = Annotated[str, Field(pattern=_PATTERN_NAME)]
# For people; it appears in no configuration.
Title = Annotated[str, Field(pattern=_PATTERN_TITLE)]
Token = Annotated[str, Field(pattern=_PATTERN_TOKEN)]
HeaderValue = Annotated[str, Field(pattern=_PATTERN_HEADER_VALUE)]
UrlPath = Annotated[str, Field(pattern=_PATTERN_URL_PATH)]
CheckPath = Annotated[str, Field(pattern=_PATTERN_CHECK_PATH)]
FilePath = Annotated[str, Field(pattern=_PATTERN_FILE, max_length=512), AfterValidator(_file)]
HostName = Annotated[
    str, Field(pattern=_PATTERN_HOST_NAME, max_length=253), AfterValidator(_host_name)
]
HostMatch = Annotated[
    str, Field(pattern=_PATTERN_HOST_MATCH, max_length=253), AfterValidator(_host_match)
]
ExtraLine = Annotated[str, Field(pattern=_PATTERN_EXTRA, max_length=1024)]
Address = Annotated[str, AfterValidator(_address)]
BindAddress = Annotated[str, AfterValidator(_bind_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
# From below any useful timeout to above any.
Seconds = Annotated[float, Field(ge=0.1, le=604_800)]
Percent = Annotated[float, Field(ge=0, le=100)]
StatusCode = Annotated[int, Field(ge=100, le=599)]
# The last day, in UTC.
Date = Annotated[
    str,
    Field(max_length=10),
    BeforeValidator(_date_as_text, json_schema_input_type=str),
    AfterValidator(_date),
]
# One status or several; validation gives a sorted list.
StatusCodes = Annotated[
    list[StatusCode],
    Field(min_length=1),
    BeforeValidator(_in_a_list, json_schema_input_type=int | list[int]),
    AfterValidator(_sorted),
]
