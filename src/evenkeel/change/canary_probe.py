"""Requests that a canary host sends itself, for a fleet that has too few of its own.

`canary_probe` of the inventory is `{listener, path, host, requests_per_second}`. It is bound with
the rollout, so whoever approves has seen what is sent, and how often. The host sends them to a
listener of its own (evenkeel.host.system.probe); how many it sent stands beside what it counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evenkeel.errors import Problem

Probe = Mapping[str, Any]
# What a listener's own address takes without being a load worth the name.
MOST_PER_SECOND = 50
# The same that the on-host program demands: a value never becomes a line of its own.
_FORMS = {
    "listener": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"), "the name of a listener"),
    "path": (re.compile(r"/[!-~]{0,500}"), "a path of printed characters, from its first /"),
    "host": (re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}"), "a host name"),
}
_DEFAULTS = {"path": "/", "host": "localhost", "requests_per_second": 5}


def completed(value: Any) -> Any:
    """Give a `canary_probe` with its defaults; what is no mapping as it is, None for nothing."""
    if value in (None, "", {}):
        return None
    return {**_DEFAULTS, **value} if isinstance(value, Mapping) else value


def probe_problems(probe: Any) -> list[Problem]:
    """Give what is wrong in a completed `canary_probe`."""
    if probe is None:
        return []
    if not isinstance(probe, Mapping):
        wanted = "a mapping of listener, path, host and requests_per_second"
        return [Problem("canary_probe", wanted, repr(probe)[:60])]
    problems = [
        Problem(f"canary_probe.{key}", f"one of {', '.join([*_FORMS, 'requests_per_second'])}",
              "an unknown key")
        for key in probe
        if key not in _FORMS and key != "requests_per_second"
    ]  # fmt: skip
    for key, (form, wanted) in _FORMS.items():
        value = probe.get(key)
        if not isinstance(value, str) or not form.fullmatch(value):
            problems.append(Problem(f"canary_probe.{key}", wanted, repr(value)[:60]))
    rate = probe.get("requests_per_second")
    if not isinstance(rate, int) or isinstance(rate, bool) or not 1 <= rate <= MOST_PER_SECOND:
        wanted = f"a whole number from 1 to {MOST_PER_SECOND}"
        problems.append(Problem("canary_probe.requests_per_second", wanted, repr(rate)[:60]))
    return problems


def misplaced(probe: Probe | None, intents: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    """Give the hosts of `intents` without a listener that the probe could be sent to."""
    if probe is None:
        return []
    return [
        Problem(f"{host}: canary_probe.listener", "an http listener without accept_proxy",
              str(probe["listener"]))
        for host, intent in sorted(intents.items())
        if not any(
            one["name"] == probe["listener"]
            and one["mode"] == "http"
            and any(not bind["accept_proxy"] for bind in one["binds"])
            for one in intent["listeners"]
        )
    ]  # fmt: skip
