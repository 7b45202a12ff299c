"""Servers that are down because of the change: down with it, and up without it.

The host's judge does not blame the change for a server that goes down: servers fail by themselves.
The control hosts tell the two apart. A server that fails by itself is down on these too.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenkeel.answers import Observed

Answers = Mapping[str, Observed]
_DOWN = "down"


def down_by_change(changed: Answers, controls: Answers) -> list[str]:
    """Give a sentence for each server that is down because of the change.

    `changed` and `controls` are the last answers to `observe` by host. A server that is down with
    the change is excused when a control host finds it down as well. Without control hosts it is
    excused when every host with the change finds it down: then there is nothing to compare.
    """
    with_change, without = _states(changed), _states(controls)
    reasons = []
    for server in sorted(with_change):
        states, others = with_change[server], without.get(server, {})
        down = sorted(host for host, state in states.items() if state == _DOWN)
        excused = _DOWN in others.values() if controls else len(down) == len(states)
        if not down or excused:
            continue
        up = sorted(host for host, state in {**states, **others}.items() if state != _DOWN)
        beside = f"and no host without the change has it ({len(controls)} compared)"
        if up:
            beside = f"and up on {_first_three(up)}"
        pool, name = server
        reasons.append(f"server {name} of pool {pool} is down on {_first_three(down)}, {beside}")
    return reasons


def _first_three(hosts: list[str]) -> str:
    return f"{', '.join(hosts[:3])}{' and others' if len(hosts) > 3 else ''}"


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
