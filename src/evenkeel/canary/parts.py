"""Which parts of a plan one run of the deploy carries out, and who is under lease in each.

A deploy is a list of stages and then the confirm. A run takes all of it, one part (a scheduler
decides between parts), or what is left after a hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evenkeel.canary.hold import CONFIRM
from evenkeel.canary.plan import Plan, Stage
from evenkeel.change.rollout import BY_STAGE, HOLD, Rollout
from evenkeel.errors import Refused

Object = Mapping[str, Any]


def chosen(
    plan: Plan, rollout: Rollout, confirmed: Iterable[str], *, only: str = "", held: int = 0
) -> dict[str, Any]:
    """Give what a run does: its stages, whether it prepares and confirms, and who has a lease.

    `confirmed` are the hosts that have confirmed the change already. `only` names one part; after a
    hold, `held` is the stage that was held, and all that comes after it is done. Raises Refused
    when there is no such part.
    """
    by_stage = rollout.canary_confirm == BY_STAGE
    first = list(plan.stage(held).hosts) if held and by_stage else []
    settled = {*confirmed, *first}
    rows = []
    for stage in _stages(plan, only, held):
        rows.append(_row(stage, rollout, settled))
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
    return (plan.stage(_number(only)),) if only else plan.stages[held:]


def _row(stage: Stage, rollout: Rollout, settled: set[str]) -> dict[str, Any]:
    """One stage as the playbook takes it: `leased` has to be renewed, the others are confirmed."""
    carrying = [*stage.carriers, *stage.hosts]
    return stage.as_dict() | {
        "leased": [host for host in carrying if host not in settled],
        "confirm": rollout.canary_confirm == BY_STAGE,
        "hold_seconds": (
            rollout.canary_hold_seconds if rollout.canary_on_inconclusive == HOLD else 0
        ),
    }


def settled_hosts(answers: Mapping[str, Object], change: str) -> list[str]:
    """Give the hosts whose answer to `status` says that they have confirmed `change`."""
    lives = {host: answer.get("live") or {} for host, answer in answers.items()}
    return [
        host for host, live in lives.items() if live.get("confirmed") and live["change"] == change
    ]


def _number(text: str) -> int:
    if text.isdecimal():
        return int(text)
    raise Refused(
        "There is no such part of a deploy",
        where="evenkeel_stage",
        wanted=f"a stage's number or {CONFIRM}",
        got=text[:40],
        next_step="leave it out to deploy the whole change",
    )
