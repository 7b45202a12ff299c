"""Makes a configuration such as hosts take it, for a rehearsal of what is live elsewhere.

A host takes no release that is not as Debian's: another user, a list in another folder
(driver/allowlist.py says why). Where what is live is otherwise already, that is not what a change
is about; it is rehearsed with these lines as a host would have them, and each is told. Lines keep
their numbers.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Match, Tuple

from ..config.words import SECTIONS

# What a driver demands of a release, and where it takes files (driver/allowlist.py).
_IDENTITY = {"chroot": "/var/lib/haproxy", "user": "haproxy", "group": "haproxy"}
_LISTS = ("/etc/haproxy/lists/", "/etc/haproxy/maps/")
_PAGES = ("/etc/haproxy/errors/", "/etc/haproxy/pages/")
_TLS = ("/etc/haproxy/", "/etc/ssl/", "/etc/letsencrypt/")
_LOGS = ("/dev/log", "/run/haproxy/", "/var/lib/haproxy/dev/log")
# Of the process alone: a service of systemd's has no need of them.
_LEFT_OUT = ("pidfile", "uid", "gid", "nbproc", "quiet", "master-worker", "unix-bind", "setcap")
_PATH = r"(/[A-Za-z0-9_.@+*/-]+)"
_NAMED = [
    (re.compile(rf"((?:^|\s)-f\s+){_PATH}"), _LISTS),
    (re.compile(rf"(\bmap(?:_\w+)?\(){_PATH}"), _LISTS),
    (re.compile(rf"(\scrt-list\s+){_PATH}"), _LISTS),
    (re.compile(rf"(^\s*errorfile\s+\d+\s+){_PATH}"), _PAGES),
    (re.compile(rf"(\s(?:lf-)?file\s+){_PATH}"), _PAGES),
    (re.compile(rf"(\s(?:crt|ca-file|crl-file|ca-verify-file)\s+){_PATH}"), _TLS),
    (re.compile(rf"(^\s*(?:crt-base|ca-base|ssl-dh-param-file)\s+){_PATH}"), _TLS),
]


def adapt(files: Mapping[str, Any]) -> Tuple[Dict[str, bytes], List[str]]:
    """Give the files as a host would take them, and each line that had to be put or changed."""
    told: List[str] = []
    result = {}
    for name, data in files.items():
        text = data if isinstance(data, str) else bytes(data).decode("utf-8", "surrogateescape")
        text = _accepted(text, told)
        result[name] = text.encode("utf-8", "surrogateescape")
    return result, list(dict.fromkeys(told))


def _accepted(text: str, told: List[str]) -> str:
    section, seen, lines = "", set(), []
    for line in text.split("\n"):
        parts = line.split()
        if parts and parts[0] in SECTIONS:
            section = parts[0]
        if section == "global" and parts:
            if parts[0] in _IDENTITY:
                seen.add(parts[0])
            line = _of_process(line, parts, told)
        lines.append(_moved(line, told))
    missing = [f"{word} {value}" for word, value in _IDENTITY.items() if word not in seen]
    if missing:
        told += missing
        # At the end, so that what HAProxy says of a line is true of the person's file.
        lines += ["global", *(f"    {line}" for line in missing), ""]
    return "\n".join(lines)


def _of_process(line: str, parts: List[str], told: List[str]) -> str:
    """Give a line of `global` as a host takes it; one that it has no need of is left out."""
    word, rest = parts[0], parts[1:]
    if word in _IDENTITY and rest[:1] != [_IDENTITY[word]]:
        told.append(f"{word} {_IDENTITY[word]}")
        return f"    {word} {_IDENTITY[word]}"
    socket = word == "stats" and rest[:1] == ["socket"]
    place = (rest[1:2] or [""])[0].replace("unix@", "") if socket else ""
    target = rest[0] if word == "log" and rest else ""
    if (
        word in _LEFT_OUT
        or (socket and not place.startswith("/run/haproxy/"))
        or (target.startswith("/") and not target.startswith(_LOGS))
        or (word == "server-state-file")
    ):
        told.append(f"without {' '.join(parts[:3])}")
        return f"    # {line.strip()}"
    return line


def _moved(line: str, told: List[str]) -> str:
    """Give a line with the files that it names where a host takes them."""
    if line.lstrip().startswith("#"):
        return line
    for pattern, folders in _NAMED:

        def put(found: Match[str], folders: Tuple[str, ...] = folders) -> str:
            if found[2].startswith(folders):
                return found[0]
            place = folders[0] + found[2].strip("/").replace("/", "_")
            told.append(f"{found[2]} at {place}")
            return found[1] + place

        line = pattern.sub(put, line)
    return line
