"""Watch: follow one host through a stage, by its part in it, and leave what became of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from evenkeel.canary.watch import (
    CANARY,
    CARRIER,
    CONTROL,
    Observe,
    Watch,
    follow,
    write_result,
)
from evenkeel.change import ledger, rollout
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused
from evenkeel.remote import Answer

_LOADED_BY = os.getpid()


def watch_host(
    folder: ChangeFolder,
    stage: Mapping[str, Any],
    host: str,
    observe: Observe,
    show: Callable[[str], None],
) -> dict[str, Any]:
    """Watch one host for as long as the stage needs, by its part in it, and give what it saw."""
    role = CANARY if host in stage["hosts"] else CARRIER if host in stage["carriers"] else CONTROL
    watch = Watch(
        folder=folder.path,
        change_id=folder.change_id,
        stage=int(stage["number"]),
        host=host,
        role=role,
        canaries=tuple(stage["hosts"]),
        bake_seconds=float(stage["bake_seconds"]),
        lease_seconds=float(stage["lease_seconds"]),
        policy=_policy(folder, host, stage) | _probe(folder, role),
        leased=host in stage["leased"],
    )
    if role == CANARY and watch.result_path(host).exists():
        return {"changed": False, "verdict": "fail"}
    try:
        result = follow(watch, _while_the_controller_lives(observe), show)
    except Exception as error:
        # The others end their watch when this host is decided, and a host that fell silent is.
        write_result(watch, "observe", "failed", {"error": {"what": str(error).splitlines()[0]}})
        raise
    return {"changed": False, "verdict": result["result"].get("verdict")}


def _probe(folder: ChangeFolder, role: str) -> dict[str, Any]:
    """Give what a host that carries the change sends itself; a control serves its own alone."""
    wanted = rollout.load(folder).canary_probe if role != CONTROL else None
    return {"probe": dict(wanted)} if wanted else {}


def _while_the_controller_lives(observe: Observe) -> Observe:
    """Give `observe`, ending this process once the one that started it is gone.

    Ansible's workers leave the process group of `ansible-playbook`, so they outlive it when it is
    killed. A lease must not be renewed by one, and what it saw must not count for a later attempt.
    """
    controller = _controller()

    def observed(options: dict[str, object], policy: bytes) -> Answer:
        _require_alive(controller)
        answer = observe(options, policy)
        _require_alive(controller)
        return answer

    return observed


def _controller() -> int:
    """Give the process that this one must not outlive.

    Ansible loads a plugin before it forks the worker that runs it, so the process that loaded this
    module is the controller, even when it was killed before the worker got as far as to look.
    """
    return _LOADED_BY if os.getpid() != _LOADED_BY else os.getppid()


def _require_alive(controller: int) -> None:
    if os.getppid() != controller:
        sys.exit("the controller is gone")


def _policy(folder: ChangeFolder, host: str, stage: Mapping[str, Any]) -> dict[str, Any]:
    """Give the policy that the change was rendered with, with what the stage adds.

    The requests that it wants bind the pools that a canary may not pass without; an idle pool must
    not block a stage. The hosts that carry the change share one risk of a false alarm.
    """
    minimum_requests = int(stage["minimum_requests"])
    render = ledger.verify_chain(folder, ledger.RENDER).render
    for group in render.body["groups"]:
        if host in group["hosts"]:
            policy: dict[str, Any] = group["policy"]
            pools = {
                name: pool | {"minimum_requests": max(minimum_requests, pool["minimum_requests"])}
                if pool["required"]
                else pool
                for name, pool in policy["pools"].items()
            }
            return policy | {
                "minimum_requests": minimum_requests,
                "watched_hosts": len(stage["hosts"]) + len(stage["carriers"]),
                "pools": pools,
            }
    raise Refused(f"The change holds no policy for {host}", where=str(folder.render_json))
