"""The files, hosts and names that a configuration refers to: a rehearsal needs each."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Optional

from evenkeel.balancer.types import References

from ..config.parser import Configuration, Line, read
from .addresses import is_address, is_port

_MAP = re.compile(r"\bmap(?:_\w+)?\((/[^,)]+)")
# Placeholders are put below these folders alone.
_PLACES = ("/etc/haproxy/", "/etc/ssl/", "/etc/letsencrypt/", "/etc/pki/", "/etc/certs/", "/srv/")
_ANSWERS = ("file", "lf-file")
_AUTHORITIES = ("ca-file", "ca-verify-file")
# A server's name that is the same for all requests.
_CALLED = re.compile(r"(?:str\()?([A-Za-z0-9._-]+)\)?")
# Directive -> position of the address.
_ADDRESSED = {
    **{"log": 1, "nameserver": 2, "peer": 2, "mailer": 2, "dispatch": 1, "source": 1},
    **{"server": 2, "server-template": 3, "bind": 1},
}
_HOST = re.compile(r"(?:ipv[46]@|udp[46]?@|tcp[46]?@)?([A-Za-z][A-Za-z0-9_.-]*)(?::[0-9]+)?")
_NAMESERVER = re.compile(r"(?:udp4?@|ipv4@)?([0-9.]+):([0-9]{1,5})")
# Words in the place of an address.
_NO_HOSTS = ("global", "stdout", "stderr", "localhost", "fd")

_KINDS = (
    *("certificates", "authorities", "revocations", "pages", "lists"),
    *("hosts", "nameservers", "server_names"),
)


def references(files: Mapping[str, Any]) -> References:
    """Give what the files name, by kind."""
    configuration = read(files)
    found: References = {kind: [] for kind in _KINDS}
    bases = {name: _base(configuration, name) for name in ("crt-base", "ca-base")}
    lines = list(configuration.process)
    for proxy in configuration.proxies:
        lines += [*proxy.inherited, *proxy.lines]
    for _, _, others in configuration.others:
        lines += others
    for line in lines:
        _host(line, found["hosts"])
        server = _NAMESERVER.fullmatch(line.value(2)) if line.starts("nameserver") else None
        # HAProxy's own check reports a mistyped address.
        if server and is_address(server[1]) and is_port(server[2]):
            found["nameservers"].append(f"{server[1]}:{int(server[2])}")
        _of(line, bases, found)
    return {kind: sorted(set(paths)) for kind, paths in found.items()}


def _base(configuration: Configuration, name: str) -> str:
    line = configuration.setting(name)
    return line.value(1).rstrip("/") if line else ""


def _of(line: Line, bases: Mapping[str, str], found: References) -> None:
    if line.words[0] in ("bind", "server", "server-template", "default-server"):
        for at, word in enumerate(line.words):
            if word == "crt":
                path = line.value(at + 1)
                _add(found["certificates"], path, bases["crt-base"], folder="stand-in.pem")
            elif word in _AUTHORITIES:
                _add(found["authorities"], line.value(at + 1), bases["ca-base"])
            elif word == "crl-file":
                _add(found["revocations"], line.value(at + 1), bases["ca-base"])
            elif word in ("verifyhost", "check-sni", "sni"):
                called = _CALLED.fullmatch(line.value(at + 1))
                found["server_names"] += [called[1]] if called else []
    elif line.starts("errorfile"):
        _add(found["pages"], line.value(2))
    for at, word in enumerate(line.words):
        if word == "-f" and line.words[0] in ("acl", "http-request", "use_backend", "tcp-request"):
            _add(found["lists"], line.value(at + 1))
        elif word in _ANSWERS and line.words[0].startswith("http-"):
            _add(found["pages"], line.value(at + 1))
        for path in _MAP.findall(word):
            _add(found["lists"], path)


def _host(line: Line, hosts: List[str]) -> None:
    """Add the host names of a line."""
    place = _ADDRESSED.get(line.words[0], 0)
    words = [line.value(place)] if place else []
    if line.words[0] in ("server", "server-template", "default-server"):
        words += [line.after("addr") or "", line.after("source") or ""]
    for word in words:
        match = _HOST.fullmatch(word)
        if match and match[1] not in _NO_HOSTS and not match[1].endswith("."):
            hosts.append(match[1])


def _add(paths: List[str], path: Optional[str], base: str = "", folder: str = "") -> None:
    """Add an absolute path; a folder of certificates gets one file."""
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
