"""The policy rules for HAProxy: what is wrong in the files of a release that no traffic can show.

`rules(files, base_files)` is pure: the same files give the same findings. Rules see what HAProxy
gets, so a user's own template, lines under `extra` and a configuration by hand are all judged.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ..config.parser import Configuration, read
from . import (
    balancing,
    clients,
    disguises,
    hashing,
    health_checks,
    limits,
    listeners,
    regressions,
    requests,
    timeouts,
    tls_names,
)
from .renames import follow, server_before
from .rule import LOST, RULES, STOP, TELL, Hit, Rule
from .spread_overrides import contradictions

__all__ = ["catalogue", "rules", "spread_otherwise"]

# The order of the catalogue.
_MODULES = (
    health_checks,
    balancing,
    listeners,
    regressions,
    clients,
    disguises,
    hashing,
    limits,
    tls_names,
    requests,
    timeouts,
    disguises,
)
_PLACES = {module.__name__: at for at, module in enumerate(_MODULES)}
_EVERY = "every server: "

Finding = Dict[str, Any]
Key = Tuple[str, str]


def rules(files: Mapping[str, Any], base_files: Optional[Mapping[str, Any]]) -> List[Finding]:
    """Give what breaks a rule in `files` (name to text or bytes); `base_files` are live now.

    Without a base (None) everything is new. Each finding is a dict: `rule`, `severity` ("stop" or
    "tell"), `live_already`, `subject`, `pool`, `server`, `listener` (or None), `file`, `line` (or
    None), `text` of the line, `title`, `got`, `reason`, `next_step`.
    """
    now = read(files)
    before = read(base_files) if base_files else None
    if before is not None:
        follow(now, before)
    found: List[Finding] = []
    for name in RULES:
        try:
            found += _asked(RULES[name], now, before)
        except (ValueError, IndexError) as error:
            # Words that are no configuration: HAProxy's own check says so better than a traceback.
            found.append(_not_asked(RULES[name], error))
    return sorted(found, key=lambda one: (one["severity"], one["line"] or 0, one["rule"]))


def catalogue() -> List[Dict[str, str]]:
    """Give every rule in the order of its kind.

    Each is `rule`, `severity` ("stop", "lost" or "tell"), `title`, `looks_for`, `reason` and
    `next_step`.
    """
    return [
        {
            "rule": rule.id,
            "severity": rule.grade,
            "title": rule.title,
            "looks_for": rule.looks_for,
            "reason": rule.reason,
            "next_step": rule.next_step,
        }
        for rule in sorted(RULES.values(), key=_place)
    ]


def _place(rule: Rule) -> int:
    return _PLACES[(rule.find or rule.compare).__module__]


def _asked(rule: Rule, now: Configuration, before: Optional[Configuration]) -> List[Finding]:
    old: Set[Key] = set()
    if before is not None and rule.find:
        old = {(hit.subject, hit.pool) for hit in _hits(rule, before, None)}
    return [_finding(rule, hit, old, now, before) for hit in _hits(rule, now, before)]


def _not_asked(rule: Rule, error: Exception) -> Finding:
    """Tell that a rule could not read the files, so that its silence is not taken for a pass."""
    finding = _finding(rule, Hit("", grade=TELL), set(), Configuration(), None)
    return {
        **finding,
        "title": f"A rule could not be asked: {rule.title}",
        "got": f"{type(error).__name__}: {error}"[:160],
        "reason": "it found words that it cannot read; nothing is known of what it looks for",
        "next_step": "see what HAProxy's own check says of the files; if it takes them, the rule"
        " has a fault",
    }


def spread_otherwise(files: Mapping[str, Any]) -> Dict[str, str]:
    """Give {pool: why} where lines send clients elsewhere than weights and algorithm say."""
    found: Dict[str, str] = {}
    for pool, why in contradictions(read(files)):
        found.setdefault(pool, why)
    return found


def _hits(rule: Rule, now: Configuration, before: Optional[Configuration]) -> Iterator[Hit]:
    """Give what a rule finds; what is true of every server of a pool is one finding."""
    groups: Dict[Tuple[str, str, str], List[Hit]] = {}
    for hit in _found(rule, now, before):
        key = (hit.pool, hit.about, hit.grade) if hit.server else ("", "", "")
        if not hit.server:
            yield hit
        else:
            groups.setdefault(key, []).append(hit)
    for (pool, _, _), hits in groups.items():
        back = now.back(pool)
        if len(hits) > 1 and back and len({one.server for one in hits}) == len(back.servers):
            yield hits[0]._replace(server="", got=_EVERY + hits[0].got)
        else:
            yield from hits


def _found(rule: Rule, now: Configuration, before: Optional[Configuration]) -> Iterator[Hit]:
    if rule.find:
        yield from rule.find(now)
    elif rule.compare and before is not None:
        yield from rule.compare(now, before)


def _finding(
    rule: Rule, hit: Hit, old: Set[Key], now: Configuration, before: Optional[Configuration]
) -> Finding:
    was = _as_before(hit, now, before)
    live = any((one.subject, one.pool) in old for one in (was, was._replace(server="")))
    grade = hit.grade or rule.grade
    if grade == LOST:
        grade = STOP if _was_there(hit, before) else TELL
    line = hit.line
    return {
        "rule": rule.id,
        "severity": TELL if live else grade,
        "live_already": live,
        "subject": hit.subject,
        "pool": hit.pool or None,
        "server": hit.server or None,
        "listener": hit.listener or None,
        "file": line.file if line else None,
        "line": line.number if line else None,
        "text": " ".join(line.words)[:160] if line else "",
        "title": rule.title,
        "got": hit.got,
        "reason": rule.reason,
        "next_step": rule.next_step,
    }


def _as_before(hit: Hit, now: Configuration, before: Optional[Configuration]) -> Hit:
    """Give a finding with the names that its pool, server and listener had."""
    if before is None:
        return hit
    back = before.back(hit.pool) if hit.pool else None
    front = before.front(hit.listener) if hit.listener else None
    return hit._replace(
        pool=back.name if back else hit.pool,
        server=server_before(now, before, hit.pool, hit.server) if hit.server else "",
        listener=front.name if front else hit.listener,
    )


def _was_there(hit: Hit, before: Optional[Configuration]) -> bool:
    """Whether the place of a finding was there before, and so lost what it had."""
    if before is None:
        return False
    if hit.pool:
        return before.back(hit.pool) is not None
    return before.front(hit.listener) is not None if hit.listener else True
