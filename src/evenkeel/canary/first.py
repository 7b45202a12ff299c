"""In the first stage one host goes before the others: who gets it gets the fleet.

Two changes that are deployed at the same time both find the hosts free. If each took whatever host
it reached first, both could hold some and neither all, and both would go back. So the first host
of the plan decides: a change that does not get it touches no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from evenkeel.canary import plan as plans
from evenkeel.canary.host_results import ACTIVATE, host_results
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused

# Longer than the slowest activation: a round trip, the host's lock, a reload at its limit.
LONGEST_WAIT_SECONDS = 150.0
LOOK_SECONDS = 0.05


def wait_for_first_host(
    folder: ChangeFolder,
    number: int,
    host: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the first host of the plan has taken the change, before `host` does.

    It has an effect in stage 1 alone: later ones begin on the record of a stage that passed. Raises
    Refused when that host did not take the change.
    """
    if number != 1:
        return
    plan = plans.load(folder)
    first = plan.hosts[0]
    if host == first:
        return
    until = clock() + LONGEST_WAIT_SECONDS
    said = ""
    # What an earlier attempt left is gone: the gate and the opening of the stage saw to that.
    while clock() < until and not said:
        answer = host_results(folder, plan, verbs=(ACTIVATE,))[first].get(ACTIVATE)
        if answer and answer.get("status") == "ok":
            return
        if answer or (folder.stage_results(number) / f"{first}.json").exists():
            error = (answer or {}).get("result", {}).get("error") or {}
            said = str(error.get("what") or "it gave no answer")
        else:
            sleep(LOOK_SECONDS)
    raise Refused(
        f"{first} goes first and did not take the change, so {host} is left alone",
        where=host,
        wanted=f"the change activated on {first}",
        got=said or f"no answer of {first} within {LONGEST_WAIT_SECONDS:g} s",
        next_step=f"see what {first} said",
    )
