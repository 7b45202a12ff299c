"""Render: from the intent of each host to a bundle, its digest and the forecast of its effect.

Nothing is rendered after this. The same intent over the same base gives the same digest, so a
second render keeps the rehearsal and the approvals of the change.
"""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from evenkeel import __version__
from evenkeel.balancer.dialect import Dialect, load_dialect
from evenkeel.canary.judge_settings import canary_policy
from evenkeel.change import findings, ledger
from evenkeel.change.bundle import FleetBundle, manifest, render_fleet
from evenkeel.change.canary_probe import misplaced
from evenkeel.change.declarations import Declared
from evenkeel.change.difference import fleet_diff
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.rollout import FILE as ROLLOUT_JSON
from evenkeel.change.rollout import Rollout, is_written
from evenkeel.errors import Problems, Refused
from evenkeel.forecast import NOTHING, Forecast, forecast
from evenkeel.host.state.archive import release_digest
from evenkeel.records import (
    Record,
    canonical_json,
    check_text,
    plain,
    sha256_of,
    utc_now,
    write_atomically,
    write_record,
)
from evenkeel.verbs.context import Context
from evenkeel.verbs.host_facts import Host, Intent, hosts_from_status, intent_before
from evenkeel.verbs.inventory import (
    configurations,
    from_inventory,
    one_kind,
    profile_diff,
    profile_of,
    require_one_template,
    traffic_lines,
)
from evenkeel.verbs.results import Rendered
from evenkeel.verbs.waivers import Judged, Marks, declared_in, judge_policy, policy_lines


class Group(TypedDict):
    """The hosts whose intents before and after are the same, with their one forecast."""

    hosts: list[str]
    forecast: Forecast
    policy: dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One change to render. Times are ISO 8601 UTC; an empty one does not bind.

    `fleet` names all hosts of the fleet, also those that this change leaves out. `rollout` is the
    order and the stages; None for the defaults. `declared` has the waivers and the intended shifts.
    `profile` is the traffic profile of the rehearsal, already checked; None for the default.
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


@dataclass(frozen=True)
class Draft:
    """A change as rendered, before it is written: its files, its manifest and its findings."""

    bundle: FleetBundle
    manifest: dict[str, Any]
    # The sha256 of the manifest.
    digest: str
    groups: list[Group]
    judged: Judged
    diff: str


def render_change(context: Context) -> Rendered:
    """Render the change of the task for its hosts and show the forecast; see `render`.

    Raises Refused and Problems for variables of the inventory that cannot be used.
    """
    args, names, hostvars = context.args, context.names, context.hostvars
    kind = one_kind(names, hostvars)
    require_one_template(names, hostvars, kind)
    role_dir = Path(args["role_dir"])
    hosts = hosts_from_status(
        names,
        {name: plain(hostvars[name].get("intent")) for name in names},
        context.answers("evenkeel_live"),
        configurations(names, hostvars, kind, role_dir),
    )
    request = Request(
        folder=context.folder,
        author=str(args.get("author") or getpass.getuser()),
        title=str(args.get("title") or ""),
        balancer_kind=kind,
        role_dir=role_dir,
        template=Path(args["template"]) if args.get("template") else None,
        fleet=tuple(args.get("fleet") or ()),
        scheduled=bool(args.get("scheduled")),
        not_before=str(args.get("not_before") or ""),
        not_after=str(args.get("not_after") or ""),
        rollout=from_inventory(names, hostvars),
        declared=declared_in(names, hostvars),
        profile=profile_of(names, hostvars),
    )
    result = render(request, hosts, write=not context.check_mode)
    context.show(result["summary"])
    if context.task.diff_mode:
        carried = [host.carries for host in hosts.values()]
        result["diff"] += profile_diff(request.folder, carried, request.profile)
    else:
        del result["diff"]
    return result


def render(request: Request, hosts: Mapping[str, Host], *, write: bool) -> Rendered:
    """Render the change for `hosts`; give its digest, its summary, its difference and if it is new.

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
            next_step="render what you want now under a new change id",
        )
    draft = _drafted(request, hosts)
    rollout = request.rollout or from_inventory(list(hosts), {host: {} for host in hosts})
    faults = misplaced(rollout.canary_probe, draft.bundle.intents)
    if faults:
        raise Problems(
            "The probe has no listener on every host of the change",
            faults,
            where="canary_probe in the inventory",
            next_step="name an http listener that every host of the change has",
        )
    rendered = _is_rendered(folder, draft.digest)
    unchanged = rendered and is_written(folder, rollout)
    if write and not rendered:
        _write(request, hosts, draft, started)
    if write and not unchanged:
        # Last: another rollout voids approvals, never a rehearsal.
        folder.write_json(ROLLOUT_JSON, rollout.as_dict())
    return {
        "changed": not unchanged,
        "digest": draft.digest,
        "folder": str(folder.path),
        "hosts": sorted(hosts),
        "summary": [
            *(line for group in draft.groups for line in _lines(group)),
            *policy_lines(draft.judged),
            *traffic_lines(request.profile),
        ],
        "diff": [{"prepared": draft.diff}],
    }


def _drafted(request: Request, hosts: Mapping[str, Host]) -> Draft:
    """Render the files of every host, judge them by the policy and forecast their effect.

    Raises Problems for an intent that is wrong, Refused for a finding that stops the change.
    """
    own = {host: facts.by_hand for host, facts in hosts.items() if facts.by_hand is not None}
    bundle = render_fleet(
        {host: facts.intent for host, facts in hosts.items() if host not in own},
        role_dir=request.role_dir,
        template=request.template,
        fleet=request.fleet,
        by_hand=own,
    )
    bases = {
        host: release_digest(dict(facts.live)) if facts.live is not None else None
        for host, facts in hosts.items()
    }
    dialect = load_dialect(request.role_dir)
    befores = {
        # Handwritten files have no forecast.
        host: None
        if bundle.intents[host].get("by_hand")
        else intent_before(request.folder.path.parent, host, hosts[host])
        for host in hosts
    }
    value = manifest(
        request.folder.change_id,
        request.author,
        request.balancer_kind,
        bundle,
        bases,
        request.declared.as_dict(),
        request.profile,
    )
    judged = judge_policy(dialect, hosts, bundle, befores, request.declared)
    findings.require_no_stop(judged)
    return Draft(
        bundle=bundle,
        manifest=value,
        digest=sha256_of(canonical_json(value)),
        groups=_forecasts(dialect, hosts, bundle, befores),
        judged=judged,
        diff=fleet_diff({name: host.live or {} for name, host in hosts.items()}, bundle.files),
    )


def _is_rendered(folder: ChangeFolder, digest: str) -> bool:
    """Tell whether the folder holds exactly this digest; if not, a new render mends it."""
    try:
        return folder.verify_bundle() == digest and folder.render_json.exists()
    except Refused:
        return False


def _forecasts(
    dialect: Dialect,
    hosts: Mapping[str, Host],
    bundle: FleetBundle,
    befores: Mapping[str, Intent | None],
) -> list[Group]:
    """Give one forecast for each distinct pair of intents before and after, with its hosts."""
    groups: dict[str, Group] = {}
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
            # The template changed, which no intent shows.
            effect["summary"] = ["The intent changes nothing, the files do: see the difference."]
    return list(groups.values())


def _lines(group: Group) -> list[str]:
    return [f"{', '.join(group['hosts'])}:", *(f"  {s}" for s in group["forecast"]["summary"])]


def _write(request: Request, hosts: Mapping[str, Host], draft: Draft, started: str) -> None:
    """Write the change's folder; `started` is when the render began."""
    folder = request.folder
    # Without its record, a killed render is no render.
    folder.render_json.unlink(missing_ok=True)
    for name in ("bundle", "base", "intent"):
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for host, files in draft.bundle.files.items():
        for name, data in files.items():
            write_atomically(folder.bundle / host / name, data)
        for name, data in (hosts[host].live or {}).items():
            write_atomically(folder.path / "base" / host / name, data)
        folder.write_json(f"intent/{host}.json", draft.bundle.intents[host])
    if request.profile:
        write_atomically(folder.profile_json, request.profile)
    else:
        folder.profile_json.unlink(missing_ok=True)
    folder.write_json("manifest.json", draft.manifest)
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
    folder.write_json("forecast.json", {"groups": draft.groups})
    write_atomically(folder.path / "diff.txt", draft.diff.encode())
    write_record(
        folder.render_json,
        Record(
            record=ledger.RENDER,
            change_id=folder.change_id,
            digest=draft.digest,
            previous=None,
            started=started,
            ended=utc_now(),
            versions={"evenkeel": __version__},
            body={"hosts": sorted(hosts), "groups": draft.groups},
        ),
    )
    folder.write_json(findings.FILE, draft.judged)
