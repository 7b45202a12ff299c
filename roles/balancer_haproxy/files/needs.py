"""The files that a configuration names and that a rehearsal needs a stand-in for.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

from .reading import Configuration, Line, read

_MAP = re.compile(r"\bmap(?:_\w+)?\((/[^,)]+)")
# Where such files lie. A stand-in is put nowhere else, whatever a configuration names.
_PLACES = ("/etc/haproxy/", "/etc/ssl/", "/etc/letsencrypt/", "/etc/pki/", "/etc/certs/", "/srv/")
_ANSWERS = ("file", "lf-file")

Needs = Dict[str, List[str]]


def needs(files: Mapping[str, Any]) -> Needs:
    """Give the paths that the files name, by kind.

    `certificates` are with their key, `pages` are answers of HTTP, `lists` also maps.
    """
    configuration = read(files)
    found: Dict[str, List[str]] = {"certificates": [], "authorities": [], "pages": [], "lists": []}
    bases = {name: _base(configuration, name) for name in ("crt-base", "ca-base")}
    lines = list(configuration.process)
    for proxy in configuration.proxies:
        lines += [*proxy.inherited, *proxy.lines]
    for line in lines:
        _of(line, bases, found)
    return {kind: sorted(set(paths)) for kind, paths in found.items()}


def _base(configuration: Configuration, name: str) -> str:
    line = configuration.setting(name)
    return line.value(1).rstrip("/") if line else ""


def _of(line: Line, bases: Mapping[str, str], found: Needs) -> None:
    if line.starts("bind") or line.starts("server") or line.starts("default-server"):
        _add(found["certificates"], line.after("crt"), bases["crt-base"], folder="stand-in.pem")
        _add(found["authorities"], line.after("ca-file"), bases["ca-base"])
    elif line.starts("errorfile"):
        _add(found["pages"], line.value(2))
    for at, word in enumerate(line.words):
        if word == "-f" and line.words[0] in ("acl", "http-request", "use_backend", "tcp-request"):
            _add(found["lists"], line.value(at + 1))
        elif word in _ANSWERS and line.words[0].startswith("http-"):
            _add(found["pages"], line.value(at + 1))
        for path in _MAP.findall(word):
            _add(found["lists"], path)


def _add(paths: List[str], path: Optional[str], base: str = "", folder: str = "") -> None:
    """Enter an absolute path; a folder of certificates gets one file of that name."""
    if not path or path.startswith("@"):
        return
    if not path.startswith("/"):
        if not base:
            return
        path = f"{base}/{path}"
    last = path.rstrip("/").rsplit("/", 1)[-1]
    if folder and (path.endswith("/") or "." not in last):
        path = f"{path.rstrip('/')}/{folder}"
    if path.startswith(_PLACES) and ".." not in path.split("/"):
        paths.append(path)
