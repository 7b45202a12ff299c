"""The chain of one change's records, from render to outcome.

    render.json > staging.json > canary/1.json > canary/2.json ... > outcome.json
                               > approvals/<person>.json

Each record names the sha256 of the one before it. What is missing, altered or does not fit is
refused by name, with the command that makes it good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused
from evenkeel.records import Record, read_record

RENDER = "render"
STAGING = "staging"
APPROVAL = "approval"
CANARY = "canary"
OUTCOME = "outcome"
STATIONS = (RENDER, STAGING, APPROVAL, CANARY, OUTCOME)


@dataclass(frozen=True)
class Chain:
    """The verified records of one change, up to the station that was asked for."""

    render: Record
    staging: Record | None = None
    approvals: dict[str, Record] = field(default_factory=dict)
    canary: tuple[Record, ...] = ()
    outcome: Record | None = None

    @property
    def tip(self) -> Record:
        """The record that the next one in the main line names as `previous`."""
        return self.canary[-1] if self.canary else self.staging or self.render


def next_command(change_id: str, station: str) -> str:
    """Give the command that leaves the record of `station`."""
    if station == APPROVAL:
        return f"run: scripts/approve {change_id}"
    playbook = {RENDER: "render", STAGING: "validate"}.get(station, "deploy")
    return f"run: ansible-playbook playbooks/{playbook}.yml -e change={change_id}"


def next_after(change_id: str, outcome: Mapping[str, Any]) -> str:
    """Give what a person does after an outcome, with the command to type where there is one."""
    word = outcome.get("outcome")
    undo = f"ansible-playbook playbooks/rollback.yml -e undo={change_id}"
    if word == "confirmed":
        return "nothing; scripts/rollback takes it back"
    if word == "split":
        states = (outcome.get("hosts") or {}).items()
        missing = ",".join(host for host, state in states if state != "confirmed")
        return f"take it back: {undo}, or render a change of its own for {missing}"
    if word == "rollback_failed":
        hosts = outcome.get("hosts") or {}
        failed = ",".join(host for host, state in hosts.items() if state == "failed")
        return f"mend what keeps {failed} from answering, then: {undo} --limit {failed}"
    if word == "refused":
        return (
            f"mend what refused it, then {next_command(change_id, OUTCOME)}; "
            "what another change has moved is rendered as a new change"
        )
    if word == "inconclusive":
        return "render it as a new change, with more traffic or a longer bake in canary_stages"
    return "correct the intent and render it as a new change"


def verify_chain(folder: ChangeFolder, upto: str = OUTCOME, stage: int | None = None) -> Chain:
    """Verify every link from render up to the station `upto` and give the records.

    Up to `canary` every stage's record that exists is verified; with `stage` those of stages 1 to
    `stage` must exist and later ones are not looked at. An approval of an earlier rehearsal is
    void, so it is not part of the chain. Raises Refused (exit code 10), naming the record and the
    next command.
    """
    if upto not in STATIONS:
        raise ValueError(f"no station {upto!r}")
    folder.require_exists()
    digest = folder.digest()
    render = _read(folder, folder.render_json, RENDER, digest, None)
    if upto == RENDER:
        return Chain(render)
    staging = _read(folder, folder.staging_json, STAGING, digest, render)
    if upto == STAGING:
        return Chain(render, staging)
    approvals = _approvals(folder, digest, staging)
    if upto == APPROVAL:
        return Chain(render, staging, approvals)
    canary = _canary(folder, digest, staging, stage)
    chain = Chain(render, staging, approvals, canary)
    if upto == CANARY:
        return chain
    outcome = _read(folder, folder.outcome_json, OUTCOME, digest, chain.tip)
    return Chain(render, staging, approvals, canary, outcome)


def _read(
    folder: ChangeFolder, path: Path, station: str, digest: str, before: Record | None
) -> Record:
    command = next_command(folder.change_id, station)
    record = read_record(path, kind=station, next_step=command)
    wanted = (folder.change_id, digest, before.sha256 if before else None)
    got = (record.change_id, record.digest, record.previous)
    for name, want, have in zip(("change_id", "digest", "previous"), wanted, got, strict=True):
        if want != have:
            raise Refused(
                f"The record {path.relative_to(folder.path)} does not fit the one before it",
                where=str(path),
                wanted=f"{name} {want}",
                got=f"{name} {have}",
                next_step=command,
            )
    return record


def _approvals(folder: ChangeFolder, digest: str, staging: Record) -> dict[str, Record]:
    approvals = {}
    for path in sorted(folder.approvals.glob("*.json")):
        record = read_record(
            path, kind=APPROVAL, next_step=next_command(folder.change_id, APPROVAL)
        )
        if (record.digest, record.previous) == (digest, staging.sha256):
            approvals[path.stem] = _read(folder, path, APPROVAL, digest, staging)
    if not approvals:
        raise Refused(
            f"The change {folder.change_id} is not approved",
            where=str(folder.approvals),
            wanted=f"an approval of the rehearsal {staging.sha256[:12]} of digest {digest[:12]}",
            got="none",
            next_step=next_command(folder.change_id, APPROVAL),
        )
    return approvals


def _canary(
    folder: ChangeFolder, digest: str, staging: Record, stage: int | None
) -> tuple[Record, ...]:
    records: list[Record] = []
    last = stage if stage is not None else last_stage(folder)
    for number in range(1, last + 1):
        before = records[-1] if records else staging
        record = _read(folder, folder.stage_json(number), CANARY, digest, before)
        if record.body.get("stage") != number:
            raise Refused(
                f"The record canary/{number}.json is of another stage",
                where=str(folder.stage_json(number)),
                wanted=f"stage {number}",
                got=f"stage {record.body.get('stage')!r}",
                next_step=next_command(folder.change_id, CANARY),
            )
        records.append(record)
    return tuple(records)


def last_stage(folder: ChangeFolder) -> int:
    """Give the number of the last stage that left a record; 0 when none did."""
    names = (path.stem for path in folder.plan_json.parent.glob("*.json"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def furthest_station(folder: ChangeFolder) -> str:
    """Give the last station that left a record, whether or not the chain up to it is intact."""
    if folder.outcome_json.exists():
        return OUTCOME
    if last_stage(folder):
        return CANARY
    if any(folder.approvals.glob("*.json")):
        return APPROVAL
    return STAGING if folder.staging_json.exists() else RENDER
