"""The command line, checked word by word: the caller is not root, the program is.

Smaller and five times faster to load than argparse, and it accepts nothing by abbreviation.

A pattern is compiled when it is first needed: all of them take longer than most verbs do.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from evenkeel.host.errors import UsageError

_CHANGE = r"[a-z0-9][a-z0-9._-]{0,63}"
_DIGEST = r"[0-9a-f]{64}"
_SECONDS = r"[0-9]{1,6}(\.[0-9]{1,3})?"
_COUNT = r"[0-9]{1,4}"
_DAYS = r"[0-9]{1,5}"
_NAME = r"[a-z0-9][a-z0-9._-]{0,79}"
_PATH = r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,8}"
_SERVER = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
_OWNER = r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}"
# Printable ASCII that is not all blanks.
_REASON = r"(?=.*[!-~])[ -~]{1,200}"
_WHOLE_SECONDS = r"[1-9][0-9]{0,7}"
_BALANCER = r"[a-z][a-z0-9_]{0,31}"


class Option(NamedTuple):
    """What an option takes: a pattern for its value, or none for a flag."""

    pattern: Optional[str]
    required: bool = False


class Line(NamedTuple):
    """A command line that was understood."""

    balancer: str
    verb: str
    values: Dict[str, str]
    flags: Dict[str, bool]


_FLAG = Option(None)
_NEEDED_CHANGE = Option(_CHANGE, required=True)
_NEEDED_SERVER = Option(_SERVER, required=True)

VERBS: Dict[str, Dict[str, Option]] = {
    "prepare": {
        "change": _NEEDED_CHANGE,
        "release": Option(_DIGEST, required=True),
        "check-only": _FLAG,
    },
    "activate": {
        "change": _NEEDED_CHANGE,
        "release": Option(_DIGEST, required=True),
        "lease-seconds": Option(_SECONDS, required=True),
        "base": Option(_DIGEST),
    },
    "renew": {"change": _NEEDED_CHANGE, "lease-seconds": Option(_SECONDS, required=True)},
    "confirm": {"change": _NEEDED_CHANGE},
    "observe": {
        "change": _NEEDED_CHANGE,
        "seconds": Option(_SECONDS, required=True),
        "lease-seconds": Option(_SECONDS),
        "judge": _FLAG,
        "revert-on-fail": _FLAG,
        "fresh": _FLAG,
        "until-decided": _FLAG,
    },
    "rollback": {"to": Option(_NAME), "undo": Option(_CHANGE)},
    "status": {"files": _FLAG},
    "facts": {},
    "snapshot": {"name": Option(_CHANGE, required=True), "pinned": _FLAG, "unpin": _FLAG},
    "prune": {"keep": Option(_COUNT), "max-age-days": Option(_DAYS)},
    "metrics": {"output": Option(_PATH)},
    "drain": {
        "pool": _NEEDED_SERVER,
        "server": _NEEDED_SERVER,
        "reason": Option(_REASON, required=True),
        "owner": Option(_OWNER, required=True),
        "for-seconds": Option(_WHOLE_SECONDS),
    },
    "undrain": {"pool": _NEEDED_SERVER, "server": _NEEDED_SERVER},
    "recover": {"boot": _FLAG},
    "expire": {},
}


def parse(words: List[str]) -> Line:
    """Understand `--balancer NAME VERB [--option VALUE] [--flag]`. Raises UsageError otherwise."""
    if len(words) < 3 or words[0] != "--balancer" or not re.fullmatch(_BALANCER, words[1]):
        raise _usage("The command line does not begin with a balancer and a verb", "too little")
    balancer, verb = words[1], words[2]
    if verb not in VERBS:
        raise _usage("There is no such verb", verb)
    values, flags = _options(verb, words[3:])
    missing = [
        name for name, option in VERBS[verb].items() if option.required and name not in values
    ]
    if missing:
        raise _usage(f"{verb} needs an option", f"no --{missing[0]}")
    return Line(balancer, verb, values, flags)


def _options(verb: str, words: List[str]) -> Tuple[Dict[str, str], Dict[str, bool]]:
    values: Dict[str, str] = {}
    flags: Dict[str, bool] = {}
    known = VERBS[verb]
    at = 0
    while at < len(words):
        name = words[at][2:]
        if not words[at].startswith("--") or name not in known:
            raise _usage(f"{verb} has no such option", words[at])
        if name in values or name in flags:
            raise _usage(f"{verb} takes each option once", f"--{name} twice")
        pattern = known[name].pattern
        if pattern is None:
            flags[name] = True
            at += 1
            continue
        if at + 1 >= len(words) or not re.fullmatch(pattern, words[at + 1]):
            got = words[at + 1] if at + 1 < len(words) else "nothing"
            raise _usage(f"--{name} has no usable value", got)
        values[name] = words[at + 1]
        at += 2
    return values, flags


def _usage(what: str, got: str) -> UsageError:
    return UsageError(
        what,
        where="command line",
        wanted=f"--balancer NAME VERB, with VERB one of {', '.join(VERBS)}",
        got=repr(got)[:120],
        next_step="correct the command line",
    )
