"""The order in which hosts get a change, and why all of them wait for the first one.

Two deploys at the same time both find the hosts free. If each took the host that it reached first,
both could hold some hosts, and both would go back. So the first host of the plan decides: a change
that does not get this host touches no other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from evenkeel.canary import plan as plans
from evenkeel.canary.host_results import ACTIVATE, host_results
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.rollout import STANDBY, Place
from evenkeel.errors import Refused

# Longer than the slowest activation: round trip, lock, reload.
LONGEST_WAIT_SECONDS = 150.0
LOOK_SECONDS = 0.05


def order(places: Iterable[Place]) -> tuple[Place, ...]:
    """Give `places` in the order of a rollout: those whose loss hurts least go first.

    Every standby comes before every active host, since it serves no users. Within each of the two,
    a zone gets its next host only when every other zone has got as many, counting the standbys. So
    no zone loses two hosts before another has shown that one is well. Hosts without a zone are one
    zone. Otherwise the order of `places` is kept.
    """
    given = tuple(places)
    reached: Counter[str] = Counter()
    ordered: list[Place] = []
    for standby in (True, False):
        rows: list[tuple[int, int, Place]] = []
        for position, place in enumerate(given):
            if (place.ha_role == STANDBY) is standby:
                rows.append((reached[place.zone], position, place))
                reached[place.zone] += 1
        ordered += [place for _, _, place in sorted(rows, key=lambda row: row[:2])]
    return tuple(ordered)


def wait_for_first_host(
    folder: ChangeFolder,
    number: int,
    host: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return once the first host of the plan has the change; `host` may take it then.

    Only stage 1 waits: later ones begin on the record of a stage that passed. Raises Refused when
    the first host did not take the change.
    """
    if number != 1:
        return
    plan = plans.load(folder)
    first = plan.hosts[0]
    if host == first:
        return
    until = clock() + LONGEST_WAIT_SECONDS
    said = ""
    # The opening of the stage removed earlier results.
    while clock() < until and not said:
        answer = host_results(folder, plan, verbs=(ACTIVATE,))[first].get(ACTIVATE)
        if answer and answer.get("status") == "ok":
            return
        if answer or (folder.stage_results(number) / f"{first}.json").exists():
            error = (answer.get("result") or {}).get("error") if answer else None
            said = str((error or {}).get("what") or "it gave no answer")
        else:
            sleep(LOOK_SECONDS)
    raise Refused(
        f"{first} goes first and did not take the change, so {host} is left alone",
        where=host,
        wanted=f"the change activated on {first}",
        got=said or f"no answer from {first} within {LONGEST_WAIT_SECONDS:g} s",
        next_step=f"read what {first} answered above",
    )
