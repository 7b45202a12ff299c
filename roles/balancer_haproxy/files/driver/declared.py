"""What a configuration declares: pools, ports, listeners, certificates, counters."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Set, Tuple

from ..config.parser import Configuration, Line, Proxy, read

_COUNTS_TIMES = r"set-var\(proc\.evenkeel_slow_(\d{1,6})\)"
_BIND = r"(?:ipv[46]@)?(\*|[0-9.]*|\[?[0-9a-fA-F:.]*\]?):(\d{1,5})"
# The most servers that one template makes here.
_MOST_SLOTS = 65536
_WITH_CERTIFICATES = ("bind", "server", "default-server")


def text_of(path: str) -> str:
    """Give a file's bytes as text, one character for each byte."""
    with open(path, encoding="latin-1", newline="\n") as file:
        return file.read()


def configuration_of(path: str) -> Configuration:
    """Read a configuration. Raises OSError when there is none."""
    with open(path, "rb") as file:
        return read({"haproxy.cfg": file.read()})


def number_of(text: str) -> int:
    """Give a non-negative integer; 0 for anything else."""
    return int(text) if text.isdigit() else 0


def declared(configuration: Configuration) -> Dict[str, List[str]]:
    """Give {pool: [server, sorted]}.

    HAProxy has no counters for a section that is `disabled`, so it is left out.
    """
    pools: Dict[str, List[str]] = {}
    for back in configuration.backs:
        servers: List[str] = []
        for line in _own(back):
            if line.words[0] == "server" and len(line.words) > 1:
                servers.append(line.words[1])
            elif line.words[0] == "server-template":
                servers += _of_template(line.value(1), line.value(2))
            elif line.words[0] == "disabled":
                break
        else:
            pools[back.name] = sorted(servers)
    return pools


def _own(back: Proxy) -> Iterator[Line]:
    """Give the section's own lines, without the index that other readers build."""
    return (line for line in back.lines if not line.negated)


def _of_template(prefix: str, numbers: str) -> List[str]:
    first, _, last = numbers.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        return []
    start, end = (int(first), int(last)) if last else (1, int(first))
    return [f"{prefix}{number}" for number in range(start, min(end, start + _MOST_SLOTS - 1) + 1)]


def ports(configuration: Configuration) -> Dict[Tuple[str, str], int]:
    """Give {(pool, server): port} of the servers that name a port."""
    found: Dict[Tuple[str, str], int] = {}
    for back in configuration.backs:
        for line in _own(back):
            if line.words[0] == "server" and len(line.words) > 2:
                port = line.words[2].rpartition(":")[2]
                if port.isdigit():
                    found[back.name, line.words[1]] = int(port)
    return found


def counted(configuration: Configuration) -> Tuple[Set[str], Dict[str, str]]:
    """Give the pools that count clients, and {pool: number} of those that count times."""
    tables: Set[str] = set()
    timers: Dict[str, str] = {}
    for back in configuration.backs:
        for line in back.own("stick", "store-request"):
            if len(line.words) == 3 and line.words[2].endswith(",xxh32"):
                tables.add(back.name)
        for line in back.own("http-response"):
            times = re.fullmatch(_COUNTS_TIMES, line.value(1))
            if times:
                timers[back.name] = times.group(1)
    return tables, timers


def listeners(configuration: Configuration) -> Dict[str, List[Dict[str, Any]]]:
    """Give the plain addresses that each section `frontend` or `listen` binds, and how."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    for front in configuration.fronts:
        for line in front.own("bind"):
            for address, port in _addresses(line):
                bind = {
                    "address": address,
                    "port": port,
                    "tls": "ssl" in line.words,
                    "http": front.mode == "http",
                    "accept_proxy": "accept-proxy" in line.words,
                }
                found.setdefault(front.name, []).append(bind)
    return found


def binds(configuration: Configuration) -> List[Tuple[str, int]]:
    """Give the plain addresses and ports that the sections of a configuration bind."""
    lines = [line for line in _lines(configuration) if line.starts("bind")]
    plain = [line for line in lines if "transparent" not in line.words]
    return [place for line in plain for place in _addresses(line)]


def _addresses(bind: Line) -> Iterator[Tuple[str, int]]:
    for word in bind.value(1).split(","):
        found = re.fullmatch(_BIND, word)
        if found:
            yield found.group(1).strip("[]"), int(found.group(2))


def certificates(configuration: Configuration) -> List[str]:
    """Give the paths that `crt` names on bind and server lines, below `crt-base`."""
    base = configuration.setting("crt-base")
    folder = base.value(1) if base else ""
    return [
        os.path.join(folder, line.words[at + 1])
        for line in _lines(configuration)
        if line.words[0] in _WITH_CERTIFICATES
        for at, word in enumerate(line.words[:-1])
        if word == "crt"
    ]


def _lines(configuration: Configuration) -> Iterator[Line]:
    """Give the lines of every section; each line of `defaults` once."""
    seen: Set[Tuple[str, int]] = set()
    parts = [[*proxy.inherited, *proxy.lines] for proxy in configuration.proxies]
    for lines in [*parts, *(lines for _, _, lines in configuration.others)]:
        for line in lines:
            if (line.file, line.number) not in seen and not line.negated:
                seen.add((line.file, line.number))
                yield line
