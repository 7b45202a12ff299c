"""The rollout that the inventory and `-e` ask for: read in one place, by render and by deploy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evenkeel.canary import plan as plans
from evenkeel.canary.order import order
from evenkeel.change.canary_probe import Probe, completed
from evenkeel.change.rollout import (
    ACTIVE,
    BY_CHANGE,
    DEFAULT_HOLD_SECONDS,
    DEFAULT_LEASE_SECONDS,
    REVERT,
    Place,
    Rollout,
    check,
)
from evenkeel.errors import Problem, Problems
from evenkeel.records import plain

Pick = Callable[[list[Any]], Any]


def from_inventory(names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> Rollout:
    """Give the rollout for the hosts `names`, in the order in which they are to be reached.

    Where the hosts of one change differ in what cannot be had both ways, the more careful one
    decides. Raises Problems for a value that has no meaning.
    """
    values = _Values(names, hostvars)
    rows = zip(
        names,
        values.each("balancer_ha_role", ACTIVE),
        values.each("balancer_zone", ""),
        strict=True,
    )
    rollout = Rollout(
        places=order(Place(host, str(role), str(zone)) for host, role, zone in rows),
        canary_stages=_stages(names, plain(hostvars[names[0]].get("canary_stages"))),
        approvals_required=values.one("approvals_required", 1, max),
        canary_confirm=values.one("canary_confirm", BY_CHANGE, lambda _: BY_CHANGE),
        canary_on_inconclusive=values.one("canary_on_inconclusive", REVERT, lambda _: REVERT),
        canary_hold_seconds=values.one("canary_hold_seconds", DEFAULT_HOLD_SECONDS, min),
        canary_lease_seconds=values.one("canary_lease_seconds", DEFAULT_LEASE_SECONDS, min),
        canary_probe=_probe(values.each("canary_probe", None)),
    )
    return check(rollout)


def freezes(names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> Any:
    """Give every freeze window of any of the hosts: one that is frozen keeps the change out of all.

    A value that is no list is given as it is, so that who reads the windows refuses it.
    """
    found: list[Any] = []
    for name in names:
        value = plain(hostvars[name].get("freeze_windows"))
        if value is not None and not isinstance(value, list):
            return value
        found += [window for window in value or [] if window not in found]
    return found


class _Values:
    """The variables of several hosts."""

    def __init__(self, names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> None:
        self.names, self.hostvars = names, hostvars

    def each(self, name: str, default: Any) -> list[Any]:
        """Give the variable of every host."""
        found = (plain(self.hostvars[host].get(name)) for host in self.names)
        return [default if value in (None, "") else whole(value) for value in found]

    def one(self, name: str, default: Any, careful: Pick) -> Any:
        """Give the value that all hosts agree on, or what `careful` picks of several."""
        values = self.each(name, default)
        different = [value for value in values if value != values[0]]
        # One of another kind is a fault, and it is the one to name.
        strange = [value for value in values if type(value) is not type(default)]
        if strange:
            return strange[0]
        return careful(values) if different else values[0]


def _probe(found: Sequence[Any]) -> Probe | None:
    """Give the one probe that every host is to have; raises Problems when they differ."""
    probes = [completed(value) for value in found]
    if any(probe != probes[0] for probe in probes):
        raise Problems(
            "The hosts of the change do not agree on a probe",
            [Problem("canary_probe", "the same on every host of one change", "different ones")],
            where="the inventory, or -e",
            next_step="set it for the whole group",
        )
    probe: Probe | None = probes[0]
    return probe


def whole(value: Any) -> Any:
    """Give a number that came as text, as all of `-e NAME=VALUE` does; anything else as it is."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _stages(names: Sequence[str], value: Any) -> tuple[Mapping[str, Any], ...]:
    if value is not None and not isinstance(value, list):
        raise Problems(
            "The canary stages cannot be planned",
            [Problem("canary_stages", "a list of {hosts, bake_seconds, minimum_requests}",
                   repr(value)[:60])],
            where="canary_stages",
            next_step="correct canary_stages in the inventory",
        )  # fmt: skip
    entries = tuple(value or plans.DEFAULT_STAGES)
    plans.plan(names, entries)
    return entries
