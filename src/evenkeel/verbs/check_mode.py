"""Check mode: what a verb would do, told from a host's status and the verbs before it.

It also refuses what the host would refuse, as far as the status shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evenkeel.errors import Refused
from evenkeel.remote import OptionValue
from evenkeel.verbs import drain
from evenkeel.verbs.context import Context
from evenkeel.verbs.results import DeployPlan, HostAnswer, Result

# A fact: changes that earlier verbs would advance.
FACT = "evenkeel_would_change"
_STATIONS = ("render", "validate", "approve", "plan")
_EMPTY_PLAN: DeployPlan = {
    "changed": True,
    "digest": "",
    "prepare": False,
    "confirm_first": [],
    "stages": [],
    "confirm": False,
}


def on_the_controller(context: Context, act: Callable[[], Result]) -> Result:
    """Give the result of `act`, the verb in check mode, or that it would follow an earlier verb.

    In playbooks/change.yml a verb finds none of the files that the verb before would leave.
    """
    verb, change = context.args["verb"], str(context.args.get("change"))
    if verb not in _STATIONS:
        return act()
    facts: Any = context.task_vars.get("ansible_facts") or {}
    would = list(facts.get(FACT) or [])
    if verb != _STATIONS[0] and change in would:
        return _EMPTY_PLAN if verb == _STATIONS[-1] else {"changed": True}
    result = act()
    if result["changed"]:
        result["ansible_facts"] = {FACT: [*would, change]}
    return result


def would_change(verb: str, options: Mapping[str, OptionValue], status: HostAnswer) -> bool:
    """Tell whether `verb` with these `options` would change a host with this `status`.

    Raises Refused for what the host would refuse.
    """
    if verb in ("drain", "undrain"):
        return drain.would_change(verb, options, status)
    if verb == "rollback":
        return _rollback(options, status)
    if verb == "snapshot":
        return _snapshot(options, status)
    live = status.get("live") or {}
    return "release" in options and live.get("release") != options["release"]


def back_to(status: HostAnswer) -> str:
    """Give the release that a rollback without a name would bring back; "" for none."""
    pending, generations = status.get("pending"), status.get("generations") or []
    if pending:
        return str(pending.get("from"))
    return str(generations[-2].get("release")) if len(generations) > 1 else ""


def _rollback(options: Mapping[str, OptionValue], status: HostAnswer) -> bool:
    pending = status.get("pending") or {}
    generations = status.get("generations") or []
    undo, to = options.get("undo"), options.get("to")
    if to:
        return _moves_to(str(to), status) or bool(pending)
    if pending:
        return undo in (None, pending.get("change"))
    if undo and (not generations or generations[-1].get("change") != undo):
        return False
    if len(generations) < 2:
        raise Refused(
            "This host has nothing to go back to",
            wanted="a confirmed release before the live one",
            got=f"{len(generations)} confirmed releases",
            next_step="deploy the configuration that you want as a change",
        )
    return True


def _moves_to(to: str, status: HostAnswer) -> bool:
    """Tell whether the live release differs from `to`, a snapshot or a confirmed release."""
    known = {one["release"]: one["release"] for one in status.get("generations") or []}
    snapshots = _snapshots(status)
    known |= snapshots
    if to not in known:
        raise Refused(
            "There is no snapshot and no confirmed release of this name",
            where=to,
            wanted="the name of a snapshot, or a confirmed release",
            got="an unknown name",
            next_step="name one of: " + (", ".join(sorted(snapshots)[-20:]) or "none"),
        )
    live, running = status.get("live") or {}, status.get("running") or {}
    settled = live.get("confirmed") and running.get("agrees") and not status.get("drift")
    return not settled or live.get("release") != known[to]


def _snapshot(options: Mapping[str, OptionValue], status: HostAnswer) -> bool:
    name, live = str(options["name"]), status.get("live") or {}
    pinned = {one["name"]: bool(one.get("pinned")) for one in status.get("snapshots") or []}
    kept = _snapshots(status)
    if options.get("unpin"):
        if name not in pinned:
            raise Refused(
                "There is no snapshot of this name", where=name, got="no such snapshot"
            )  # fmt: skip
        return pinned[name]
    if not live.get("adopted") or status.get("drift"):
        raise Refused(
            "The live configuration is no release of this program",
            wanted="a release that Evenkeel deployed, without edits by hand",
            next_step="deploy a change first",
        )
    if name not in pinned:
        return True
    if kept.get(name) != live.get("release"):
        raise Refused(
            "There is a snapshot of this name already",
            where=name,
            got=f"release {kept[name][:12]}" if name in kept else "a damaged snapshot",
            next_step="choose another name",
        )
    return bool(options.get("pinned")) and not pinned[name]


def _snapshots(status: HostAnswer) -> dict[str, str]:
    """Give {name: release} of every intact snapshot."""
    found = status.get("snapshots") or []
    return {one["name"]: str(one["release"]) for one in found if not one.get("damaged")}
