"""Drain and undrain from the controller: the options for the host, and what check mode says."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from typing import Any

from evenkeel.errors import Problem, Problems, Refused

_REASON = re.compile(r"(?=.*[!-~])[ -~]{1,200}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")
_MINUTES = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


def drain_options(args: Mapping[str, Any]) -> dict[str, object]:
    """Give the options of `drain` from a task's arguments; the owner is by default the user's name.

    Raises Problems with all that the host would not take, in the words of who typed them.
    """
    owner = str(args.get("owner") or getpass.getuser())
    reason, minutes = str(args.get("reason") or ""), str(args.get("minutes") or "")
    faults = []
    if not _REASON.fullmatch(reason):
        faults.append(
            Problem("reason", "1 to 200 printable characters of ASCII", repr(reason)[:120])
        )
    if not _OWNER.fullmatch(owner):
        faults.append(Problem("owner", "a person's name as in ann@example.com", repr(owner)[:80]))
    seconds = round(float(minutes) * 60) if _MINUTES.fullmatch(minutes) else 0
    if minutes and not seconds:
        faults.append(Problem("minutes", "a number above 0, or nothing", repr(minutes)[:40]))
    if faults:
        raise Problems(
            "A drain has to say why, and on whose order",
            faults,
            next_step="correct these -e options and run the same command again",
        )
    options = {"pool": args["pool"], "server": args["server"], "reason": reason, "owner": owner}
    return options | ({"for_seconds": seconds} if seconds else {})


def would_change(verb: str, options: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Tell whether `verb` would change a host that says `status` of itself.

    Raises Refused for a server that the host does not have.
    """
    pool, server = str(options["pool"]), str(options["server"])
    on_record = [
        one for one in status.get("drains") or [] if (one["pool"], one["server"]) == (pool, server)
    ]
    pools = status.get("servers") or {}
    if not on_record and server not in (pools.get(pool) or {}):
        known = [f"{name}/{one}" for name, servers in sorted(pools.items()) for one in servers]
        raise Refused(
            "There is no such server on this host",
            where=f"{pool}/{server}",
            wanted=f"one of {', '.join(sorted(known))}"[:500],
            next_step="name a server that the running balancer has",
        )
    if verb == "undrain":
        return bool(on_record)
    return not any(_says(one, options) for one in on_record)


def _says(record: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether the record has the words of this order; of the end only that there is one."""
    words = ("reason", "owner")
    same = all(record.get(word) == options[word] for word in words)
    return same and bool(record.get("until")) == ("for_seconds" in options)
