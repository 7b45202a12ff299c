"""Makes a configuration as hosts accept it, to rehearse what is live elsewhere.

A host accepts only releases as Debian has them: its user, its folders (driver/allowlist.py says
why). A difference that is live already is not part of a change. So the files are rehearsed with
such lines adapted, and each adapted line is reported. Lines keep their numbers.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Match, Tuple

from ..config.words import SECTIONS

# As in driver/allowlist.py, which the controller does not import.
_IDENTITY = {"chroot": "/var/lib/haproxy", "user": "haproxy", "group": "haproxy"}
_LISTS = ("/etc/haproxy/lists/", "/etc/haproxy/maps/")
_PAGES = ("/etc/haproxy/errors/", "/etc/haproxy/pages/")
_TLS = ("/etc/haproxy/", "/etc/ssl/", "/etc/letsencrypt/")
_LOGS = ("/dev/log", "/run/haproxy/", "/var/lib/haproxy/dev/log")
# A systemd service needs none of these.
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
    """Give the files as a host accepts them, and each line that was added or changed."""
    changes: List[str] = []
    result = {}
    for name, data in files.items():
        text = data if isinstance(data, str) else bytes(data).decode("utf-8", "surrogateescape")
        text = _accepted(text, changes)
        result[name] = text.encode("utf-8", "surrogateescape")
    return result, list(dict.fromkeys(changes))


def _accepted(text: str, changes: List[str]) -> str:
    section, seen, lines = "", set(), []
    for line in text.split("\n"):
        parts = line.split()
        if parts and parts[0] in SECTIONS:
            section = parts[0]
        if section == "global" and parts:
            if parts[0] in _IDENTITY:
                seen.add(parts[0])
            line = _of_process(line, parts, changes)
        lines.append(_moved(line, changes))
    missing = [f"{word} {value}" for word, value in _IDENTITY.items() if word not in seen]
    if missing:
        changes += missing
        # At the end, so that line numbers stay true.
        lines += ["global", *(f"    {line}" for line in missing), ""]
    return "\n".join(lines)


def _of_process(line: str, parts: List[str], changes: List[str]) -> str:
    """Give a line of `global` as a host accepts it; lines that it does not need become comments."""
    word, rest = parts[0], parts[1:]
    if word in _IDENTITY and rest[:1] != [_IDENTITY[word]]:
        changes.append(f"{word} {_IDENTITY[word]}")
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
        changes.append(f"without {' '.join(parts[:3])}")
        return f"    # {line.strip()}"
    return line


def _moved(line: str, changes: List[str]) -> str:
    """Give a line with its files in the folders of a host."""
    if line.lstrip().startswith("#"):
        return line
    for pattern, folders in _NAMED:

        def put(found: Match[str], folders: Tuple[str, ...] = folders) -> str:
            if found[2].startswith(folders):
                return found[0]
            place = folders[0] + found[2].strip("/").replace("/", "_")
            changes.append(f"{found[2]} at {place}")
            return found[1] + place

        line = pattern.sub(put, line)
    return line
