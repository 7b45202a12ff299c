"""How a change goes over the fleet, bound when it is rendered: order, stages, and who decides what.

`rollout.json` lies beside the bundle. It is no part of the digest, since the rehearsal does not
depend on it; approvals bind it, so whoever signs has seen the hosts by name and the rules by which
they are reached. A deploy follows what is written here, and refuses when the inventory or `-e` says
something else by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenkeel.change.canary_probe import Probe, probe_problems
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.records import canonical_json, read_json

FILE = "rollout.json"
ACTIVE, STANDBY = "active", "standby"
# When a host becomes last-known-good: with the whole change, or as soon as its stage passed.
BY_CHANGE, BY_STAGE = "change", "stage"
# What becomes of a stage without a clear verdict: it goes back, or waits for a person.
REVERT, HOLD = "revert", "hold"
DEFAULT_HOLD_SECONDS = 900
DEFAULT_LEASE_SECONDS = 60
# Shorter, and a single slow round trip would let a healthy canary's lease run out.
SHORTEST_LEASE_SECONDS = 10
LONGEST_LEASE_SECONDS = 24 * 3600
# A lease is what is held, and no lease is longer.
SHORTEST_HOLD_SECONDS = 60
LONGEST_HOLD_SECONDS = 24 * 3600
MOST_APPROVALS = 100

# What a deploy may not have otherwise than it was approved. How long a hold lasts matters only to
# a change that can be held; of approvals more may be demanded.
_BOUND = (
    *("canary_stages", "canary_confirm", "canary_on_inconclusive"),
    *("canary_lease_seconds", "canary_probe"),
)
_CHOICES = {
    "canary_confirm": (BY_CHANGE, BY_STAGE),
    "canary_on_inconclusive": (REVERT, HOLD),
}
_NUMBERS = {
    "canary_hold_seconds": (SHORTEST_HOLD_SECONDS, LONGEST_HOLD_SECONDS),
    "approvals_required": (1, MOST_APPROVALS),
    "canary_lease_seconds": (SHORTEST_LEASE_SECONDS, LONGEST_LEASE_SECONDS),
}


@dataclass(frozen=True)
class Place:
    """Where a host stands in its fleet: its part in a redundant pair, and its failure domain."""

    host: str
    ha_role: str = ACTIVE
    zone: str = ""


@dataclass(frozen=True)
class Rollout:
    """The rules of one change's deploy. `places` are its hosts in the order they are reached in."""

    places: tuple[Place, ...]
    canary_stages: tuple[Mapping[str, Any], ...] = ()
    approvals_required: int = 1
    canary_confirm: str = BY_CHANGE
    canary_on_inconclusive: str = REVERT
    canary_hold_seconds: int = DEFAULT_HOLD_SECONDS
    canary_lease_seconds: int = DEFAULT_LEASE_SECONDS
    canary_probe: Probe | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts in the order in which they are reached."""
        return tuple(place.host for place in self.places)

    def as_dict(self) -> dict[str, Any]:
        """The rollout as rollout.json holds it."""
        lists = {
            "places": [dict(vars(place)) for place in self.places],
            "canary_stages": [dict(entry) for entry in self.canary_stages],
        }
        return vars(self) | lists


def check(rollout: Rollout) -> Rollout:
    """Give `rollout` back; raises Problems with everything in it that has no meaning.

    The stages themselves are checked where they are planned.
    """
    problems = [
        Problem(name, " or ".join(allowed), repr(getattr(rollout, name))[:60])
        for name, allowed in _CHOICES.items()
        if getattr(rollout, name) not in allowed
    ]
    for name, (low, high) in _NUMBERS.items():
        value: object = getattr(rollout, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            wanted = f"a whole number from {low} to {high}"
            problems.append(Problem(name, wanted, repr(value)[:60]))
    problems += [
        Problem(
            f"{place.host}: balancer_ha_role", f"{ACTIVE} or {STANDBY}", repr(place.ha_role)[:60]
        )
        for place in rollout.places
        if place.ha_role not in (ACTIVE, STANDBY)
    ]
    problems += [
        Problem(f"{place.host}: balancer_zone", "a short printed name", repr(place.zone)[:60])
        for place in rollout.places
        if not place.zone.isprintable() or len(place.zone) > 60
    ]
    problems += probe_problems(rollout.canary_probe)
    if problems:
        raise Problems(
            "The rollout of the change cannot be used",
            problems,
            where="the inventory, or -e",
            next_step="correct the variables that are named",
        )
    return rollout


def is_written(folder: ChangeFolder, rollout: Rollout) -> bool:
    """Whether exactly this rollout is what the folder holds."""
    path = folder.path / FILE
    return path.is_file() and path.read_bytes() == canonical_json(rollout.as_dict())


def load(folder: ChangeFolder) -> Rollout:
    """Read rollout.json; raises Refused when it is missing or damaged."""
    again = f"render it again: ansible-playbook playbooks/render.yml -e change={folder.change_id}"
    path = folder.path / FILE
    value = read_json(path, what="The rollout of the change", next_step=again)
    try:
        places = tuple(Place(**place) for place in value["places"])
        entries = tuple(dict(entry) for entry in value["canary_stages"])
        return check(Rollout(**{**value, "places": places, "canary_stages": entries}))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused(
            "The rollout of the change is damaged",
            where=str(path),
            wanted="what render wrote",
            next_step=again,
        ) from None


def approvals_required(folder: ChangeFolder) -> int:
    """Give how many approvals the change was rendered to need; 1 when it says nothing of it."""
    return load(folder).approvals_required if (folder.path / FILE).is_file() else 1


def require_same(folder: ChangeFolder, wanted: Rollout) -> Rollout:
    """Give the rollout that was approved, once `wanted`, the inventory's of now, is the same.

    More approvals than were asked for then may be demanded, nothing else may differ. Hosts that a
    deploy leaves out, or that came later, are no part of this. Raises Refused otherwise.
    """
    bound = load(folder)
    problems = [
        Problem(name, f"{_words(getattr(bound, name))}, as approved", _words(getattr(wanted, name)))
        for name in _BOUND
        if canonical_json(getattr(bound, name)) != canonical_json(getattr(wanted, name))
    ]
    longer = wanted.canary_hold_seconds != bound.canary_hold_seconds
    if longer and bound.canary_on_inconclusive == HOLD:
        before, now = f"{bound.canary_hold_seconds}, as approved", str(wanted.canary_hold_seconds)
        problems.append(Problem("canary_hold_seconds", before, now))
    if wanted.approvals_required < bound.approvals_required:
        before = f"at least {bound.approvals_required}, as approved"
        problems.append(Problem("approvals_required", before, str(wanted.approvals_required)))
    problems += _moved(bound.places, {place.host: place for place in wanted.places})
    if problems:
        raise Problems(
            "This deploy would not be the one that was approved",
            problems,
            where=str(folder.path / FILE),
            next_step="take back what differs in the inventory or in -e, or render the change with "
            "it again and have that approved",
        )
    return bound


def _moved(places: Sequence[Place], now: Mapping[str, Place]) -> list[Problem]:
    return [
        Problem(
            f"{place.host}: balancer_{name}", f"{before or 'none'}, as approved", after or "none"
        )
        for place in places
        if place.host in now
        for name in ("ha_role", "zone")
        for before, after in [(getattr(place, name), getattr(now[place.host], name))]
        if before != after
    ]


def _words(value: object) -> str:
    if isinstance(value, str):
        return value
    return canonical_json(value).decode().strip()[:300]
