"""Checks each line of a release before HAProxy reads it as root: see allowlist.py."""

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
_MOST_REFUSALS = 10


def forbidden(text: str) -> List[str]:
    """Give what a configuration must not hold, as `line N: what`, ten at most."""
    refusals: List[str] = []
    guard = _Guard()
    for number, line in enumerate(text.split("\n"), 1):
        refusal = guard.refusal(line)
        if refusal:
            refusals.append(f"line {number}: {refusal}")
            if len(refusals) >= _MOST_REFUSALS:
                return refusals
    missing = sorted(set(IDENTITY) - guard.identity)
    if missing and not refusals:
        lines = ", ".join(f"`{name} {IDENTITY[name]}`" for name in missing)
        refusals.append(f"the section global lacks {lines}: HAProxy would keep root's rights")
    return refusals


class _Guard:
    """Reads a configuration line by line. Its messages never quote other files."""

    def __init__(self) -> None:
        self.identity: Set[str] = set()
        self._section = ""
        self._bases: Set[str] = set()

    def refusal(self, line: str) -> str:
        """Say what is not allowed in the next line; empty when it is allowed."""
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
        """Check the words after an allowed directive."""
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

    def identity_refusal(self, directive: str, rest: List[str]) -> str:
        """`chroot`, `user`, `group` of the section global must be those of the distribution."""
        if self._section != "global":
            return ""
        self.identity.add(directive)
        wanted = IDENTITY[directive]
        return "" if rest == [wanted] else f"{directive} must be {wanted}"

    def base_refusal(self, directive: str, rest: List[str]) -> str:
        """After `ca-base` and `crt-base`, relative names are allowed."""
        self._bases.add(directive.split("-")[0])
        return _outside(directive, [f"{path}/" for path in rest[:1]], TLS_FILES)

    def tls_file_refusal(self, directive: str, rest: List[str]) -> str:
        """The only word of the directive is a file for TLS."""
        return _outside(directive, rest[:1], TLS_FILES)

    def variable_refusal(self, directive: str, rest: List[str]) -> str:
        """The master restarts with its environment, so LD_PRELOAD would run code."""
        if rest and re.fullmatch(_VARIABLE, rest[0]):
            return ""
        return f"{directive} is only allowed for EVENKEEL and EVENKEEL_*"

    def stats_refusal(self, _directive: str, rest: List[str]) -> str:
        """`stats socket` of the section global opens HAProxy's command line."""
        if self._section != "global":
            return ""
        if rest[:1] == ["socket"]:
            path = [word[5:] if word.startswith("unix@") else word for word in rest[1:2]]
            return _outside("stats socket", path, SOCKETS)
        return "" if rest[:1] in (["timeout"], ["maxconn"]) else "stats: not allowed in this form"

    def log_refusal(self, directive: str, rest: List[str]) -> str:
        """An address, a ring, or a socket that is for logs."""
        target = rest[0] if rest else ""
        if target in ("global", "stdout", "stderr", "") or target.startswith("ring@"):
            return ""
        path = target[5:] if target.startswith("unix@") else target
        if path.startswith(LOG_SOCKETS) and re.fullmatch(_PATH, path):
            return ""
        return "" if re.fullmatch(_ADDRESS, target) else f"{directive}: this target is not allowed"

    def bind_refusal(self, directive: str, rest: List[str]) -> str:
        """Root opens the socket, which replaces a file of that name."""
        return _listens(directive, rest[:1])

    def peer_refusal(self, _directive: str, rest: List[str]) -> str:
        """The line of the local peer opens a socket, and any line may be it."""
        return _listens("this address", rest[1:2]) if self._section == "peers" else ""

    def state_refusal(self, directive: str, rest: List[str]) -> str:
        """Only the file that the driver writes."""
        if directive == "server-state-file":
            return "" if rest == [STATE_FILE] else f"{directive} must be {STATE_FILE}"
        return "" if rest in (["global"], ["none"]) else f"{directive} must be global or none"

    def option_refusal(self, _directive: str, rest: List[str]) -> str:
        """`option external-check` starts a program."""
        return "option external-check is not allowed" if rest[:1] == ["external-check"] else ""

    def filter_refusal(self, _directive: str, rest: List[str]) -> str:
        """`spoe` and `opentracing` read a file of their own; other filters are unknown."""
        allowed = rest[:1] and rest[0] in FILTERS
        return "" if allowed else f"filter is only allowed for {', '.join(FILTERS)}"

    def page_refusal(self, directive: str, rest: List[str]) -> str:
        """`errorfile CODE FILE`."""
        return _outside(directive, rest[1:2], PAGES)

    def answer_refusal(self, directive: str, rest: List[str]) -> str:
        """`http-request return` and the like answer with a file."""
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
    "chroot": _Guard.identity_refusal,
    "user": _Guard.identity_refusal,
    "group": _Guard.identity_refusal,
    "ca-base": _Guard.base_refusal,
    "crt-base": _Guard.base_refusal,
    "issuers-chain-path": _Guard.tls_file_refusal,
    "ssl-dh-param-file": _Guard.tls_file_refusal,
    "setenv": _Guard.variable_refusal,
    "presetenv": _Guard.variable_refusal,
    "stats": _Guard.stats_refusal,
    "log": _Guard.log_refusal,
    "log-stderr": _Guard.log_refusal,
    "bind": _Guard.bind_refusal,
    "dgram-bind": _Guard.bind_refusal,
    "peer": _Guard.peer_refusal,
    "server": _Guard.peer_refusal,
    "server-state-file": _Guard.state_refusal,
    "load-server-state-from-file": _Guard.state_refusal,
    "option": _Guard.option_refusal,
    "filter": _Guard.filter_refusal,
    "errorfile": _Guard.page_refusal,
    "http-error": _Guard.answer_refusal,
    "http-request": _Guard.answer_refusal,
    "http-response": _Guard.answer_refusal,
    "http-after-response": _Guard.answer_refusal,
}


def _patterns_at(rest: List[str]) -> int:
    """Give where an acl's plain patterns begin: after `--` with only flags before it."""
    at = 2
    while at < len(rest):
        if rest[at] == "--":
            return at + 1
        if rest[at] not in ("-i", "-n", "-M", "-m", "-u", "-f"):
            break
        at += 2 if rest[at] in ("-m", "-u", "-f") else 1
    return len(rest)


def _outside(what: str, path: List[str], folders: Tuple[str, ...]) -> str:
    """Give a message when `path` (one word, or none) is not below one of `folders`."""
    inside = (
        path and re.fullmatch(_PATH, path[0].rstrip("/") or "-") and path[0].startswith(folders)
    )
    return "" if inside else f"{what} is only allowed for a file below {' or '.join(folders)}"


def _calls(word: str) -> str:
    """Check the file names in the converters and actions of a word."""
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
