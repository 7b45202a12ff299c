"""Drain and undrain from the controller: the options for the host, and check mode."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping

from evenkeel.errors import Problem, Problems, Refused
from evenkeel.remote import OptionValue
from evenkeel.verbs.results import HostAnswer, HostArguments

_REASON = re.compile(r"(?=.*[!-~])[ -~]{1,200}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")
_MINUTES = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


def drain_options(args: HostArguments) -> dict[str, OptionValue]:
    """Give the host's options of `drain`; by default the user who runs it is the owner.

    Raises Problems with everything that the host would refuse, by the names of the -e options.
    """
    owner = str(args.get("owner") or getpass.getuser())
    reason, minutes = str(args.get("reason") or ""), str(args.get("minutes") or "")
    problems = []
    if not _REASON.fullmatch(reason):
        problems.append(
            Problem("reason", "1 to 200 printable characters of ASCII", repr(reason)[:120])
        )
    if not _OWNER.fullmatch(owner):
        problems.append(Problem("owner", "a person's name as in ann@example.com", repr(owner)[:80]))
    seconds = round(float(minutes) * 60) if _MINUTES.fullmatch(minutes) else 0
    if minutes and not seconds:
        problems.append(Problem("minutes", "a number above 0, or nothing", repr(minutes)[:40]))
    if problems:
        raise Problems(
            "A drain needs a reason and an owner",
            problems,
            next_step="correct these -e options and run the same command again",
        )
    options = {"pool": args["pool"], "server": args["server"], "reason": reason, "owner": owner}
    return options | ({"for_seconds": seconds} if seconds else {})


def would_change(verb: str, options: Mapping[str, OptionValue], status: HostAnswer) -> bool:
    """Tell whether `verb` would change a host with this `status`.

    Raises Refused for a server that the host does not have.
    """
    pool, server = str(options["pool"]), str(options["server"])
    records = [
        one for one in status.get("drains") or [] if (one["pool"], one["server"]) == (pool, server)
    ]
    pools = status.get("servers") or {}
    if not records and server not in (pools.get(pool) or {}):
        known = [f"{name}/{one}" for name, servers in sorted(pools.items()) for one in servers]
        raise Refused(
            "There is no such server on this host",
            where=f"{pool}/{server}",
            wanted=f"one of {', '.join(sorted(known))}"[:500],
            next_step="name a server that the running balancer has",
        )
    if verb == "undrain":
        return bool(records)
    # The end is computed on the host.
    return not any(
        record.get("reason") == options["reason"]
        and record.get("owner") == options["owner"]
        and bool(record.get("until")) == ("for_seconds" in options)
        for record in records
    )
