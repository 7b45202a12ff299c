"""The plan of a deploy: the stages of the fleet, and the part of them that one run carries out.

Every host is in exactly one stage, in the order of the inventory. `canary_stages` is a list of
`{hosts, bake_seconds, minimum_requests}`:

- `hosts: 2` takes the next two hosts. `hosts: "50%"` is cumulative: it takes hosts until half of
  the fleet carries the change. It is rounded down, but a stage has at least one host.
- `bake_seconds` limits the watch; a clear verdict ends it earlier. Left out, it and
  `minimum_requests` are those of the stage before.
- Hosts that no entry reaches form one last stage, and entries that find no host left are dropped,
  so one inventory serves fleets of any size.

One run of a deploy takes all stages and then the confirm, or one part of these (a scheduler decides
between parts), or the rest after a hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from evenkeel.answers import Statuses
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.ledger import next_command
from evenkeel.change.rollout import (
    BY_STAGE,
    DEFAULT_LEASE_SECONDS,
    HOLD,
    Rollout,
    StageEntry,
)
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.records import read_json

DEFAULT_STAGES: tuple[StageEntry, ...] = ({"hosts": 1}, {"hosts": "100%"})
DEFAULT_BAKE_SECONDS = 60
DEFAULT_MINIMUM_REQUESTS = 200
LONGEST_SECONDS = 24 * 3600
# The part after the last stage.
CONFIRM = "confirm"

_KEYS = ("hosts", "bake_seconds", "minimum_requests")


class StageRow(TypedDict):
    """A stage as canary/plan.json holds it; `carriers` got the change in earlier stages."""

    number: int
    hosts: list[str]
    carriers: list[str]
    bake_seconds: int
    minimum_requests: int
    lease_seconds: int


class StageToRun(StageRow):
    """A stage as the playbook takes it. `leased` are the hosts whose lease is renewed.

    The other hosts have confirmed. `hold_seconds` is 0 when the stage may not be held.
    """

    leased: list[str]
    confirm: bool
    hold_seconds: int


class PartToRun(TypedDict, total=False):
    """What one run of the deploy does. `confirm_first` confirm before its first stage begins."""

    hosts: list[str]
    stages: list[StageToRun]
    prepare: bool
    confirm: bool
    confirm_first: list[str]
    leased: list[str]


@dataclass(frozen=True)
class Stage:
    """One batch of hosts. `number` counts from 1; `carriers` got the change in earlier stages."""

    number: int
    hosts: tuple[str, ...]
    carriers: tuple[str, ...]
    bake_seconds: int
    minimum_requests: int
    lease_seconds: int

    def as_dict(self) -> StageRow:
        """The stage as JSON and Ansible take it."""
        return {
            "number": self.number,
            "hosts": list(self.hosts),
            "carriers": list(self.carriers),
            "bake_seconds": self.bake_seconds,
            "minimum_requests": self.minimum_requests,
            "lease_seconds": self.lease_seconds,
        }


@dataclass(frozen=True)
class Plan:
    """All stages of one deploy; every host is in exactly one."""

    stages: tuple[Stage, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host of the plan, in the order of the rollout."""
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

    def as_dict(self) -> dict[str, list[StageRow]]:
        """The plan as canary/plan.json holds it."""
        return {"stages": [stage.as_dict() for stage in self.stages]}


def plan(
    hosts: Sequence[str],
    canary_stages: Sequence[StageEntry] | None = None,
    lease_seconds: int = DEFAULT_LEASE_SECONDS,
) -> Plan:
    """Split `hosts` by `canary_stages`; without these, one canary and then the rest.

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
    rest: StageEntry = {"hosts": "100%"}
    for entry in [*entries, rest]:
        if taken == len(hosts):
            break
        bake = entry.get("bake_seconds", bake)
        requests = entry.get("minimum_requests", requests)
        size = entry["hosts"]
        if isinstance(size, int):
            upto = min(len(hosts), taken + size)
        else:
            upto = max(taken + 1, len(hosts) * int(size.rstrip("%")) // 100)
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
    """Write canary/plan.json. A deploy that has begun keeps the plan that it began with.

    Raises Refused when a stage has a record and its plan is another one than `wanted`.
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


def _in_words(value: Plan) -> str:
    return "; ".join(f"stage {stage.number}: {', '.join(stage.hosts)}" for stage in value.stages)


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


def part_to_run(
    plan: Plan, rollout: Rollout, confirmed: Iterable[str], *, only: str = "", held: int = 0
) -> PartToRun:
    """Give what one run does: its stages, whether it prepares and confirms, and who has a lease.

    `confirmed` are the hosts that have confirmed the change already. `only` names one part. After a
    hold, `held` is the stage that was held, and the run does everything that follows it. Raises
    Refused when there is no such part.
    """
    by_stage = rollout.canary_confirm == BY_STAGE
    first = list(plan.stage(held).hosts) if held and by_stage else []
    settled = {*confirmed, *first}
    may_hold = rollout.canary_on_inconclusive == HOLD
    rows: list[StageToRun] = []
    for stage in _stages(plan, only, held):
        rows.append(
            {
                **stage.as_dict(),
                "leased": [host for host in (*stage.carriers, *stage.hosts) if host not in settled],
                "confirm": by_stage,
                "hold_seconds": rollout.canary_hold_seconds if may_hold else 0,
            }
        )
        if by_stage:
            settled |= set(stage.hosts)
    return {
        "hosts": list(plan.hosts),
        "stages": rows,
        "prepare": only != CONFIRM and not held,
        "confirm": only in ("", CONFIRM),
        "confirm_first": first,
        "leased": [host for host in plan.hosts if host not in settled],
    }


def _stages(plan: Plan, only: str, held: int) -> tuple[Stage, ...]:
    if only == CONFIRM:
        return ()
    if not only:
        return plan.stages[held:]
    if only.isdecimal():
        return (plan.stage(int(only)),)
    raise Refused(
        "There is no such part of a deploy",
        where="evenkeel_stage",
        wanted=f"a stage's number or {CONFIRM}",
        got=only[:40],
        next_step="leave it out to deploy the change completely",
    )


def confirmed_hosts(answers: Statuses, change: str) -> list[str]:
    """Give the hosts whose answer to `status` says that they have confirmed `change`."""
    lives = {host: answer.get("live") or {} for host, answer in answers.items()}
    return [
        host for host, live in lives.items() if live.get("confirmed") and live["change"] == change
    ]


def _problems_of_hosts(hosts: Sequence[str]) -> list[Problem]:
    if not hosts:
        got = "none: check --limit and the inventory's group"
        return [Problem("hosts", "one host or more", got)]
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
        size = entry.get("hosts")
        digits = size[:-1] if isinstance(size, str) and size.endswith("%") else ""
        percent = int(digits) if digits.isdecimal() else 0
        if not 1 <= percent <= 100:
            problems += _whole(f"{path}.hosts", size, 1, 10**6, ' or "1%" to "100%"')
        elif percent < before:
            problems.append(
                Problem(f"{path}.hosts", f"at least {before}%: it is cumulative", f"{percent}%")
            )
        else:
            before = percent
    return problems


def _whole(path: str, value: object, low: int, high: int, also: str = "") -> list[Problem]:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return []
    return [Problem(path, f"a whole number from {low} to {high}{also}", _got(value))]


def _got(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]
