"""Looks at each line of a release before HAProxy reads it as root: see driver/allowlist.py."""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Set, Tuple

from ..config.words import SECTIONS, disguise, tokens
from .allowlist import (
    ALLOWED,
    ANSWERS,
    FILE_WORDS,
    FILTERS,
    IDENTITY,
    LISTS,
    LOG_SOCKETS,
    PAGES,
    PLACES,
    SOCKETS,
    TLS_FILES,
)
from .server_state import STATE_FILE

_CALL = r"(?:\bmap(?:_\w+)?|\b(?:add|del)-acl|\bjwt_verify|\benv)\("
_PATH = r"(?:/[A-Za-z0-9_@+*-][A-Za-z0-9_.@+*-]*)+/?"
_RELATIVE = r"@?[A-Za-z0-9_][A-Za-z0-9_.@+*-]*(?:/[A-Za-z0-9_@+*-][A-Za-z0-9_.@+*-]*)*"
_ADDRESS = r"(?:(?:ipv[46]|udp[46]?|quic[46]|abns)@)?[A-Za-z0-9_.:*%\[\]-]*"
_VARIABLE = r"EVENKEEL(?:_[A-Z0-9_]*)?"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f]"
_MOST_FAULTS = 10


def forbidden(text: str) -> List[str]:
    """Give what a configuration holds that is not allowed, as `line N: what`."""
    faults: List[str] = []
    guard = _Guard()
    for number, line in enumerate(text.split("\n"), 1):
        fault = guard.fault(line)
        if fault:
            faults.append(f"line {number}: {fault}")
            if len(faults) >= _MOST_FAULTS:
                return faults
    missing = sorted(set(IDENTITY) - guard.identity)
    if missing and not faults:
        lines = ", ".join(f"`{name} {IDENTITY[name]}`" for name in missing)
        faults.append(f"the section global lacks {lines}: HAProxy would keep root's rights")
    return faults


class _Guard:
    """Reads a configuration line by line. What it says of a line never holds other files' text."""

    def __init__(self) -> None:
        self.identity: Set[str] = set()
        self._section = ""
        self._bases: Set[str] = set()

    def fault(self, line: str) -> str:
        """Say what is not allowed about the next line; empty when nothing is."""
        if re.search(_CONTROL, line):
            return "a control character is not allowed"
        try:
            read = tokens(line)
        except ValueError as error:
            return f"{error} is not allowed"
        if not read:
            return ""
        if any(word.has_variable for word in read):
            return "a variable of the environment is not allowed"
        found = [word.text for word in read]
        prefixed = found[0] in ("no", "default") and len(found) > 1
        if any(word.text != word.written for word in read[: 2 if prefixed else 1]):
            return "a directive that is quoted or escaped is not allowed"
        hidden = disguise(read)
        if hidden:
            return f"{hidden} is not allowed" if hidden[0] == "a" else f"{hidden} are not allowed"
        if found[0] in SECTIONS:
            return self._open(found[0])
        directive, rest = (found[1], found[2:]) if prefixed else (found[0], found[1:])
        if directive not in ALLOWED.get(self._section, ()) and not (
            self._section == "global" and directive.startswith("tune.")
        ):
            where = f"in the section {self._section}" if self._section else "before any section"
            return f"{_shown(directive)} is not allowed {where}"
        return self._about(directive, rest)

    def _open(self, section: str) -> str:
        self._section = section
        return "" if section in ALLOWED else f"a section {section} is not allowed"

    def _about(self, directive: str, rest: List[str]) -> str:
        """Look at what follows a directive that is allowed."""
        own = _RULES.get(directive)
        said = own(self, directive, rest) if own else ""
        if not said and directive in PLACES:
            said = self._files(rest)
        patterns = _patterns_at(rest) if directive == "acl" else len(rest)
        for at, word in enumerate(rest[:patterns]):
            if said:
                break
            if word == "-f":
                said = _outside("-f", rest[at + 1 : at + 2], LISTS)
            elif "(" in word:
                said = _calls(word)
        return said

    def _files(self, rest: List[str]) -> str:
        for at, word in enumerate(rest):
            if word == "namespace" and "/" in "".join(rest[at + 1 : at + 2]):
                return "namespace is only allowed for a plain name"
            folders = FILE_WORDS.get(word)
            if folders is None:
                continue
            based = folders is TLS_FILES and ("ca" if word[:2] == "ca" else "crt") in self._bases
            path = rest[at + 1 : at + 2]
            if path and path[0] == "@system-ca":
                continue
            if not (based and path and re.fullmatch(_RELATIVE, path[0])):
                said = _outside(word, path, folders)
                if said:
                    return said
        return ""

    def identity_fault(self, directive: str, rest: List[str]) -> str:
        """`chroot`, `user`, `group`: of the section global as the distribution has them."""
        if self._section != "global":
            return ""
        self.identity.add(directive)
        wanted = IDENTITY[directive]
        return "" if rest == [wanted] else f"{directive} must be {wanted}"

    def base_fault(self, directive: str, rest: List[str]) -> str:
        """`ca-base`, `crt-base`: from here on, names relative to them."""
        self._bases.add(directive.split("-")[0])
        return _outside(directive, [f"{path}/" for path in rest[:1]], TLS_FILES)

    def tls_file_fault(self, directive: str, rest: List[str]) -> str:
        """A directive whose only word is a file of TLS."""
        return _outside(directive, rest[:1], TLS_FILES)

    def variable_fault(self, directive: str, rest: List[str]) -> str:
        """HAProxy's master starts itself anew with its environment: LD_PRELOAD would be code."""
        if rest and re.fullmatch(_VARIABLE, rest[0]):
            return ""
        return f"{directive} is only allowed for EVENKEEL and EVENKEEL_*"

    def stats_fault(self, _directive: str, rest: List[str]) -> str:
        """`stats socket` of the section global opens HAProxy's own command line."""
        if self._section != "global":
            return ""
        if rest[:1] == ["socket"]:
            path = [word[5:] if word.startswith("unix@") else word for word in rest[1:2]]
            return _outside("stats socket", path, SOCKETS)
        return "" if rest[:1] in (["timeout"], ["maxconn"]) else "stats: not allowed in this form"

    def log_fault(self, directive: str, rest: List[str]) -> str:
        """An address, a ring, or a socket that is for logs."""
        target = rest[0] if rest else ""
        if target in ("global", "stdout", "stderr", "") or target.startswith("ring@"):
            return ""
        path = target[5:] if target.startswith("unix@") else target
        if path.startswith(LOG_SOCKETS) and re.fullmatch(_PATH, path):
            return ""
        return "" if re.fullmatch(_ADDRESS, target) else f"{directive}: this target is not allowed"

    def bind_fault(self, directive: str, rest: List[str]) -> str:
        """A socket that is opened by root replaces the file of its name."""
        return _listens(directive, rest[:1])

    def peer_fault(self, _directive: str, rest: List[str]) -> str:
        """The line of the local peer opens a socket, whichever it is."""
        return _listens("this address", rest[1:2]) if self._section == "peers" else ""

    def state_fault(self, directive: str, rest: List[str]) -> str:
        """The one file that the driver writes; any other could be anything."""
        if directive == "server-state-file":
            return "" if rest == [STATE_FILE] else f"{directive} must be {STATE_FILE}"
        return "" if rest in (["global"], ["none"]) else f"{directive} must be global or none"

    def option_fault(self, _directive: str, rest: List[str]) -> str:
        """`option external-check` starts a program."""
        return "option external-check is not allowed" if rest[:1] == ["external-check"] else ""

    def filter_fault(self, _directive: str, rest: List[str]) -> str:
        """`spoe` and `opentracing` read a file of their own; others are not known."""
        allowed = rest[:1] and rest[0] in FILTERS
        return "" if allowed else f"filter is only allowed for {', '.join(FILTERS)}"

    def page_fault(self, directive: str, rest: List[str]) -> str:
        """`errorfile CODE FILE`."""
        return _outside(directive, rest[1:2], PAGES)

    def answer_fault(self, directive: str, rest: List[str]) -> str:
        """`http-request return` and its like answer with a file's content."""
        if directive != "http-error" and rest[:1] not in (["return"], ["deny"], ["tarpit"]):
            return ""
        for at, word in enumerate(rest):
            if word in ANSWERS:
                said = _outside(f"{directive} ... {word}", rest[at + 1 : at + 2], PAGES)
                if said:
                    return said
        return ""


_Rule = Callable[[_Guard, str, List[str]], str]
_RULES: Dict[str, _Rule] = {
    "chroot": _Guard.identity_fault,
    "user": _Guard.identity_fault,
    "group": _Guard.identity_fault,
    "ca-base": _Guard.base_fault,
    "crt-base": _Guard.base_fault,
    "issuers-chain-path": _Guard.tls_file_fault,
    "ssl-dh-param-file": _Guard.tls_file_fault,
    "setenv": _Guard.variable_fault,
    "presetenv": _Guard.variable_fault,
    "stats": _Guard.stats_fault,
    "log": _Guard.log_fault,
    "log-stderr": _Guard.log_fault,
    "bind": _Guard.bind_fault,
    "dgram-bind": _Guard.bind_fault,
    "peer": _Guard.peer_fault,
    "server": _Guard.peer_fault,
    "server-state-file": _Guard.state_fault,
    "load-server-state-from-file": _Guard.state_fault,
    "option": _Guard.option_fault,
    "filter": _Guard.filter_fault,
    "errorfile": _Guard.page_fault,
    "http-error": _Guard.answer_fault,
    "http-request": _Guard.answer_fault,
    "http-response": _Guard.answer_fault,
    "http-after-response": _Guard.answer_fault,
}


def _patterns_at(rest: List[str]) -> int:
    """Give where an acl's plain patterns begin: after `--`, when only flags stand before it."""
    at = 2
    while at < len(rest):
        if rest[at] == "--":
            return at + 1
        if rest[at] not in ("-i", "-n", "-M", "-m", "-u", "-f"):
            break
        at += 2 if rest[at] in ("-m", "-u", "-f") else 1
    return len(rest)


def _outside(what: str, path: List[str], folders: Tuple[str, ...]) -> str:
    """Say so when `path` (one word, or none) does not lie below one of `folders`."""
    inside = (
        path and re.fullmatch(_PATH, path[0].rstrip("/") or "-") and path[0].startswith(folders)
    )
    return "" if inside else f"{what} is only allowed for a file below {' or '.join(folders)}"


def _calls(word: str) -> str:
    """Look at the converters and actions of a word that are given the name of a file."""
    for call in re.finditer(_CALL, word):
        name = call.group()[:-1]
        argument = re.split(r"[,)]", word[call.end() :])[0]
        if name == "env":
            if not re.fullmatch(_VARIABLE, argument):
                return "env() is only allowed for EVENKEEL and EVENKEEL_*"
        elif name == "jwt_verify":
            key = word[call.end() :].partition(",")[2].partition(")")[0]
            said = _outside("jwt_verify()", [key], TLS_FILES) if "/" in key else ""
            if said:
                return said
        else:
            said = _outside(f"{name}()", [argument], LISTS)
            if said:
                return said
    return ""


def _listens(directive: str, addresses: List[str]) -> str:
    for address in addresses[0].split(",") if addresses else ():
        path = address[5:] if address.startswith("unix@") else address
        if path.startswith("/"):
            said = _outside(directive, [path], SOCKETS)
            if said:
                return said
        elif not re.fullmatch(_ADDRESS, address):
            return f"{directive}: this address is not allowed"
    return ""


def _shown(directive: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in directive[:40])
