"""The gate of a deploy: what a change has to get past before any host is prepared."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evenkeel.canary import hold as holds
from evenkeel.canary import parts
from evenkeel.canary import plan as plans
from evenkeel.canary import stage as stages
from evenkeel.canary.host_results import CONFIRM
from evenkeel.change import approval, ledger, rollout
from evenkeel.change.deploy_lock import take_deploy_lock
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.windows import require_open
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.host.system.fingerprint import DIGITS
from evenkeel.remote import PROGRAM

# Between two calls of a scheduled deploy nobody renews a lease, so it has to cover the time that
# the next one needs to start and to ask every host for its state.
SHORTEST_LEASE_OF_A_PART = 60


@dataclass(frozen=True)
class Gate:
    """What a deploy has to get past. `answers` maps a host to its answer to `status`.

    `build` is the on-host program that this controller speaks with (see `program.build_of`).
    `rollout` is what inventory and `-e` say now. `only` names one part, a stage's number or
    `confirm`; `start_at` the part that `person` lets a held deploy go on with.
    """

    folder: ChangeFolder
    hosts: Sequence[str]
    answers: Mapping[str, Mapping[str, Any]]
    allowed_signers: Path
    build: str
    rollout: rollout.Rollout
    freeze_windows: Sequence[Mapping[str, Any]]
    forks: int
    only: str = ""
    start_at: str = ""
    person: str = ""
    # The process that lives as long as this deploy does; none for a check that writes nothing.
    pid: int | None = None


def open_deploy(gate: Gate, *, write: bool) -> dict[str, Any]:
    """Let an approved change pass and give the stages to run.

    Raises Refused (nothing was touched) when the change is not approved, or to be deployed in
    another way than was approved, was decided already, a freeze or its own window keeps it out, or
    a host is not in the state that was reviewed.
    """
    folder = gate.folder
    if gate.only and gate.start_at:
        raise Refused(
            "A deploy is told twice which part to begin with",
            where="evenkeel_stage, canary_start_at",
            wanted="one of them",
            got=f"{gate.only[:40]} and {gate.start_at[:40]}",
            next_step="leave one of them out",
        )
    given = approval.verify(folder, gate.allowed_signers, required=gate.rollout.approvals_required)
    bound = rollout.require_same(folder, gate.rollout)
    _require_undecided(folder)
    if gate.only in ("", "1"):
        # A window that ends in the middle of a good rollout must not take it back.
        require_open(folder.change(), gate.freeze_windows, datetime.now(UTC))
    _require_hosts(gate)
    _require_build(gate)
    _require_forks(gate)
    ordered = [host for host in bound.hosts if host in gate.hosts]
    wanted = plans.plan(ordered, bound.canary_stages, _lease_seconds(bound, gate.only))
    settled = parts.settled_hosts(gate.answers, folder.change_id)
    # The one that was signed for, whatever lies there by now: every host's release is held to it.
    about = {"changed": False, "digest": given[0].digest if given else folder.digest()}
    if write and gate.pid is not None:
        take_deploy_lock(folder, gate.pid)
    plan = plans.keep(folder, wanted) if write else wanted
    if gate.start_at:
        held = holds.resume(folder, plan, gate.start_at, gate.answers, gate.person, write=write)
        return about | parts.chosen(plan, bound, settled, held=held)
    if write and gate.only in ("", "1"):
        # What hosts answered to an earlier, killed attempt says nothing of this one.
        shutil.rmtree(folder.path / "hosts", ignore_errors=True)
        folder.outcome_json.unlink(missing_ok=True)
    if gate.only == CONFIRM:
        stages.require_passed(folder, len(plan.stages))
    return about | parts.chosen(plan, bound, settled, only=gate.only)


def _lease_seconds(bound: rollout.Rollout, only: str) -> int:
    """Give the lease of the hosts; between the parts of a deploy Ansible is started anew."""
    return max(bound.canary_lease_seconds, SHORTEST_LEASE_OF_A_PART if only else 0)


def _require_forks(gate: Gate) -> None:
    """Every host is watched at the same time, so each needs a fork of Ansible's to itself."""
    if gate.forks < len(gate.hosts):
        raise Refused(
            "Ansible has fewer forks than the change has hosts: not all could be watched at once",
            where="forks in ansible.cfg",
            wanted=f"at least {len(gate.hosts)}",
            got=str(gate.forks),
            next_step=f"add --forks {len(gate.hosts)}, or name fewer hosts with --limit",
        )


def _require_undecided(folder: ChangeFolder) -> None:
    # One that was refused touched nothing, so it may try again.
    if not folder.outcome_json.exists():
        return
    outcome = ledger.verify_chain(folder, ledger.OUTCOME).outcome
    said = outcome.body.get("outcome") if outcome else None
    if said == "refused":
        return
    raise Refused(
        f"The change {folder.change_id} was decided already",
        where=str(folder.outcome_json),
        got=f"outcome {said}",
        next_step="render what you want now as a change of its own",
    )


def _require_hosts(gate: Gate) -> None:
    """Every host answers, and has live what was reviewed (or this change, after a crash)."""
    entries = gate.folder.manifest()["hosts"]
    change = gate.folder.change_id
    faults = []
    for host in gate.hosts:
        answer = gate.answers.get(host)
        if host not in entries:
            faults.append(Problem(host, "a host that the change was rendered for", "a new host"))
        elif not answer:
            faults.append(Problem(host, "an answer to status", "none: it cannot be reached"))
        else:
            faults += _faults_of_host(host, entries[host], answer, change)
    if faults:
        raise Problems(
            "The fleet is not as it was when the change was reviewed",
            faults,
            where=str(gate.folder.path),
            next_step="render the change again under a new id, or mend the hosts that are named",
        )


def _require_build(gate: Gate) -> None:
    """Every host has the program that this controller was made with.

    Another one may not understand how it is asked to watch, and would say so only when the change
    is live. To confirm what was watched nothing is asked anew.
    """
    if CONFIRM in (gate.only, gate.start_at):
        return
    other = {
        host: build
        for host in gate.hosts
        if (build := gate.answers[host].get("build")) != gate.build
    }
    faults = [
        Problem(host, f"build {gate.build}", _in_words(build)) for host, build in other.items()
    ]
    if not faults:
        return
    next_step = "run playbooks/install.yml on the hosts that are named, then deploy again"
    if any(gate.answers[host].get("pending") for host in other):
        # No program is replaced under a change.
        next_step = "go on from the checkout that began it, or take it back: scripts/rollback"
    raise Problems(
        "Hosts have another on-host program, or another driver, than this controller",
        faults,
        where=PROGRAM,
        next_step=next_step,
    )


def _in_words(build: object) -> str:
    if build is None:
        return "an earlier version, which does not say"
    return f"build {str(build)[:DIGITS]}" if build else "files that it cannot read itself"


def _faults_of_host(
    host: str, entry: Mapping[str, Any], answer: Mapping[str, Any], change: str
) -> list[Problem]:
    live = answer.get("live") or {}
    pending = answer.get("pending") or {}
    holder = pending.get("change")
    if holder and holder != change:
        return [Problem(host, "no change under way", f"change {holder} holds it")]
    if answer.get("drift"):
        return [Problem(host, "the live files as they were rendered", "files changed by hand")]
    release = live.get("release")
    if release not in (entry["base"], entry["release"]):
        base = str(entry["base"])[:12]
        # So that who deploys sees at once who was faster.
        whose = f", of change {live['change']}" if live.get("change") else ""
        return [Problem(host, f"base {base} live", f"{str(release)[:12]} live{whose}")]
    return []
