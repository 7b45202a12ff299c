"""The preconditions of a deploy: what must hold before any host is prepared."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

from evenkeel.canary import hold as holds
from evenkeel.canary import plan as plans
from evenkeel.canary import stage as stages
from evenkeel.canary.host_results import CONFIRM
from evenkeel.change import approval, ledger, rollout
from evenkeel.change.deploy_lock import take_deploy_lock
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.windows import require_open
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.host.system.fingerprint import DIGITS
from evenkeel.program import build_of
from evenkeel.remote import PROGRAM
from evenkeel.verbs.context import Context
from evenkeel.verbs.inventory import freezes, from_inventory
from evenkeel.verbs.results import DeployPlan, HostAnswer

# No lease is renewed between two parts.
SHORTEST_LEASE_OF_A_PART = 60


class Entry(TypedDict):
    """What the manifest says of one host: the digests of its base and its release."""

    base: str | None
    release: str


@dataclass(frozen=True)
class Deploy:
    """A deploy that wants to begin. `answers` maps a host to its answer to `status`.

    `build` is the on-host program that this controller works with (see `program.build_of`).
    `rollout` is what inventory and `-e` say now. `only` names one part, a stage's number or
    `confirm`; `start_at` the part at which `person` resumes a held deploy.
    """

    folder: ChangeFolder
    hosts: Sequence[str]
    answers: Mapping[str, HostAnswer]
    allowed_signers: Path
    build: str
    rollout: rollout.Rollout
    freeze_windows: Any
    forks: int
    only: str = ""
    start_at: str = ""
    person: str = ""
    # It lives as long as the deploy; optional.
    pid: int | None = None


def plan(context: Context) -> DeployPlan:
    """Let the change of the task pass and give the stages to run; see `open_deploy`."""
    args, names, hostvars = context.args, context.names, context.hostvars
    deploy = Deploy(
        folder=context.folder,
        hosts=names,
        answers=context.answers("evenkeel_live"),
        allowed_signers=Path(args["allowed_signers"]).expanduser(),
        build=build_of(Path(args["role_dir"])),
        rollout=from_inventory(names, hostvars),
        freeze_windows=freezes(names, hostvars),
        forks=int(context.task_vars.get("ansible_forks") or 1),
        only=str(args.get("only") or ""),
        start_at=str(args.get("start_at") or ""),
        person=getpass.getuser(),
        # The parent of this task's process lives on.
        pid=os.getppid(),
    )
    return open_deploy(deploy, write=not context.check_mode)


def open_deploy(deploy: Deploy, *, write: bool) -> DeployPlan:
    """Let an approved change pass and give the stages to run.

    Raises Refused, with no host touched, when the change is not approved, its rollout is not the
    approved one, it has an outcome, a freeze or its own window forbids it, or a host is not in the
    state that was reviewed. Without `write` nothing is written.
    """
    folder, only = deploy.folder, deploy.only
    if only and deploy.start_at:
        raise Refused(
            "A deploy begins at one part, and two are named",
            where="evenkeel_stage, canary_start_at",
            wanted="one of them",
            got=f"{only[:40]} and {deploy.start_at[:40]}",
            next_step="leave one of them out",
        )
    given = approval.verify(
        folder, deploy.allowed_signers, required=deploy.rollout.approvals_required
    )
    bound = rollout.require_same(folder, deploy.rollout)
    _require_undecided(folder)
    if only in ("", "1"):
        # A closing window must not stop a rollout.
        require_open(folder.change(), deploy.freeze_windows, datetime.now(UTC))
    _require_hosts(deploy)
    _require_build(deploy)
    # Hosts are watched at once, each from a fork.
    if deploy.forks < len(deploy.hosts):
        raise Refused(
            "Ansible has fewer forks than the change has hosts, so it cannot watch all at once",
            where="forks in ansible.cfg",
            wanted=f"at least {len(deploy.hosts)}",
            got=str(deploy.forks),
            next_step=f"add --forks {len(deploy.hosts)}, or name fewer hosts with --limit",
        )
    ordered = [host for host in bound.hosts if host in deploy.hosts]
    shortest = SHORTEST_LEASE_OF_A_PART if only else 0
    lease_seconds = max(bound.canary_lease_seconds, shortest)
    wanted = plans.plan(ordered, bound.canary_stages, lease_seconds)
    settled = plans.confirmed_hosts(deploy.answers, folder.change_id)
    # The signed digest: the folder may have changed since.
    digest = given[0].digest if given else folder.digest()
    if write and deploy.pid is not None:
        take_deploy_lock(folder, deploy.pid)
    stored = plans.keep(folder, wanted) if write else wanted
    if deploy.start_at:
        held = holds.resume(
            folder, stored, deploy.start_at, deploy.answers, deploy.person, write=write
        )
        part = plans.part_to_run(stored, bound, settled, held=held)
    else:
        if write and only in ("", "1"):
            # A killed attempt's answers are no evidence.
            shutil.rmtree(folder.path / "hosts", ignore_errors=True)
            folder.outcome_json.unlink(missing_ok=True)
        if only == CONFIRM:
            stages.require_passed(folder, len(stored.stages))
        part = plans.part_to_run(stored, bound, settled, only=only)
    return cast("DeployPlan", {"changed": False, "digest": digest, **part})


def _require_undecided(folder: ChangeFolder) -> None:
    if not folder.outcome_json.exists():
        return
    outcome = ledger.verify_chain(folder, ledger.OUTCOME).outcome
    said = outcome.body.get("outcome") if outcome else None
    # It touched nothing, so it may try again.
    if said == "refused":
        return
    raise Refused(
        f"The change {folder.change_id} was decided already",
        where=str(folder.outcome_json),
        got=f"outcome {said}",
        next_step="render what you want now as a new change",
    )


def _require_hosts(deploy: Deploy) -> None:
    """Raise Problems unless every host answers and has live what was reviewed, or this change."""
    entries = deploy.folder.manifest()["hosts"]
    change = deploy.folder.change_id
    problems = []
    for host in deploy.hosts:
        answer = deploy.answers.get(host)
        if host not in entries:
            problems.append(Problem(host, "a host that the change was rendered for", "a new host"))
        elif not answer:
            problems.append(Problem(host, "an answer to status", "none: it cannot be reached"))
        elif problem := problem_of_host(host, entries[host], answer, change):
            problems.append(problem)
    if problems:
        raise Problems(
            "The fleet has changed since the change was reviewed",
            problems,
            where=str(deploy.folder.path),
            next_step="render the change again under a new id, or mend the hosts that are named",
        )


def problem_of_host(host: str, entry: Entry, answer: HostAnswer, change: str) -> Problem | None:
    """Give why a host is not in the state that was reviewed; None when it is."""
    live = answer.get("live") or {}
    holder = (answer.get("pending") or {}).get("change")
    if holder and holder != change:
        return Problem(host, "no change under way", f"change {holder} holds it")
    if answer.get("drift"):
        return Problem(host, "the live files as they were rendered", "files changed by hand")
    release = live.get("release")
    if release not in (entry["base"], entry["release"]):
        base = str(entry["base"])[:12]
        # It names the change that was deployed first.
        whose = f", of change {live['change']}" if live.get("change") else ""
        return Problem(host, f"base {base} live", f"{str(release)[:12]} live{whose}")
    return None


def _require_build(deploy: Deploy) -> None:
    """Raise Problems when a host has another program than this controller was made with.

    It may not understand the options of the watch, and would refuse only when the change is live.
    To confirm needs no watch.
    """
    if CONFIRM in (deploy.only, deploy.start_at):
        return
    problems, watching = [], False
    for host in deploy.hosts:
        build = deploy.answers[host].get("build")
        if build == deploy.build:
            continue
        got = f"build {str(build)[:DIGITS]}" if build else "files that it cannot read itself"
        if build is None:
            got = "an earlier version, which has no build"
        problems.append(Problem(host, f"build {deploy.build}", got))
        watching = watching or bool(deploy.answers[host].get("pending"))
    if not problems:
        return
    next_step = "run playbooks/install.yml on the hosts that are named, then deploy again"
    if watching:
        # No program is replaced while it watches a change.
        next_step = "go on from the checkout that began it, or take it back: scripts/rollback"
    raise Problems(
        "Hosts have another on-host program, or another driver, than this controller",
        problems,
        where=PROGRAM,
        next_step=next_step,
    )
