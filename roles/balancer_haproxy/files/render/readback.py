"""Reads a printed configuration back and compares it with its intent.

This is the second lock against a value that becomes a line of its own. The first refuses characters
that end a line and quotes the rest; this one counts the lines that are there.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..config.words import SECTIONS, words

Section = Tuple[str, ...]


def readback(
    intent: Mapping[str, Any], printing: Mapping[str, Any], files: Mapping[str, str]
) -> List[str]:
    """Give each difference between the printed `files` and the intent.

    `printing` is the view that was printed. Compares, for each section, how many lines start with
    each directive, and the name and address of every server.
    """
    found: List[str] = []
    printed = _printed(files["haproxy.cfg"])
    wanted = _wanted(intent, printing)
    for section in sorted(set(printed) | set(wanted)):
        name = " ".join(section) or "before the first section"
        surplus = printed.get(section, Counter()) - wanted.get(section, Counter())
        missing = wanted.get(section, Counter()) - printed.get(section, Counter())
        found += [f"{name}: {count} times {what!r} too much" for what, count in surplus.items()]
        found += [f"{name}: {count} times {what!r} missing" for what, count in missing.items()]
        if section not in wanted:
            found.append(f"{name}: a section that the intent does not have")
    return found


def _printed(text: str) -> Dict[Section, Counter[str]]:
    current: Counter[str] = Counter()
    sections: Dict[Section, Counter[str]] = {(): current}
    for line in text.split("\n"):
        parts = words(line)
        if not parts:
            continue
        if parts[0] in SECTIONS:
            current = sections.setdefault(tuple(parts), Counter())
        elif parts[0] == "server":
            current[" ".join(parts[:3])] += 1
        else:
            current[parts[0]] += 1
    if not sections[()]:
        del sections[()]
    return sections


def _wanted(intent: Mapping[str, Any], printing: Mapping[str, Any]) -> Dict[Section, Counter[str]]:
    own = _directives(printing["global_extra"])
    own.update(["log", "log", "chroot", "user", "group", "maxconn", "hard-stop-after"])
    own.update(["server-state-file"])
    if printing["tls"]:
        own.update(["ssl-default-bind-options", "ssl-default-bind-ciphers"])
    defaults = _directives(printing["defaults_extra"])
    defaults.update(["log", "mode", "option", "option", "retries"])
    defaults.update(["load-server-state-from-file"])
    defaults["timeout"] += len(printing["timeouts"])
    sections: Dict[Section, Counter[str]] = {("global",): own, ("defaults",): defaults}
    for index, listener in enumerate(_by_name(intent["listeners"])):
        shown = printing["listeners"][index]
        counts = _directives([*shown["options"], *shown["extra"], *shown["rules"]])
        counts["mode"] += 1
        counts["bind"] += len(listener["binds"])
        counts["acl"] += len(shown["acls"])
        counts["use_backend"] += len(listener["routes"])
        counts["default_backend"] += listener["default_pool"] is not None
        sections[("frontend", listener["name"])] = +counts
    for index, pool in enumerate(_by_name(intent["pools"])):
        shown = printing["pools"][index]
        counts = _directives([*shown["balance"], *shown["options"], *shown["extra"]])
        counts["mode"] += 1
        for server in pool["servers"]:
            address = server["address"]
            endpoint = f"[{address}]" if ":" in address else address
            counts[f"server {server['name']} {endpoint}:{server['port']}"] += 1
        sections[("backend", pool["name"])] = counts
    return sections


def _by_name(parts: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    return sorted(parts, key=lambda part: str(part["name"]))


def _directives(lines: Sequence[str]) -> Counter[str]:
    return Counter(line.split(" ", 1)[0] for line in lines)
