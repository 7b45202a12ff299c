"""The rollout of a change in words: which hosts come when, and who decides."""

from __future__ import annotations

from collections.abc import Iterator

from evenkeel.canary.plan import plan
from evenkeel.change.rollout import BY_STAGE, HOLD, STANDBY, Rollout
from evenkeel.report.tones import few

MOST_HOSTS = 12


def rollout_lines(rollout: Rollout) -> Iterator[str]:
    """Give the lines that an approver reads."""
    names: dict[str, str] = {}
    for place in rollout.places:
        about = (place.zone, place.ha_role if place.ha_role == STANDBY else "")
        known = ", ".join(filter(None, about))
        names[place.host] = f"{place.host} ({known})" if known else place.host
    for stage in plan(rollout.hosts, rollout.canary_stages).stages:
        hosts = few([names[host] for host in stage.hosts], MOST_HOSTS)
        yield (
            f"stage {stage.number}: {hosts}; up to {stage.bake_seconds} s, "
            f"at least {stage.minimum_requests} requests"
        )
    if rollout.canary_confirm == BY_STAGE:
        yield "each stage is confirmed when it passes; if a later one fails, all of them go back"
    else:
        yield "nothing is confirmed before every stage has passed"
    if rollout.canary_on_inconclusive == HOLD:
        yield (
            "without a clear verdict the hosts keep the change for "
            f"{rollout.canary_hold_seconds} s, until a person decides"
        )
    else:
        yield "without a clear verdict every host goes back"
    lease = rollout.canary_lease_seconds
    yield f"a host whose lease is not renewed for {lease} s goes back by itself"
    probe = rollout.canary_probe
    if probe:
        yield (
            f"each watched host sends itself {probe['requests_per_second']} requests a second: "
            f"listener {probe['listener']}, host {probe['host']}, path {probe['path']}"
        )
    yield f"approvals required: {rollout.approvals_required}"
