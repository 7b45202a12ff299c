"""The verbs that run once, on the controller: from a task's arguments to a function and back.

`act` runs one; `VERBS` maps the word in a playbook to a function of (task, args, task_vars) that
gives the task's result. Each is a translation of a few lines; what is decided is decided in the
modules beside it, which are imported when their verb runs: a rollback must not wait for others.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused
from evenkeel.records import plain


class Task(Protocol):
    """What these verbs need of the task that they run in (see EvenkeelAction)."""

    @property
    def check_mode(self) -> bool: ...  # noqa: D102 - see EvenkeelAction
    @property
    def diff_mode(self) -> bool: ...  # noqa: D102 - see EvenkeelAction
    def change_folder(self, args: Mapping[str, Any]) -> Path: ...  # noqa: D102 - see EvenkeelAction
    def show(self, line: str) -> None: ...  # noqa: D102 - see EvenkeelAction


Args = Mapping[str, Any]
Verb = Callable[[Task, Args, Args], dict[str, Any]]


def _names(task_vars: Args) -> list[str]:
    """Every host that the play is for, whether or not it still answers, in inventory order."""
    return [str(name) for name in plain(task_vars["ansible_play_hosts_all"])]


def _registered(task_vars: Args, name: str) -> dict[str, Any]:
    """What the hosts' program answered in the task that registered `name`: {host: answer}."""
    answers = {}
    for host in _names(task_vars):
        value = task_vars["hostvars"][host].get(name) or {}
        answers[host] = plain(value.get("host") or {})
    return answers


def _rollout(task_vars: Args) -> Any:
    """Give the rollout that the inventory and `-e` ask for."""
    from evenkeel.verbs.rollout import from_inventory

    return from_inventory(_names(task_vars), task_vars["hostvars"])


def _render(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.report import write_report
    from evenkeel.verbs import render
    from evenkeel.verbs.by_hand import configurations, one_kind, require_one_template
    from evenkeel.verbs.host_facts import hosts_from_status
    from evenkeel.verbs.traffic import profile_diff, profile_of
    from evenkeel.verbs.waivers import declared_in

    names = _names(task_vars)
    hostvars = task_vars["hostvars"]
    kind = one_kind(names, hostvars)
    require_one_template(names, hostvars, kind)
    intents = {name: plain(hostvars[name].get("intent")) for name in names}
    answers = _registered(task_vars, "evenkeel_live")
    by_hand = configurations(names, hostvars, kind, Path(args["role_dir"]))
    hosts = hosts_from_status(names, intents, answers, by_hand)
    folder = ChangeFolder(task.change_folder(args))
    request = render.Request(
        folder=folder,
        author=str(args.get("author") or getpass.getuser()),
        title=str(args.get("title") or ""),
        balancer_kind=kind,
        role_dir=Path(args["role_dir"]),
        template=Path(args["template"]) if args.get("template") else None,
        fleet=tuple(args.get("fleet") or ()),
        scheduled=bool(args.get("scheduled")),
        not_before=str(args.get("not_before") or ""),
        not_after=str(args.get("not_after") or ""),
        rollout=_rollout(task_vars),
        declared=declared_in(names, hostvars),
        profile=profile_of(names, hostvars),
    )
    result = render.render(request, hosts, write=not task.check_mode)
    for line in result["summary"]:
        task.show(line)
    if task.diff_mode:
        carried = [host.carries for host in hosts.values()]
        result["diff"] = [
            {"prepared": result["diff_text"]},
            *profile_diff(folder, carried, request.profile),
        ]
    if not task.check_mode:
        write_report(folder)
    return {key: value for key, value in result.items() if key != "diff_text"}


def _validate(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import validate

    del task_vars
    folder = ChangeFolder(task.change_folder(args))
    if task.check_mode:
        validate.require_rendered(folder)
        return {"changed": not validate.passed_already(folder)}
    role_dir = Path(args["role_dir"]).resolve()
    result = validate.validate(folder, role_dir, role_dir.parent.parent, task.show)
    for line in result["summary"]:
        task.show(line)
    return result


def _approve(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.change import approval
    from evenkeel.report import write_report

    del task_vars
    folder = ChangeFolder(task.change_folder(args))
    key, signers = (Path(args[name]).expanduser() for name in ("key", "allowed_signers"))
    who = (str(args["person"]), key, signers)
    if task.check_mode:
        return {"changed": approval.given_before(folder, *who) is None}
    given = approval.approve(folder, *who)
    write_report(folder)
    return {"changed": given.changed, "expires": given.expires}


def _plan(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.program import build_of
    from evenkeel.verbs.preconditions import Gate, open_deploy
    from evenkeel.verbs.rollout import freezes

    gate = Gate(
        folder=ChangeFolder(task.change_folder(args)),
        hosts=_names(task_vars),
        answers=_registered(task_vars, "evenkeel_live"),
        allowed_signers=Path(args["allowed_signers"]).expanduser(),
        build=build_of(Path(args["role_dir"])),
        rollout=_rollout(task_vars),
        freeze_windows=freezes(_names(task_vars), task_vars["hostvars"]),
        forks=int(task_vars.get("ansible_forks") or 1),
        only=str(args.get("only") or ""),
        start_at=str(args.get("start_at") or ""),
        person=getpass.getuser(),
        # Ansible runs each task in a process of its own; the one above lives as long as the play.
        pid=os.getppid(),
    )
    return open_deploy(gate, write=not task.check_mode)


def _open_stage(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import deploy

    del task_vars
    if task.check_mode:
        return {"changed": False}
    return deploy.open_stage(ChangeFolder(task.change_folder(args)), int(args["stage"]))


def _close_stage(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import deploy

    del task_vars
    if task.check_mode:
        return {"changed": True, "held": False}
    stage = args["stage"]
    to_hold = stage["leased"] if stage["hold_seconds"] else None
    return deploy.close_stage(ChangeFolder(task.change_folder(args)), int(stage["number"]), to_hold)


def _hold(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import hold

    del task_vars
    return hold.hold(ChangeFolder(task.change_folder(args)), args["stage"])


def _require_confirmed(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import hold

    del task_vars
    if task.check_mode:
        return {"changed": False}
    return hold.require_confirmed(ChangeFolder(task.change_folder(args)), args["hosts"])


def _require_hosts(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import deploy

    if task.check_mode:
        return {"changed": False}
    alive = [str(name) for name in plain(task_vars["ansible_play_hosts"])]
    return deploy.require_hosts(ChangeFolder(task.change_folder(args)), alive)


def _outcome(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import deploy

    del task_vars
    if task.check_mode:
        return {"changed": True}
    return deploy.write_outcome(ChangeFolder(task.change_folder(args)))


def _choose_rollback(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import fleet

    del task
    answers = _registered(task_vars, "evenkeel_live")
    undo, to = str(args.get("undo") or ""), str(args.get("to") or "")
    return {"changed": False} | fleet.choose_rollback(answers, undo, to)


def _rollback_outcome(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import fleet

    if task.check_mode:
        return {"changed": False}
    return fleet.rollback_outcome(
        _names(task_vars),
        _registered(task_vars, "evenkeel_went"),
        undo=str(args.get("undo") or ""),
        to=str(args.get("to") or ""),
        changes_dir=Path(args["changes_dir"]).expanduser(),
    )


def _status(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.verbs import fleet

    del task, args
    table = fleet.status_table(_names(task_vars), _registered(task_vars, "evenkeel_live"))
    return {"changed": False, "evenkeel": {"recap": table}}


def _build_program(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    from evenkeel.program import build_of
    from evenkeel.verbs import fleet

    del task
    named = {name: task_vars["hostvars"][name].get("balancer_kind") for name in _names(task_vars)}
    unnamed = [name for name, kind in named.items() if not kind]
    if unnamed:
        raise Refused(
            "It is not said which balancer a host has",
            where=f"balancer_kind of {', '.join(unnamed)}",
            wanted="the kind of a role balancer_<kind>, such as haproxy",
            got="nothing",
            next_step="set it in the inventory",
        )
    kinds = sorted(map(str, set(named.values())))
    roles = {kind: Path(args["roles"]) / f"balancer_{kind}" for kind in kinds}
    builds = {kind: build_of(role) for kind, role in roles.items()}
    there = {name: task_vars["hostvars"][name].get("evenkeel_there") or {} for name in named}
    fleet.require_idle(
        {name: str(value.get("stdout") or "") for name, value in there.items()},
        {name: builds[str(kind)] for name, kind in named.items()},
    )
    return fleet.build_program(Path(args["output"]), roles.values())


VERBS: dict[str, Verb] = {
    "render": _render,
    "validate": _validate,
    "approve": _approve,
    "plan": _plan,
    "open_stage": _open_stage,
    "close_stage": _close_stage,
    "hold": _hold,
    "require_confirmed": _require_confirmed,
    "require_hosts": _require_hosts,
    "outcome": _outcome,
    "choose_rollback": _choose_rollback,
    "rollback_outcome": _rollback_outcome,
    "status": _status,
    "build_program": _build_program,
}


def act(task: Task, args: Args, task_vars: Args) -> dict[str, Any]:
    """Run the verb that `args` names and give the task's result."""
    verb = str(args["verb"])
    if not task.check_mode:
        return VERBS[verb](task, args, task_vars)
    from evenkeel.verbs.check_mode import on_the_controller

    return on_the_controller(verb, lambda: VERBS[verb](task, args, task_vars), args, task_vars)
