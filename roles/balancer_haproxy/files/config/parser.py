"""Reads files as HAProxy does: sections, what they inherit, servers with their options.

It reads any file: one that our template printed, or one that an operator wrote. It skips a line
that HAProxy refuses (a quote that is not closed), since the balancer's own check reports it. Lines
between `.if` and `.endif` count as there.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .values import milliseconds, number
from .words import SECTIONS, words_and_disguise

FRONT, BACK, BOTH = "frontend", "backend", "listen"
# Options of a server that take a value (configuration.txt, 5.2).
_VALUED_WORDS = """
    addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni
    ciphers ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall
    fastinter fullconn guid hash-key id init-addr inter log-bufsize log-proto max-reuse maxconn
    maxqueue minconn namespace npn observe on-error on-marked-down on-marked-up pool-conn-name
    pool-low-conn pool-max-conn pool-purge-delay port proto proxy-v2-options redir resolve-net
    resolve-opts resolve-prefer resolvers rise shard sigalgs slowstart sni socks4 source
    ssl-max-ver ssl-min-ver tcp-ut track usesrc verify verifyhost weight ws
"""
_VALUED = frozenset(_VALUED_WORDS.split())


class Line(NamedTuple):
    """One line of a file. The `words` of a negated line begin after `no`."""

    file: str
    number: int
    words: Tuple[str, ...]
    negated: bool = False

    def starts(self, *first: str) -> bool:
        """Whether the line begins with these words."""
        return self.words[: len(first)] == first

    def value(self, position: int, default: str = "") -> str:
        """Give one word of the line, or `default` where the line is shorter."""
        return self.words[position] if position < len(self.words) else default

    def after(self, word: str) -> Optional[str]:
        """Give the word that follows `word`, or None."""
        rest = self.words[:-1]
        return self.words[rest.index(word) + 1] if word in rest else None


class Server(NamedTuple):
    """One server, or a template of several (`slots`), with the options of default-server."""

    name: str
    address: str
    options: Mapping[str, str]
    line: Line
    slots: int = 1
    low: int = 1

    @property
    def first(self) -> str:
        """Give its name in the process; for a template, the name of its first server."""
        is_template = self.line.starts("server-template")
        return f"{self.name}{self.low}" if is_template else self.name

    def has(self, option: str) -> bool:
        """Whether the server's line or default-server has the option."""
        return option in self.options

    def number(self, option: str) -> Optional[int]:
        """Give an option's number; None without the option or without a number."""
        return number(self.options.get(option, ""))

    def time(self, option: str) -> Optional[float]:
        """Give an option's time in milliseconds."""
        return milliseconds(self.options.get(option, ""))


class Proxy:
    """A frontend, a backend or both, with the lines that it inherits."""

    def __init__(self, kind: str, name: str, line: Line, inherited: Sequence[Line]) -> None:
        self.kind, self.name, self.line = kind, name, line
        self.inherited = list(inherited)
        self.lines: List[Line] = []
        self._servers: Optional[List[Server]] = None
        self._by_word: Tuple[int, Dict[str, List[Tuple[int, Line]]]] = (-1, {})

    @property
    def is_front(self) -> bool:
        """Whether clients arrive here."""
        return self.kind in (FRONT, BOTH)

    @property
    def is_back(self) -> bool:
        """Whether it has servers."""
        return self.kind in (BACK, BOTH)

    def own(self, *first: str) -> List[Line]:
        """Give the section's own lines that begin with these words and are not negated."""
        inherited = len(self.inherited)
        lines = self._of(first[0])
        return [one for at, one in lines if at >= inherited and _is(one, first)]

    def all(self, *first: str) -> List[Line]:
        """Give the lines that begin with these words, the inherited ones first."""
        return [line for _, line in self._of(first[0]) if _is(line, first)]

    def last(self, *first: str) -> Optional[Line]:
        """Give the last line that begins with these words; None where `no` takes it back."""
        found = None
        for _, line in self._of(first[0]):
            if line.starts(*first):
                found = None if line.negated else line
        return found

    def _of(self, word: str) -> List[Tuple[int, Line]]:
        """Give (place, line) of each line that begins with a word, the inherited ones first."""
        count, found = self._by_word
        if count != len(self.lines):
            found = {}
            for at, line in enumerate([*self.inherited, *self.lines]):
                found.setdefault(line.words[0], []).append((at, line))
            self._by_word = (len(self.lines), found)
        return found.get(word, [])

    @property
    def mode(self) -> str:
        """Give tcp or http; the default is tcp."""
        line = self.last("mode")
        return line.value(1) if line else "tcp"

    @property
    def servers(self) -> List[Server]:
        """Give the servers with all of their options."""
        if self._servers is None:
            self._servers = list(_servers([*self.inherited, *self.lines]))
        return self._servers


class Configuration:
    """The files of one release."""

    def __init__(self) -> None:
        self.process: List[Line] = []
        self.proxies: List[Proxy] = []
        self.others: List[Tuple[str, Line, List[Line]]] = []
        self.data: Dict[str, str] = {}
        # Lines that HAProxy reads otherwise than a person, and how.
        self.disguised: List[Tuple[Line, str]] = []
        self._by_name: Dict[Tuple[str, str], Proxy] = {}

    @property
    def fronts(self) -> List[Proxy]:
        """Give every frontend and listen section."""
        return [proxy for proxy in self.proxies if proxy.kind != BACK]

    @property
    def backs(self) -> List[Proxy]:
        """Give every backend and listen section."""
        return [proxy for proxy in self.proxies if proxy.kind != FRONT]

    def front(self, name: str) -> Optional[Proxy]:
        """Give the frontend or listen section of this name."""
        return self._by_name.get((FRONT, name)) or self._by_name.get((BOTH, name))

    def back(self, name: str) -> Optional[Proxy]:
        """Give the backend or listen section of this name."""
        return self._by_name.get((BACK, name)) or self._by_name.get((BOTH, name))

    def add(self, proxy: Proxy) -> None:
        """Add a section."""
        self.proxies.append(proxy)
        self._by_name.setdefault((proxy.kind, proxy.name), proxy)

    def also(self, kind: str, name: str, proxy: Proxy) -> None:
        """Let a section be found under one more name."""
        self._by_name.setdefault((kind, name), proxy)

    def setting(self, *first: str) -> Optional[Line]:
        """Give the last line of `global` that begins with these words."""
        found = None
        for line in self.process:
            if line.starts(*first):
                found = None if line.negated else line
        return found


def read(files: Mapping[str, Any]) -> Configuration:
    """Read the files of a release (name to text or bytes).

    Files whose names end with .cfg are read in the order of their names; a single file is read
    whatever its name. The others (maps, lists) are kept as they are.
    """
    result = Configuration()
    reader = _Reader(result)
    for name, content in sorted(files.items()):
        data = content.encode("utf-8", "replace") if isinstance(content, str) else bytes(content)
        if name.endswith(".cfg") or len(files) == 1:
            # HAProxy reads bytes: one character each.
            for count, line in enumerate(data.decode("latin-1").split("\n"), 1):
                reader.add(name, count, line)
        else:
            result.data[name] = data.decode("utf-8", "replace")
    return result


class _Reader:
    """Puts each line into the section that it belongs to."""

    def __init__(self, result: Configuration) -> None:
        self.result = result
        self.named: Dict[str, List[Line]] = {}
        self.latest: List[Line] = []
        self.current: List[Line] = []

    def add(self, file: str, count: int, text: str) -> None:
        """Add one line to its section."""
        try:
            parts, hidden = words_and_disguise(text)
        except ValueError:
            return
        if not text.isascii() or "\\x" in text:
            parts = [part.encode("latin-1").decode("utf-8", "replace") for part in parts]
        if hidden:
            self.result.disguised.append((Line(file, count, tuple(parts)), hidden))
        # An empty first word makes HAProxy skip the line.
        if not parts or not parts[0] or parts[0].startswith("."):
            return
        if parts[0] in SECTIONS:
            self._open(Line(file, count, tuple(parts)))
            return
        negated = parts[0] == "no" and len(parts) > 1
        parts = parts[1:] if negated or (parts[0] == "default" and len(parts) > 1) else parts
        self.current.append(Line(file, count, tuple(parts), negated))

    def _open(self, line: Line) -> None:
        kind, name = line.words[0], line.value(1)
        base = line.after("from")
        inherited = self.named.get(base, []) if base else self.latest
        if kind == "global":
            self.current = self.result.process
        elif kind == "defaults":
            self.current = list(self.named.get(base, [])) if base else []
            self.latest = self.current
            if name and name != "from":
                self.named[name] = self.current
        elif kind in (FRONT, BACK, BOTH):
            proxy = Proxy(kind, name, line, inherited)
            self.result.add(proxy)
            self.current = proxy.lines
        else:
            self.current = []
            self.result.others.append((kind, line, self.current))


def _servers(lines: Sequence[Line]) -> Iterator[Server]:
    """Give the servers. A default-server line counts for the servers after it."""
    defaults: Dict[str, str] = {}
    for line in lines:
        if line.starts("default-server"):
            defaults = _options(line.words[1:], defaults)
        elif line.starts("server") and len(line.words) > 2:
            own = _options(line.words[3:], defaults)
            yield Server(line.words[1], line.words[2], own, line)
        elif line.starts("server-template") and len(line.words) > 3:
            own = _options(line.words[4:], defaults)
            slots = _slots(line.words[2])
            low = number(line.words[2].partition("-")[0]) if "-" in line.words[2] else 1
            yield Server(line.words[1], line.words[3], own, line, slots, low or 0)


def _options(parts: Sequence[str], defaults: Mapping[str, str]) -> Dict[str, str]:
    """Give a server's options by name, its own after those of default-server."""
    found = dict(defaults)
    at = 0
    while at < len(parts):
        word = parts[at]
        at += 1
        if word.startswith("no-"):
            found.pop(word[3:], None)
        elif word == "enabled":
            found.pop("disabled", None)
        elif word in _VALUED and at < len(parts):
            found[word] = parts[at]
            at += 1
        else:
            found[word] = ""
    return found


def _slots(text: str) -> int:
    """Give how many servers `<num>` or `<low>-<high>` of a server-template makes."""
    low, _, high = text.partition("-")
    first, last = number(low), number(high)
    if first is None:
        return 1
    return first if last is None else max(0, last - first + 1)


def _is(line: Line, first: Sequence[str]) -> bool:
    return not line.negated and line.words[: len(first)] == tuple(first)
