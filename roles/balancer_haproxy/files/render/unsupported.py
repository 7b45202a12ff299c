"""What HAProxy 2.6 cannot do of an intent, and the lines that `extra` must not have."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Sequence

from evenkeel.balancer.types import Unsupported

from ..config.words import SECTIONS, words

# `balance roundrobin` takes 4095 active servers by design (configuration.txt, "balance").
_LARGEST_ROUND_ROBIN = 4095
_LARGEST_WEIGHT = 256
_DIRECTIVE = re.compile(r"[a-z][a-z0-9_.-]*")
# The intent has keys for these; a second value would contradict it.
_OWN_WORDS = """
    server server-template default-server bind use_backend default_backend use-server balance
    hash-type mode dispatch id disabled enabled
"""
_OWN = frozenset(_OWN_WORDS.split())
# First words that no line may have, and why.
_FORBIDDEN = frozenset(
    [
        ("lua-load", "it runs a program inside the balancer"),
        ("lua-load-per-thread", "it runs a program inside the balancer"),
        ("lua-prepend-path", "it runs a program inside the balancer"),
        ("external-check", "it lets the balancer start programs"),
        ("option external-check", "it lets the balancer start programs"),
        ("insecure-fork-wanted", "it lets the balancer start programs"),
        ("insecure-setuid-wanted", "it lets the balancer become another user"),
        ("user", "it decides as whom the balancer runs"),
        ("uid", "it decides as whom the balancer runs"),
        ("group", "it decides as whom the balancer runs"),
        ("gid", "it decides as whom the balancer runs"),
        ("chroot", "it decides what the balancer can see"),
        ("setenv", "the file would mean something else than it says"),
        ("presetenv", "the file would mean something else than it says"),
        ("resetenv", "the file would mean something else than it says"),
        ("unsetenv", "the file would mean something else than it says"),
        ("stats socket", "through it servers can be changed past every change"),
        ("server-state-base", "servers would start in a state that no change holds"),
        ("server-state-file", "servers would start in a state that no change holds"),
        ("server-state-file-name", "servers would start in a state that no change holds"),
        ("load-server-state-from-file", "servers would start in a state that no change holds"),
    ]
)
# HAProxy expands `$NAME` in double quotes (configuration.txt, 2.3).
_EXPANDED = re.compile(r"\$\{|\".*\$[A-Za-z_]")
# Rules that answer could hand out any file that HAProxy reads.
_ANSWERS = frozenset(["return", "deny", "tarpit"])
_ANSWERING = frozenset(["http-request", "http-response", "http-after-response"])
_ERROR_FILES = "/etc/haproxy/"


def is_large(pool: Mapping[str, Any]) -> bool:
    """Whether a pool has more servers than `balance roundrobin` can take."""
    kind = pool["algorithm"]["kind"]
    return bool(kind == "round_robin" and len(pool["servers"]) > _LARGEST_ROUND_ROBIN)


def unsupported(intent: Mapping[str, Any]) -> List[Unsupported]:
    """Give what HAProxy 2.6 cannot do of a normalised `intent`: path, wanted and got of each."""
    found: List[Unsupported] = []
    for section in ("global", "defaults"):
        found += _of_extra(intent["extra"][section], "intent.extra." + section)
    for index, listener in enumerate(intent["listeners"]):
        found += _of_extra(listener["extra"], f"intent.listeners[{index}].extra")
    for index, pool in enumerate(intent["pools"]):
        path = f"intent.pools[{index}]"
        found += _of_extra(pool["extra"], path + ".extra")
        found += _of_pool(pool, path)
    return found


def _unmet(path: str, wanted: str, got: str) -> Unsupported:
    return {"path": path, "wanted": wanted, "got": got}


def _of_extra(lines: Sequence[str], path: str) -> List[Unsupported]:
    found = []
    for index, line in enumerate(lines):
        at = f"{path}[{index}]"
        first = line.split(" ", 1)[0]
        if not _DIRECTIVE.fullmatch(first):
            found.append(_unmet(at, "a line that starts with a plain directive", repr(first)[:80]))
        elif first in SECTIONS:
            found.append(_unmet(at, "a line that opens no section", repr(first)))
        elif first in _OWN:
            found.append(_unmet(at, "what the intent has no key for", repr(first)))
        elif _EXPANDED.search(line):
            found.append(_unmet(at, "a line that says itself what it means", "an expansion by $"))
        else:
            try:
                found += _forbidden(words(line), at)
            except ValueError as error:
                found.append(_unmet(at, "a line that HAProxy can read", str(error)))
    return found


def _forbidden(line: Sequence[str], at: str) -> List[Unsupported]:
    """Give what a line does that no line may do."""
    # Skip the modifier.
    line = line[1:] if line[0] in ("no", "default") else line
    shown = repr(" ".join(line))[:80]
    for first, why in sorted(_FORBIDDEN):
        if " ".join(line[: len(first.split())]) == first:
            return [_unmet(at, f"no {first}: {why}", shown)]
    answer = _answer(line)
    if {"file", "lf-file"} & set(answer):
        return [_unmet(at, "an answer that is no file of the host", shown)]
    places = [index + 1 for index, word in enumerate(answer[:-1]) if word == "errorfile"]
    files = [answer[place] for place in places]
    files += line[2:3] if line[:1] == ["errorfile"] else []
    if any(not path.startswith(_ERROR_FILES) or ".." in path.split("/") for path in files):
        return [_unmet(at, f"an error file under {_ERROR_FILES}", shown)]
    return []


def _answer(line: Sequence[str]) -> Sequence[str]:
    """Give the words of a rule that answers a request, without its condition."""
    rule = list(line[:2])
    if rule[:1] != ["http-error"] and not (
        len(rule) == 2 and rule[0] in _ANSWERING and rule[1] in _ANSWERS
    ):
        return []
    places = [index for index, word in enumerate(line) if word in ("if", "unless")]
    return line[: places[0]] if places else line


def _of_pool(pool: Mapping[str, Any], path: str) -> List[Unsupported]:
    found = []
    algorithm = pool["algorithm"]
    static = algorithm["kind"] == "hash" and not algorithm["consistent"]
    if is_large(pool):
        # `static-rr` rebuilds its map of weights at every change of state.
        # Equal weights keep it small.
        static = True
        if len({server["weight"] for server in pool["servers"]}) > 1:
            wanted = f"equal weights with round_robin over {_LARGEST_ROUND_ROBIN} servers"
            found.append(_unmet(path + ".servers", wanted, "different weights"))
    for index, server in enumerate(pool["servers"]):
        at = f"{path}.servers[{index}]"
        if server["weight"] > _LARGEST_WEIGHT:
            got = str(server["weight"])
            found.append(_unmet(at + ".weight", f"at most {_LARGEST_WEIGHT} with HAProxy", got))
        if server["slow_start_seconds"] is not None and static:
            wanted = "nothing: HAProxy does not change weights with this algorithm"
            found.append(_unmet(at + ".slow_start_seconds", wanted, "a slow start"))
    return found
