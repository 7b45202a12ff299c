"""Split the fleet into stages: every host in exactly one, in the order of the inventory.

`canary_stages` is a list of `{hosts, bake_seconds, minimum_requests}`:

- `hosts: 2` takes the next two hosts. `hosts: "50%"` is cumulative, as operators expect of canary
  percentages: it takes as many as it needs for half of the whole fleet to carry the change. A
  percentage is rounded down, but a stage never takes less than one host.
- `bake_seconds` is the upper limit of the watch; a clear verdict ends it earlier. It and
  `minimum_requests` are those of the stage before when they are left out.
- Hosts that the entries do not reach form one last stage; entries that find no host left drop out,
  so that one inventory serves fleets of any size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenkeel.change.folder import ChangeFolder
from evenkeel.change.ledger import next_command
from evenkeel.change.rollout import DEFAULT_LEASE_SECONDS
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.records import read_json

DEFAULT_STAGES: tuple[Mapping[str, Any], ...] = ({"hosts": 1}, {"hosts": "100%"})
DEFAULT_BAKE_SECONDS = 60
DEFAULT_MINIMUM_REQUESTS = 200
LONGEST_SECONDS = 24 * 3600

_KEYS = ("hosts", "bake_seconds", "minimum_requests")


@dataclass(frozen=True)
class Stage:
    """One batch of hosts. `number` counts from 1; `carriers` got the change in earlier stages."""

    number: int
    hosts: tuple[str, ...]
    carriers: tuple[str, ...]
    bake_seconds: int
    minimum_requests: int
    lease_seconds: int

    def as_dict(self) -> dict[str, Any]:
        """The stage as JSON and Ansible take it."""
        lists = {"hosts": list(self.hosts), "carriers": list(self.carriers)}
        return vars(self) | lists


@dataclass(frozen=True)
class Plan:
    """All stages of one deploy; every host is in exactly one."""

    stages: tuple[Stage, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host of the plan, in the order in which they are reached."""
        return tuple(host for stage in self.stages for host in stage.hosts)

    def stage(self, number: int) -> Stage:
        """Give the stage `number`; raises Refused when there is none."""
        if 1 <= number <= len(self.stages):
            return self.stages[number - 1]
        raise Refused(
            "There is no such stage",
            where="evenkeel_stage",
            wanted=f"a number from 1 to {len(self.stages)}",
            got=str(number),
            next_step="leave evenkeel_stage out to run all of them",
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan as canary/plan.json holds it."""
        return {"stages": [stage.as_dict() for stage in self.stages]}


def plan(
    hosts: Sequence[str],
    canary_stages: Sequence[Mapping[str, Any]] | None = None,
    lease_seconds: int = DEFAULT_LEASE_SECONDS,
) -> Plan:
    """Split `hosts` by `canary_stages` (one canary, then the rest, when there are none).

    Raises Problems with everything that is wrong in them.
    """
    entries = list(canary_stages or DEFAULT_STAGES)
    problems = [*_problems_of_hosts(hosts), *_problems_of_entries(entries)]
    if problems:
        raise Problems(
            "The canary stages cannot be planned",
            problems,
            where="canary_stages",
            next_step="correct canary_stages in the inventory",
        )
    stages: list[Stage] = []
    taken = 0
    bake, requests = DEFAULT_BAKE_SECONDS, DEFAULT_MINIMUM_REQUESTS
    for entry in [*entries, {"hosts": "100%"}]:
        if taken == len(hosts):
            break
        bake = entry.get("bake_seconds", bake)
        requests = entry.get("minimum_requests", requests)
        upto = _reach(entry["hosts"], taken, len(hosts))
        stages.append(
            Stage(
                number=len(stages) + 1,
                hosts=tuple(hosts[taken:upto]),
                carriers=tuple(hosts[:taken]),
                bake_seconds=bake,
                minimum_requests=requests,
                lease_seconds=lease_seconds,
            )
        )
        taken = upto
    return Plan(tuple(stages))


def keep(folder: ChangeFolder, wanted: Plan) -> Plan:
    """Write canary/plan.json, or hold a deploy that has begun to the plan that it began with.

    Raises Refused when a stage has a record and its plan was another one.
    """
    if folder.stage_json(1).exists():
        begun = load(folder)
        if begun != wanted:
            raise Refused(
                "The canary stages changed in the middle of a deploy",
                where=str(folder.plan_json),
                wanted=_in_words(begun),
                got=_in_words(wanted),
                next_step=f"take it back first: ansible-playbook playbooks/rollback.yml -e undo="
                f"{folder.change_id}",
            )
        return begun
    folder.write_json("canary/plan.json", wanted.as_dict())
    return wanted


def load(folder: ChangeFolder) -> Plan:
    """Read canary/plan.json; raises Refused when it is missing or damaged."""
    next_step = next_command(folder.change_id, "canary")
    value = read_json(folder.plan_json, what="The plan of stages", next_step=next_step)
    try:
        stages = tuple(
            Stage(
                number=int(entry["number"]),
                hosts=tuple(map(str, entry["hosts"])),
                carriers=tuple(map(str, entry["carriers"])),
                bake_seconds=int(entry["bake_seconds"]),
                minimum_requests=int(entry["minimum_requests"]),
                lease_seconds=int(entry["lease_seconds"]),
            )
            for entry in value["stages"]
        )
    except (KeyError, TypeError, ValueError):
        raise Refused(
            "The plan of stages is damaged", where=str(folder.plan_json), next_step=next_step
        ) from None
    return Plan(stages)


def _reach(hosts: int | str, taken: int, fleet: int) -> int:
    if isinstance(hosts, int):
        return min(fleet, taken + hosts)
    return max(taken + 1, fleet * int(hosts.rstrip("%")) // 100)


def _in_words(value: Plan) -> str:
    return "; ".join(f"stage {stage.number}: {', '.join(stage.hosts)}" for stage in value.stages)


def _problems_of_hosts(hosts: Sequence[str]) -> list[Problem]:
    if not hosts:
        return [
            Problem("hosts", "one host or more", "none: look at --limit and the inventory's group")
        ]
    twice = sorted(host for host, times in Counter(hosts).items() if times > 1)
    return (
        [Problem("hosts", "each host once", f"more than once: {', '.join(twice)}")] if twice else []
    )


def _problems_of_entries(entries: Sequence[object]) -> list[Problem]:
    problems: list[Problem] = []
    before = 0
    for number, entry in enumerate(entries):
        path = f"canary_stages[{number}]"
        if not isinstance(entry, Mapping):
            problems.append(Problem(path, "a mapping with hosts", _got(entry)))
            continue
        problems += [
            Problem(f"{path}.{key}", f"one of {', '.join(_KEYS)}", "an unknown key")
            for key in entry
            if key not in _KEYS
        ]
        if "bake_seconds" in entry:
            problems += _whole(f"{path}.bake_seconds", entry["bake_seconds"], 1, LONGEST_SECONDS)
        if "minimum_requests" in entry:
            problems += _whole(f"{path}.minimum_requests", entry["minimum_requests"], 1, 10**9)
        percent = _percent(entry.get("hosts"))
        if percent is None:
            problems += _whole(f"{path}.hosts", entry.get("hosts"), 1, 10**6, ' or "1%" to "100%"')
        elif percent < before:
            problems.append(
                Problem(f"{path}.hosts", f"at least {before}%: it is cumulative", f"{percent}%")
            )
        else:
            before = percent
    return problems


def _percent(value: object) -> int | None:
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        number = int(value[:-1])
        return number if 1 <= number <= 100 else None
    return None


def _whole(path: str, value: object, low: int, high: int, also: str = "") -> list[Problem]:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return []
    return [Problem(path, f"a whole number from {low} to {high}{also}", _got(value))]


def _got(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]
