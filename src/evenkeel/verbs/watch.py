"""Watch: follow one host through a stage and write what it saw."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TypedDict, cast

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
from evenkeel.verbs.results import Result, StageRow

_LOADED_BY = os.getpid()


class PoolPolicy(TypedDict):
    """Of a pool's policy what the watch changes."""

    required: bool
    minimum_requests: int


class Policy(TypedDict, total=False):
    """The policy that the host's judge gets; the rest of it is as rendered."""

    minimum_requests: int
    watched_hosts: int
    pools: dict[str, PoolPolicy]
    probe: dict[str, object]


def watch_host(
    folder: ChangeFolder,
    stage: StageRow,
    host: str,
    observe: Observe,
    show: Callable[[str], None],
) -> Result:
    """Watch one host as canary, carrier or control for as long as the stage needs.

    Writes the host's result file and gives its verdict. Raises Refused when the change has no
    policy for the host, and any error of `observe`.
    """
    role = CANARY if host in stage["hosts"] else CARRIER if host in stage["carriers"] else CONTROL
    policy = policy_of(folder, host, stage)
    # The probe judges the new release alone.
    probe = rollout.load(folder).canary_probe if role != CONTROL else None
    if probe:
        policy["probe"] = dict(probe)
    watch = Watch(
        folder=folder.path,
        change_id=folder.change_id,
        stage=int(stage["number"]),
        host=host,
        role=role,
        canaries=tuple(stage["hosts"]),
        bake_seconds=float(stage["bake_seconds"]),
        lease_seconds=float(stage["lease_seconds"]),
        policy=policy,
        leased=host in stage["leased"],
    )
    if role == CANARY and watch.result_path(host).exists():
        return {"changed": False, "verdict": "fail"}
    try:
        result = follow(watch, _while_the_controller_lives(observe), show)
    except Exception as error:
        # The other hosts wait for this result.
        write_result(watch, "observe", "failed", {"error": {"what": str(error).splitlines()[0]}})
        raise
    return {"changed": False, "verdict": result["result"].get("verdict")}


def policy_of(folder: ChangeFolder, host: str, stage: StageRow) -> Policy:
    """Give the host's rendered policy with what the stage adds.

    The stage's minimum of requests binds the required pools only, since an idle pool must not
    block a stage. The hosts that carry the change share one risk of a false alarm. Raises Refused
    when the change has no policy for the host.
    """
    minimum = int(stage["minimum_requests"])
    for group in ledger.verify_chain(folder, ledger.RENDER).render.body["groups"]:
        if host not in group["hosts"]:
            continue
        policy = cast("Policy", dict(group["policy"]))
        policy["minimum_requests"] = minimum
        policy["watched_hosts"] = len(stage["hosts"]) + len(stage["carriers"])
        policy["pools"] = {
            name: {**pool, "minimum_requests": max(minimum, pool["minimum_requests"])}
            if pool["required"]
            else pool
            for name, pool in policy["pools"].items()
        }
        return policy
    raise Refused(
        f"The change holds no policy for {host}",
        where=str(folder.render_json),
        next_step="render the change for this host too, or leave it out with --limit",
    )


def _while_the_controller_lives(observe: Observe) -> Observe:
    """Give `observe` so that it ends this process when the controller's process is gone.

    Ansible's workers have their own process group, so they outlive a killed `ansible-playbook`.
    Such a worker must renew no lease and leave no result for a later attempt.
    """
    controller = _controller()

    def observed(options: dict[str, object], policy: bytes) -> Answer:
        _require_alive(controller)
        answer = observe(options, policy)
        _require_alive(controller)
        return answer

    return observed


def _controller() -> int:
    """Give the process id of the controller.

    Ansible loads a plugin before it forks the worker, so the process that loaded this module is the
    controller, also when it was killed before the worker started.
    """
    return _LOADED_BY if os.getpid() != _LOADED_BY else os.getppid()


def _require_alive(controller: int) -> None:
    if os.getppid() != controller:
        sys.exit("the controller is gone")
