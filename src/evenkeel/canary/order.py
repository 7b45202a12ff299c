"""The order in which hosts are reached: those whose loss would be felt least go first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from evenkeel.change.rollout import STANDBY, Place


def order(places: Iterable[Place]) -> tuple[Place, ...]:
    """Give `places` in the order of a rollout.

    A standby comes before every active host: nobody is served by it. Among the standbys, and then
    among the active hosts, one of each zone comes before any further one of a zone, counting those
    that are reached already, so that no zone loses two before another has shown that one is well.
    Hosts without a zone are one zone. What is left of the order is the one they came in.
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
