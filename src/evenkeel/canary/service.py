"""Servers that are out of service because of the change: down with it, and well without it.

A server that goes down starts a new segment of the host's judge, and its share is asked of nobody:
servers do fail by themselves. What tells the change from a server's own trouble are the hosts
around: there the same server is down too, or it is not the same server's trouble.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Answers = Mapping[str, Mapping[str, Any]]
_DOWN = "down"


def down_by_change(changed: Answers, controls: Answers) -> list[str]:
    """Give a sentence for each server that is down where the change is, and nowhere without reason.

    `changed` and `controls` are {host: what `observe` answered last}. A server that is down on a
    host with the change is excused when a control host finds it down as well. Without control
    hosts it is excused when it is down on every host with the change: then nobody can tell.
    """
    here, there = _states(changed), _states(controls)
    reasons = []
    for server in sorted(here):
        down = sorted(host for host, state in here[server].items() if state == _DOWN)
        others = there.get(server, {})
        excused = _DOWN in others.values() if controls else len(down) == len(here[server])
        if down and not excused:
            reasons.append(_sentence(server, down, here[server], others, len(controls)))
    return reasons


def _sentence(
    server: tuple[str, str],
    down: list[str],
    here: Mapping[str, str],
    others: Mapping[str, str],
    controls: int,
) -> str:
    up = sorted(host for host, state in {**here, **others}.items() if state != _DOWN)
    if up:
        beside = f"and is well on {', '.join(up[:3])}{' and others' if len(up) > 3 else ''}"
    else:
        beside = f"and no host without the change has it ({controls} asked)"
    named = f"{', '.join(down[:3])}{' and others' if len(down) > 3 else ''}"
    return f"server {server[1]} of pool {server[0]} is down on {named}, {beside}"


def _states(answers: Answers) -> dict[tuple[str, str], dict[str, str]]:
    """Give {(pool, server): {host: state}}."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for host, answer in answers.items():
        for pool, row in (answer.get("pools") or {}).items():
            for server, facts in (row.get("servers") or {}).items():
                state = facts.get("status")
                if state:
                    found.setdefault((pool, server), {})[host] = str(state)
    return found
