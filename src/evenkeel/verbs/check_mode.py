"""Check mode: what a verb would do, from what a host says and what a verb before it would leave.

What the host would refuse is refused here too, as far as its status tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evenkeel.errors import Refused
from evenkeel.verbs import drain

Object = Mapping[str, Any]

# The fact that carries, from play to play of one run, which changes a verb would have moved on.
FACT = "evenkeel_would_change"
_STATIONS = ("render", "validate", "approve", "plan")
# A plan with nothing in it: no host is asked about a change that is not there.
_NO_STAGES: Object = {
    "digest": "",
    "prepare": False,
    "confirm_first": [],
    "stages": [],
    "confirm": False,
}


def on_the_controller(
    verb: str, act: Callable[[], dict[str, Any]], args: Object, task_vars: Object
) -> dict[str, Any]:
    """Give what `act`, the verb in check mode, says; or that it would follow on one before it.

    In playbooks/change.yml a verb finds nothing of what the verb before it would have left.
    """
    change = str(args.get("change"))
    would = list((task_vars.get("ansible_facts") or {}).get(FACT) or [])
    if verb not in _STATIONS:
        return act()
    if verb != _STATIONS[0] and change in would:
        return {"changed": True, **(_NO_STAGES if verb == _STATIONS[-1] else {})}
    result = act()
    if result.get("changed"):
        result["ansible_facts"] = {FACT: [*would, change]}
    return result


def would_change(verb: str, options: Object, status: Object) -> bool:
    """Tell whether `verb` with these `options` would change a host that answers with `status`.

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


def back_to(status: Object) -> str:
    """Give the release that a host would go back to without being told one; "" for none."""
    pending, generations = status.get("pending") or {}, status.get("generations") or []
    if pending:
        return str(pending.get("from"))
    return str(generations[-2].get("release")) if len(generations) > 1 else ""


def _rollback(options: Object, status: Object) -> bool:
    pending = status.get("pending") or {}
    generations = status.get("generations") or []
    undo, to = options.get("undo"), options.get("to")
    if to:
        return _goes_to(str(to), status) or bool(pending)
    if pending:
        return undo in (None, pending.get("change"))
    if undo and (not generations or generations[-1].get("change") != undo):
        return False
    if len(generations) < 2:
        raise Refused(
            "This host has nothing to go back to",
            wanted="a confirmed release before the one that is live",
            got=f"{len(generations)} confirmed releases",
            next_step="deploy the configuration that you want as a change",
        )
    return True


def _goes_to(to: str, status: Object) -> bool:
    """Whether the host is elsewhere than at `to`, a snapshot or a confirmed release."""
    known = {one["release"]: one["release"] for one in status.get("generations") or []}
    known |= _snapshots(status)
    if to not in known:
        raise Refused(
            "There is no snapshot and no confirmed release of this name",
            where=to,
            wanted="the name of a snapshot, or a confirmed release",
            got="nothing of that name",
            next_step="name one of: " + (", ".join(sorted(_snapshots(status))[-20:]) or "none"),
        )
    live, running = status.get("live") or {}, status.get("running") or {}
    there = live.get("confirmed") and running.get("agrees") and not status.get("drift")
    return not there or live.get("release") != known[to]


def _snapshot(options: Object, status: Object) -> bool:
    name, live = str(options["name"]), status.get("live") or {}
    pinned = {one["name"]: bool(one.get("pinned")) for one in status.get("snapshots") or []}
    kept = _snapshots(status)
    if options.get("unpin"):
        if name not in pinned:
            raise Refused("There is no snapshot of this name", where=name, got="nothing of it")
        return pinned[name]
    if not live.get("adopted") or status.get("drift"):
        raise Refused(
            "What is live is no release of this program",
            wanted="a host that was taken over, without edits by hand",
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


def _snapshots(status: Object) -> dict[str, str]:
    """Give the release of every whole snapshot by its name."""
    found = status.get("snapshots") or []
    return {one["name"]: str(one["release"]) for one in found if not one.get("damaged")}
