"""The rollout of a change in words: who is reached when, and what is decided by whom."""

from __future__ import annotations

from collections.abc import Iterator

from evenkeel.canary.plan import plan
from evenkeel.change.rollout import BY_STAGE, HOLD, STANDBY, Place, Rollout
from evenkeel.report.words import few

MOST_HOSTS = 12


def rollout_lines(rollout: Rollout) -> Iterator[str]:
    """Give what an approver reads of it, line by line."""
    places = {place.host: place for place in rollout.places}
    for stage in plan(rollout.hosts, rollout.canary_stages).stages:
        hosts = few([_host(places[host]) for host in stage.hosts], MOST_HOSTS)
        yield (
            f"stage {stage.number}: {hosts}; up to {stage.bake_seconds} s, "
            f"at least {stage.minimum_requests} requests"
        )
    if rollout.canary_confirm == BY_STAGE:
        yield "each stage is confirmed as it passes; when a later one fails, all of them go back"
    else:
        yield "nothing is confirmed before every stage has passed"
    if rollout.canary_on_inconclusive == HOLD:
        yield (
            f"without a clear verdict the hosts keep the change for {rollout.canary_hold_seconds} "
            "s, until a person decides"
        )
    else:
        yield "without a clear verdict every host goes back"
    yield f"a host that hears nothing for {rollout.canary_lease_seconds} s goes back by itself"
    probe = rollout.canary_probe
    if probe:
        yield (
            f"each host under watch sends itself {probe['requests_per_second']} requests a second: "
            f"listener {probe['listener']}, host {probe['host']}, path {probe['path']}"
        )
    yield f"approvals it needs: {rollout.approvals_required}"


def _host(place: Place) -> str:
    about = [
        word for word in (place.zone, place.ha_role if place.ha_role == STANDBY else "") if word
    ]
    return f"{place.host} ({', '.join(about)})" if about else place.host
