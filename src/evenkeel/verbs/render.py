"""Render: from the intent of each host to a bundle, its digest and the forecast of its effect.

After this nothing is rendered again. The same intent over the same base gives the same digest, so
rendering a change twice leaves what was rehearsed and approved of it standing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenkeel import __version__
from evenkeel.canary.judge_settings import canary_policy
from evenkeel.change import findings, ledger
from evenkeel.change.bundle import FleetBundle, manifest, render_fleet
from evenkeel.change.canary_probe import misplaced
from evenkeel.change.declarations import Declared
from evenkeel.change.dialect import Dialect, load_dialect
from evenkeel.change.difference import fleet_diff
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.rollout import FILE as ROLLOUT_JSON
from evenkeel.change.rollout import Rollout, is_written
from evenkeel.errors import Problems, Refused
from evenkeel.forecast import NOTHING, forecast
from evenkeel.host.state.archive import release_digest
from evenkeel.records import (
    Record,
    canonical_json,
    check_text,
    sha256_of,
    utc_now,
    write_atomically,
    write_record,
)
from evenkeel.verbs.host_facts import Host, intent_before
from evenkeel.verbs.rollout import from_inventory
from evenkeel.verbs.traffic import traffic_lines
from evenkeel.verbs.waivers import Marks, judge_policy, policy_lines


@dataclass(frozen=True)
class Request:
    """One change to render. Times are ISO 8601 UTC; an empty one does not bind.

    `fleet` names all hosts of the fleet, also those that this change leaves out. `rollout` is how
    it goes over its hosts; without one, as an inventory that says nothing of it has it. `declared`
    is what the change waives and which shifts it intends. `profile` is the traffic profile that the
    rehearsal follows, as it was checked; None for the default.
    """

    folder: ChangeFolder
    author: str
    title: str
    balancer_kind: str
    role_dir: Path
    template: Path | None = None
    fleet: tuple[str, ...] = ()
    scheduled: bool = False
    not_before: str = ""
    not_after: str = ""
    rollout: Rollout | None = None
    declared: Declared = field(default_factory=Declared)
    profile: bytes | None = None


def render(request: Request, hosts: Mapping[str, Host], *, write: bool) -> dict[str, Any]:
    """Render the change for `hosts` and give its digest, summary lines and whether it is new.

    With `write` False nothing is left behind. Raises Problems for an intent that is wrong, Refused
    for a change that was deployed already.
    """
    check_text(request.author, "change_author")
    check_text(request.title, "change_title")
    started = utc_now()
    folder = request.folder
    if folder.plan_json.exists():
        raise Refused(
            f"The change {folder.change_id} was deployed already",
            where=str(folder.path),
            next_step="give what you want now a change id of its own",
        )
    bundle = _bundle(request, hosts)
    value = _manifest(request, hosts, bundle)
    digest = sha256_of(canonical_json(value))
    dialect = load_dialect(request.role_dir)
    befores = {
        # Nothing is known beforehand of what a person wrote.
        host: None
        if bundle.intents[host].get("by_hand")
        else intent_before(folder.path.parent, host, hosts[host])
        for host in hosts
    }
    judged = judge_policy(dialect, hosts, bundle, befores, request.declared)
    findings.require_no_stop(judged)
    groups = _forecasts(dialect, hosts, bundle, befores)
    rollout = request.rollout or from_inventory(list(hosts), {host: {} for host in hosts})
    _require_listeners(rollout, bundle)
    rendered = _is_rendered(folder, digest)
    unchanged = rendered and is_written(folder, rollout)
    if write and not rendered:
        _write(request, hosts, bundle, value, groups, digest, started)
        folder.write_json(findings.FILE, judged)
    if write and not unchanged:
        # After the rest: another rollout makes an approval void, never a rehearsal.
        folder.write_json(ROLLOUT_JSON, rollout.as_dict())
    return {
        "changed": not unchanged,
        "digest": digest,
        "folder": str(folder.path),
        "hosts": sorted(hosts),
        "summary": [
            *(line for group in groups for line in _summary(group)),
            *policy_lines(judged),
            *traffic_lines(request.profile),
        ],
        "diff_text": _diff_text(hosts, bundle),
    }


def _bundle(request: Request, hosts: Mapping[str, Host]) -> FleetBundle:
    return render_fleet(
        {host: facts.intent for host, facts in hosts.items() if facts.by_hand is None},
        role_dir=request.role_dir,
        template=request.template,
        fleet=request.fleet,
        by_hand={host: facts.by_hand for host, facts in hosts.items() if facts.by_hand is not None},
    )


def _manifest(request: Request, hosts: Mapping[str, Host], bundle: FleetBundle) -> dict[str, Any]:
    bases = {
        host: release_digest(dict(facts.live)) if facts.live is not None else None
        for host, facts in hosts.items()
    }
    about = (request.folder.change_id, request.author, request.balancer_kind)
    return manifest(*about, bundle, bases, request.declared.as_dict(), request.profile)


def _require_listeners(rollout: Rollout, bundle: FleetBundle) -> None:
    faults = misplaced(rollout.canary_probe, bundle.intents)
    if faults:
        raise Problems(
            "The probe has no listener that it could be sent to",
            faults,
            where="canary_probe in the inventory",
            next_step="name an http listener that every host of the change has",
        )


def _is_rendered(folder: ChangeFolder, digest: str) -> bool:
    """Whether all of this digest is there, unaltered: to render again also mends a bundle."""
    try:
        return folder.verify_bundle() == digest and folder.render_json.exists()
    except Refused:
        return False


def _forecasts(
    dialect: Dialect,
    hosts: Mapping[str, Host],
    bundle: FleetBundle,
    befores: Mapping[str, dict[str, Any] | None],
) -> list[dict[str, Any]]:
    """Give one forecast for each distinct pair of intents before and after, with its hosts."""
    groups: dict[str, dict[str, Any]] = {}
    marks = Marks(dialect)
    for host in sorted(bundle.intents):
        after = marks.marked(bundle.intents[host], bundle.files[host])
        live, old = hosts[host].live, befores[host]
        before = marks.marked(old, live) if old is not None and live is not None else None
        key = sha256_of(canonical_json([before, after]))
        if key not in groups:
            effect = forecast(before, after, dialect.spread)
            groups[key] = {
                "hosts": [],
                "forecast": effect,
                "policy": canary_policy(after, effect, dialect.spread),
            }
        groups[key]["hosts"].append(host)
        effect = groups[key]["forecast"]
        if effect["summary"] == [NOTHING] and live != bundle.files[host]:
            # Another template, or a newer one of the role: no word of it is in the intent.
            effect["summary"] = ["The intent changes nothing, the files do: see the difference."]
    return list(groups.values())


def _summary(group: Mapping[str, Any]) -> list[str]:
    return [f"{', '.join(group['hosts'])}:", *(f"  {s}" for s in group["forecast"]["summary"])]


def _write(
    request: Request,
    hosts: Mapping[str, Host],
    bundle: FleetBundle,
    value: Mapping[str, Any],
    groups: list[dict[str, Any]],
    digest: str,
    started: str,
) -> None:
    folder = request.folder
    # The record goes first and comes back last: killed in between, the change is not rendered.
    folder.render_json.unlink(missing_ok=True)
    _write_files(request, hosts, bundle)
    folder.write_json("manifest.json", value)
    folder.write_json(
        "change.json",
        {
            "change_id": folder.change_id,
            "author": request.author,
            "title": request.title,
            "created": started,
            "scheduled": request.scheduled,
            "not_before": request.not_before,
            "not_after": request.not_after,
        },
    )
    folder.write_json("forecast.json", {"groups": groups})
    write_atomically(folder.path / "diff.txt", _diff_text(hosts, bundle).encode())
    write_record(
        folder.render_json,
        Record(
            record=ledger.RENDER,
            change_id=folder.change_id,
            digest=digest,
            previous=None,
            started=started,
            ended=utc_now(),
            versions={"evenkeel": __version__},
            body={"hosts": sorted(hosts), "groups": groups},
        ),
    )


def _write_files(request: Request, hosts: Mapping[str, Host], bundle: FleetBundle) -> None:
    folder = request.folder
    for name in ("bundle", "base", "intent"):
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for host, files in bundle.files.items():
        for name, data in files.items():
            write_atomically(folder.bundle / host / name, data)
        for name, data in (hosts[host].live or {}).items():
            write_atomically(folder.path / "base" / host / name, data)
        folder.write_json(f"intent/{host}.json", bundle.intents[host])
    if request.profile:
        write_atomically(folder.profile_json, request.profile)
    else:
        folder.profile_json.unlink(missing_ok=True)


def _diff_text(hosts: Mapping[str, Host], bundle: FleetBundle) -> str:
    return fleet_diff({name: host.live or {} for name, host in hosts.items()}, bundle.files)
