"""Render's part in policy: the waivers and shifts of the inventory, and what the rules find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

from evenkeel.balancer.dialect import Dialect
from evenkeel.change import findings
from evenkeel.change.bundle import FleetBundle
from evenkeel.change.declarations import Declared, read
from evenkeel.errors import Problem, Problems
from evenkeel.host.state.archive import release_digest
from evenkeel.intent.share_forecast import SPREAD_OTHERWISE
from evenkeel.records import canonical_json, plain, sha256_of
from evenkeel.verbs.host_facts import Host, Intent
from evenkeel.verbs.results import Hostvars

_NAMES = ("waivers", "intended_shifts")
_SHOWN = 12


class Judged(TypedDict):
    """What `policy.json` holds; the rows are explained in change.findings."""

    schema_version: int
    day: str
    declared: dict[str, Any]
    findings: list[dict[str, Any]]
    unused_waivers: list[dict[str, Any]]


def declared_in(names: Sequence[str], hostvars: Hostvars) -> Declared:
    """Give the declarations of all hosts together: a waiver of one host is the change's.

    Raises Problems for a value that has no meaning.
    """
    rows: dict[str, dict[bytes, Any]] = {name: {} for name in _NAMES}
    for host in names:
        for name in _NAMES:
            value = plain(hostvars[host].get(name)) or []
            if not isinstance(value, list):
                raise Problems(
                    "What the change declares cannot be used",
                    [Problem(name, "a list of mappings", repr(value)[:60])],
                    where=host,
                    next_step="correct the variable, in the inventory or in -e "
                    "(docs/reference/policy.md)",
                )
            rows[name] |= {canonical_json(row): row for row in value}
    return read({name: list(found.values()) for name, found in rows.items()})


def judge_policy(
    dialect: Dialect,
    hosts: Mapping[str, Host],
    bundle: FleetBundle,
    befores: Mapping[str, Intent | None],  # intents, see host_facts.Intent
    declared: Declared,
) -> Judged:
    """Give what `policy.json` holds for the hosts of a bundle; see `change.findings`."""
    judged = {}
    for host, files in bundle.files.items():
        live, before = hosts[host].live, befores[host]
        base = release_digest(dict(live)) if live is not None else None
        key = [bundle.releases[host], base, bundle.intents[host], before]
        judged[host] = findings.Host(
            files, bundle.intents[host], live, before, sha256_of(canonical_json(key))
        )
    return cast("Judged", findings.judge(judged, dialect, declared, findings.today()))


def policy_lines(judged: Judged) -> list[str]:
    """Give the lines that render prints: what is declared, waived and reported."""
    lines = findings.declared_lines(judged["declared"])
    new = [one for one in judged["findings"] if not one["live_already"]]
    lines += [findings.in_words(one) for one in new[:_SHOWN]]
    if len(new) > _SHOWN:
        lines.append(f"and {len(new) - _SHOWN} more in {findings.FILE}")
    lines += [
        f"the waiver of {one['rule']} for {one['subject']} has nothing to waive"
        for one in judged["unused_waivers"]
    ]
    return ["Policy:", *(f"  {line}" for line in lines)] if lines else []


class Marks:
    """Marks the pools of intents whose files override their weights."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[int, dict[str, str]] = {}
        self._kept: list[Mapping[str, bytes]] = []

    def marked(self, intent: Intent, files: Mapping[str, bytes]) -> Intent:  # see host_facts.Intent
        """Give `intent`, or a copy with such pools marked; the same files are read once."""
        if id(files) not in self._known:
            self._kept.append(files)
            self._known[id(files)] = self._dialect.spread_overrides(files)
        why = self._known[id(files)]
        if not any(pool["name"] in why for pool in intent["pools"]):
            return intent
        pools = [
            {**pool, SPREAD_OTHERWISE: why[pool["name"]]} if pool["name"] in why else pool
            for pool in intent["pools"]
        ]
        return {**intent, "pools": pools}
