"""What a change declares: policy findings that it waives, and shifts of shares that it wants.

A declared shift lets one server of one pool move up to the declared amount, and no further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenkeel.balancer.dialect import load_dialect
from evenkeel.change import findings
from evenkeel.change.declarations import OF_THE_REHEARSAL, of_manifest
from evenkeel.change.folder import ChangeFolder
from evenkeel.rehearsal.protocol.check import Check, check
from evenkeel.rehearsal.protocol.world_types import PoolFacts, World

# A measured share may miss the declared one by this.
ROUNDING_POINTS = 2.0


def waived_requests(
    manifest: Mapping[str, Any],  # of any release's schema
) -> dict[str, str]:
    """Give {subject: reason} of the waivers of the check `asked` that hold today."""
    return {
        waiver.subject: waiver.reason
        for waiver in of_manifest(manifest).waivers
        if waiver.rule in OF_THE_REHEARSAL and waiver.holds(findings.today())
    }


class Policy:
    """The policy of one change, judged once for all of its bundles."""

    def __init__(self, folder: ChangeFolder, role_dir: Path) -> None:
        self._shifts = of_manifest(folder.manifest()).intended_shifts
        self._judged = findings.of_folder(folder, load_dialect(role_dir), findings.today())

    def checks(self, hosts: Sequence[str]) -> list[Check]:
        """Give the checks of the policy rules for these hosts."""
        return [
            check(one["id"], one["title"], one["verdict"], one["numbers"], one["reasons"])
            for one in findings.checks(self._judged, hosts)
        ]

    def declared_in(self, world: World) -> World:
        """Give the world with the declared shifts of each of its pools."""
        pools = dict(world["pools"])
        for shift in self._shifts:
            if shift.pool in pools:
                declared = dict(pools[shift.pool]["declared_shifts"])
                declared[shift.server] = {"points": shift.points, "to_percent": shift.to_percent}
                pools[shift.pool] = {**pools[shift.pool], "declared_shifts": declared}
        return {**world, "pools": pools}


def is_declared(
    pool: PoolFacts,
    server: str,
    before: float | None,
    after: float | None,
    points: float | None = None,
) -> bool:
    """Whether the change declares that the share of `server` moves this far.

    `before` and `after` are fractions of 1; `points` is the shift where it is counted otherwise.
    """
    declared = pool["declared_shifts"].get(server)
    if declared is None or after is None:
        return False
    after, before = after * 100, (before or 0.0) * 100
    if declared["to_percent"] is not None:
        ends = (before, float(declared["to_percent"]))
        return min(ends) - ROUNDING_POINTS <= after <= max(ends) + ROUNDING_POINTS
    moved = abs(after - before if points is None else points)
    return moved <= float(declared["points"] or 0.0) + ROUNDING_POINTS
