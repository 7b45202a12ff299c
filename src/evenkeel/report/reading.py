"""What the report reads: the files of a change, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from evenkeel.canary.hold import open_hold
from evenkeel.change import findings, ledger, rollout
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.rollout import Rollout
from evenkeel.errors import Refused
from evenkeel.records import Record, read_file, read_json, read_record

Value = TypeVar("Value")
Object = Mapping[str, Any]

LARGEST_TEXT_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Stage:
    """One stage as the plan of the change has it."""

    number: int
    hosts: tuple[str, ...]
    carriers: tuple[str, ...]
    bake_seconds: int


@dataclass
class Reading:
    """One change as its folder is now. A missing file is None or empty."""

    folder: ChangeFolder
    about: Object = field(default_factory=dict)
    manifest: Object = field(default_factory=dict)
    forecast: Object = field(default_factory=dict)
    diff: str = ""
    render: Record | None = None
    staging: Record | None = None
    approvals: dict[str, Record] = field(default_factory=dict)
    plan: tuple[Stage, ...] = ()
    stages: dict[int, Record] = field(default_factory=dict)
    results: dict[int, dict[str, Object]] = field(default_factory=dict)
    outcome: Record | None = None
    policy: Object = field(default_factory=dict)
    rollout: Rollout | None = None
    held: Record | None = None
    damaged: list[str] = field(default_factory=list)

    @property
    def bundles(self) -> list[Any]:
        """The rehearsed bundles of the change."""
        return list((self.staging.body.get("bundles") if self.staging else None) or [])

    def attempt(self, do: Callable[..., Value], *args: Any) -> Value | None:
        """Give the result of `do`; for a missing or damaged file None, and note it."""
        try:
            return do(*args)
        except Refused as error:
            self.damaged.append(error.what)
            return None


def read(folder: ChangeFolder) -> Reading:
    """Read a change; damage is listed in `damaged`. Raises Refused when there is no change."""
    folder.require_exists()
    reading = Reading(folder)
    reading.about = reading.attempt(folder.change) or {}
    reading.manifest = reading.attempt(folder.manifest) or {}
    if (folder.path / "forecast.json").exists():
        reading.forecast = reading.attempt(_object, folder, "forecast.json") or {}
    if (folder.path / findings.FILE).exists():
        reading.policy = reading.attempt(_object, folder, findings.FILE) or {}
    reading.diff = _text(folder, "diff.txt")
    reading.render = _if_there(reading, "render.json", ledger.RENDER)
    reading.staging = _if_there(reading, "staging.json", ledger.STAGING)
    for path in sorted(folder.approvals.glob("*.json")):
        record = _if_there(reading, f"approvals/{path.name}", ledger.APPROVAL)
        if record:
            reading.approvals[path.stem] = record
    if folder.plan_json.exists():
        reading.plan = reading.attempt(_plan, folder) or ()
    for stage in reading.plan:
        number = stage.number
        closed = _if_there(reading, f"canary/{number}.json", ledger.CANARY)
        if closed:
            reading.stages[number] = closed
        for path in sorted(folder.stage_results(number).glob("*.json")):
            value = reading.attempt(_object, folder, f"canary/{number}/{path.name}")
            if value is not None:
                reading.results.setdefault(number, {})[path.stem] = value
    reading.outcome = _if_there(reading, "outcome.json", ledger.OUTCOME)
    if (folder.path / rollout.FILE).exists():
        reading.rollout = reading.attempt(rollout.load, folder)
    reading.held = reading.attempt(open_hold, folder)
    # Each record may be intact and its link broken.
    reading.attempt(ledger.verify_chain, folder, ledger.furthest_station(folder))
    reading.damaged = list(dict.fromkeys(reading.damaged))
    return reading


def _if_there(reading: Reading, name: str, kind: str) -> Record | None:
    path = reading.folder.path / name
    if not path.exists():
        return None
    return reading.attempt(lambda: read_record(path, kind=kind, next_step=""))


def _plan(folder: ChangeFolder) -> tuple[Stage, ...]:
    try:
        return tuple(
            Stage(
                number=int(stage["number"]),
                hosts=tuple(stage["hosts"]),
                carriers=tuple(stage["carriers"]),
                bake_seconds=int(stage["bake_seconds"]),
            )
            for stage in _object(folder, "canary/plan.json")["stages"]
        )
    except (KeyError, TypeError, ValueError):
        raise Refused("The plan of stages is damaged", where=str(folder.plan_json)) from None


def _object(folder: ChangeFolder, name: str) -> Object:
    value = read_json(folder.path / name, what=f"The file {name}", next_step="")
    if isinstance(value, Mapping):
        return value
    raise Refused(f"The file {name} is damaged", where=str(folder.path / name))


def _text(folder: ChangeFolder, name: str) -> str:
    """Give the start of a text file, with a note where the rest is left out."""
    try:
        data = read_file(folder.path / name, LARGEST_TEXT_BYTES + 1)
    except OSError:
        return ""
    text = data[:LARGEST_TEXT_BYTES].decode(errors="replace")
    if len(data) <= LARGEST_TEXT_BYTES:
        return text
    return f"{text}\n# not shown: the rest of {name}, which is too long\n…\n"
