"""How the driver reads a configuration of HAProxy: words, pools, listeners, who is counted."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterable, List, Set, Tuple

_COUNTS_CLIENTS = r"\s+stick store-request \S+,xxh32\s*"
_COUNTS_TIMES = r"\s+http-response set-var\(proc\.evenkeel_slow_(\d{1,6})\) .*"
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_BIND = r"(?:ipv[46]@)?(\*|[0-9.]*|\[?[0-9a-fA-F:.]*\]?):(\d{1,5})"

SECTIONS = frozenset(
    (
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "userlist",
        "peers",
        "resolvers",
        "mailers",
        "ring",
        "log-forward",
        "log-profile",
        "cache",
        "program",
        "http-errors",
        "fcgi-app",
        "crt-store",
        "traces",
        "acme",
    )
)


def text_of(path: str) -> str:
    """Give a file's bytes as text, one character for each byte."""
    with open(path, encoding="latin-1", newline="\n") as file:
        return file.read()


def number_of(text: str) -> int:
    """Give a whole number; 0 for anything else."""
    return int(text) if text.isdigit() else 0


def words(line: str) -> List[str]:
    """Give the words of a line as HAProxy reads them (configuration.txt, 2.2).

    Raises ValueError for a quote that is not closed, and for a variable of the environment.
    """
    if line.isascii() and not any(letter in line for letter in "'\"\\#"):
        return line.split()
    result: List[str] = []
    word, started, quote, at = "", False, "", 0
    while at < len(line):
        letter = line[at]
        at += 1
        if quote and letter == quote:
            quote = ""
        elif quote == "'":
            word += letter
        elif letter == "\\":
            part, at = _escape(line, at, quote)
            word, started = word + part, True
        elif quote:
            if letter == "$":
                raise ValueError("a variable of the environment")
            word += letter
        elif letter in "'\"":
            quote, started = letter, True
        elif letter == "#":
            break
        elif letter in " \t":
            if started:
                result.append(word)
            word, started = "", False
        else:
            word, started = word + letter, True
    if quote:
        raise ValueError("a quote that is not closed")
    return [*result, word] if started else result


def _escape(line: str, at: int, quote: str) -> Tuple[str, int]:
    """Give what the backslash before `at` stands for, and where the line goes on."""
    letter = line[at : at + 1]
    if letter == "x":
        digits = line[at + 1 : at + 3]
        if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
            raise ValueError("an escape that is not complete")
        if digits == "00":
            # HAProxy's words end there, ours would not.
            raise ValueError("a zero byte")
        return chr(int(digits, 16)), at + 3
    if letter and letter in " \\#'\"nrt" + ("$" if quote else ""):
        return _ESCAPED.get(letter, letter), at + 1
    return "\\", at


def declared(lines: Any) -> Dict[str, List[str]]:
    """Give {pool: [server, sorted]} that the lines of a configuration declare.

    A section that says `disabled` has no counters and is left out, as HAProxy itself does.
    """
    pools: Dict[str, List[str]] = {}
    disabled = set()
    pool = ""
    for line in lines:
        words = line.split(None, 3)
        if not words or words[0].startswith("#"):
            continue
        if words[0] in SECTIONS:
            pool = words[1] if words[0] in ("backend", "listen") and len(words) > 1 else ""
            if pool:
                pools.setdefault(pool, [])
        elif pool and words[0] == "server" and len(words) > 1:
            pools[pool].append(words[1])
        elif pool and words[0] == "server-template" and len(words) > 2:
            pools[pool] += _template(words[1], words[2])
        elif pool and words[0] == "disabled":
            disabled.add(pool)
    return {name: sorted(found) for name, found in pools.items() if name not in disabled}


def _template(prefix: str, numbers: str) -> List[str]:
    first, _, last = numbers.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        return []
    start, end = (int(first), int(last)) if last else (1, int(first))
    return [f"{prefix}{number}" for number in range(start, min(end, start + 65535) + 1)]


def ports(lines: Iterable[str]) -> Dict[Tuple[str, str], int]:
    """Give the port of each server of the sections `backend` and `listen` that names one."""
    found: Dict[Tuple[str, str], int] = {}
    pool = ""
    for line in lines:
        words = line.split(None, 4)
        if words and words[0] in SECTIONS:
            pool = words[1] if words[0] in ("backend", "listen") and len(words) > 1 else ""
        elif pool and len(words) > 2 and words[0] == "server":
            port = words[2].rpartition(":")[2]
            if port.isdigit():
                found[pool, words[1]] = int(port)
    return found


def counted(lines: Iterable[str]) -> Tuple[Set[str], Dict[str, str]]:
    """Give the pools whose lines count clients, and {pool: number} of those that count times."""
    tables: Set[str] = set()
    timers: Dict[str, str] = {}
    pool = ""
    for line in lines:
        found = line.split(None, 2)
        if found and found[0] in SECTIONS:
            pool = found[1] if found[0] in ("backend", "listen") and len(found) > 1 else ""
        elif pool and re.fullmatch(_COUNTS_CLIENTS, line):
            tables.add(pool)
        elif pool:
            times = re.fullmatch(_COUNTS_TIMES, line)
            if times:
                timers[pool] = times.group(1)
    return tables, timers


def listeners(lines: Iterable[str]) -> Dict[str, List[Dict[str, Any]]]:
    """Give the plain addresses that each section `frontend` or `listen` binds, and how."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    name, section, default, mode = "", "", "tcp", ""
    for line in lines:
        parts = line.split()
        if parts and parts[0] in SECTIONS:
            name = parts[1] if parts[0] in ("frontend", "listen") and len(parts) > 1 else ""
            section, mode = parts[0], default
        elif len(parts) > 1 and parts[0] == "mode":
            mode = parts[1]
            default = mode if section == "defaults" else default
            for one in found.get(name, ()):
                one["http"] = mode == "http"
        elif name and len(parts) > 1 and parts[0] == "bind":
            for word in parts[1].split(","):
                at = re.fullmatch(_BIND, word)
                if at:
                    found.setdefault(name, []).append(
                        {
                            "address": at.group(1).strip("[]"),
                            "port": int(at.group(2)),
                            "tls": "ssl" in parts,
                            "http": mode == "http",
                            "accept_proxy": "accept-proxy" in parts,
                        }
                    )
    return found


def binds(path: str) -> List[Tuple[str, int]]:
    """Give the plain addresses and ports that the sections of a configuration bind."""
    found: List[Tuple[str, int]] = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split(None, 2)
            if len(words) > 1 and words[0] == "bind" and "transparent" not in line:
                matches = (re.fullmatch(_BIND, word) for word in words[1].split(","))
                found += [(m.group(1).strip("[]"), int(m.group(2))) for m in matches if m]
    return found


def certificates(text: str) -> List[str]:
    """Give what `crt` names on the lines bind and server, with `crt-base` before it."""
    base, found = "", []
    for line in text.splitlines():
        parts = line.split()
        if parts[:1] == ["crt-base"] and len(parts) > 1:
            base = parts[1]
        elif parts[:1] in (["bind"], ["server"], ["default-server"]):
            places = [at + 1 for at, word in enumerate(parts[:-1]) if word == "crt"]
            found += [parts[at] for at in places]
    return [os.path.join(base, path.strip("'\"")) for path in found]
