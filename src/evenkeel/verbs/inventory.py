"""What render and deploy read from inventory and `-e`: files by hand, profile, and rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evenkeel.balancer.dialect import load_dialect
from evenkeel.canary import plan as plans
from evenkeel.canary.order import order
from evenkeel.change.canary_probe import completed
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.rollout import (
    ACTIVE,
    BY_CHANGE,
    DEFAULT_HOLD_SECONDS,
    DEFAULT_LEASE_SECONDS,
    REVERT,
    Place,
    Rollout,
    check,
)
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.profile.traffic_profile import parse_profile, read_profile, words_of
from evenkeel.records import check_change_id, plain
from evenkeel.verbs.results import Difference, Hostvars

LARGEST_BYTES = 16 * 1024 * 1024
PROFILE_VARIABLE = "traffic_profile"

Pick = Callable[[list[Any]], Any]


def one_kind(names: Sequence[str], hostvars: Hostvars) -> str:  # the operator's variables
    """Give the kind of balancer that all hosts of a change have; raises Refused for several."""
    kinds = {str(hostvars[name].get("balancer_kind")) for name in names}
    if len(kinds) != 1:
        raise Refused(
            "One change is for one kind of balancer",
            where="balancer_kind",
            wanted="the same kind on every host of the change",
            got=", ".join(sorted(kinds)),
            next_step="name one kind's hosts with --limit",
        )
    return kinds.pop()


def require_one_template(
    names: Sequence[str], hostvars: Hostvars, kind: str
) -> None:  # the operator's variables
    """Raise Problems unless all hosts have the same `balancer_<kind>_template`, or none.

    A change is rendered once for all of its hosts, with one template.
    """
    variable = f"balancer_{kind}_template"
    found = {str(plain(hostvars[name].get(variable)) or "none") for name in names}
    if len(found) > 1:
        raise _disagreement(
            "a template",
            variable,
            ", ".join(sorted(found)),
            "set it for the whole group, or make it a change of its own with --limit",
        )


def configurations(
    names: Sequence[str],
    hostvars: Hostvars,
    kind: str,
    role_dir: Path,  # the operator's variables
) -> dict[str, dict[str, bytes]]:
    """Give the files of each host that has `balancer_<kind>_config`, the path of its own file.

    A relative path starts at the inventory's folder. Raises Refused for a file that cannot be read,
    and for a balancer whose release is more than one file.
    """
    variable = f"balancer_{kind}_config"
    found: dict[str, dict[str, bytes]] = {}
    for name in names:
        given = plain(hostvars[name].get(variable))
        if not given:
            continue
        if not isinstance(given, str):
            raise _unreadable(f"{name}: {variable}", "the path of a file", type(given).__name__)
        path = Path(str(hostvars[name].get("inventory_dir") or "."), given)
        found[name] = read_files(path, role_dir)
    return found


def read_files(path: Path, role_dir: Path) -> dict[str, bytes]:
    """Give the one file of a release by its name in it; raises Refused as `configurations` does."""
    files = sorted(load_dialect(role_dir).files)
    if len(files) != 1:
        raise _unreadable(str(path), "a balancer whose release is one file", ", ".join(files))
    try:
        with path.open("rb") as source:
            content = source.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise _unreadable(str(path), "a file that can be read", str(error.strerror)) from None
    if not content.strip() or len(content) > LARGEST_BYTES or b"\0" in content:
        wanted = f"a text of 1 to {LARGEST_BYTES} bytes"
        raise _unreadable(str(path), wanted, "another file" if content.strip() else "no text")
    return {files[0]: content}


def _unreadable(where: str, wanted: str, got: str) -> Refused:
    return Refused(
        "A configuration written by hand cannot be read",
        where=where,
        wanted=wanted,
        got=got,
        next_step="correct the path in the inventory, or the file",
    )


def profile_of(
    names: Sequence[str], hostvars: Hostvars
) -> bytes | None:  # the operator's variables
    """Give the bytes of the hosts' traffic profile, checked; None where the inventory names none.

    A relative path starts at the inventory's folder. Raises Refused for a file that cannot be read,
    Problems for wrong values in it and for hosts that have different ones.
    """
    found: dict[Path, bytes] = {}
    chosen = set()
    for name in names:
        given = plain(hostvars[name].get(PROFILE_VARIABLE))
        if not given:
            chosen.add(b"")
            continue
        if not isinstance(given, str):
            raise Refused(
                "The traffic profile cannot be read",
                where=f"{name}: {PROFILE_VARIABLE}",
                wanted="the path of a file",
                got=type(given).__name__,
                next_step="correct the variable in the inventory "
                "(docs/how-to/learn-a-traffic-profile.md)",
            )
        path = Path(str(hostvars[name].get("inventory_dir") or "."), given)
        if path not in found:
            found[path] = read_profile(path)[1]
        chosen.add(found[path])
    if len(chosen) > 1:
        raise _disagreement("a traffic profile", PROFILE_VARIABLE)
    return next(iter(chosen), b"") or None


def traffic_lines(profile: bytes | None) -> list[str]:
    """Give the line that render prints: which traffic the rehearsal will follow."""
    return [f"Traffic: {words_of(parse_profile(profile))}"] if profile else []


def profile_diff(
    folder: ChangeFolder, carried: Sequence[str | None], profile: bytes | None
) -> list[Difference]:
    """Give how `profile` differs from the profile of the live change; [] when it does not.

    `carried` are the changes that are live on the hosts, None for a host without one.
    """
    names = {check_change_id(name) for name in carried if name}
    before = ""
    if len(names) == 1:
        path = ChangeFolder(folder.path.parent / names.pop()).profile_json
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
    after = (profile or b"").decode()
    if before == after:
        return []
    return [
        {
            "before": before,
            "after": after,
            "before_header": "traffic profile of the change that is live",
            "after_header": f"traffic profile of {folder.change_id}",
        }
    ]


def from_inventory(names: Sequence[str], hostvars: Hostvars) -> Rollout:  # the operator's variables
    """Give the rollout for the hosts `names`, in the order in which it reaches them.

    Where hosts of one change differ, the more careful value counts. Raises Problems for a value
    without a meaning.
    """
    values = _Values(names, hostvars)
    rows = zip(
        names,
        values.each("balancer_ha_role", ACTIVE),
        values.each("balancer_zone", ""),
        strict=True,
    )
    given = plain(hostvars[names[0]].get("canary_stages"))
    if given is not None and not isinstance(given, list):
        wanted = "a list of {hosts, bake_seconds, minimum_requests}"
        raise Problems(
            "The canary stages cannot be planned",
            [Problem("canary_stages", wanted, repr(given)[:60])],
            where="canary_stages",
            next_step="correct canary_stages in the inventory",
        )
    stages = tuple(given or plans.DEFAULT_STAGES)
    plans.plan(names, stages)
    probes = [completed(value) for value in values.each("canary_probe", None)]
    if any(probe != probes[0] for probe in probes):
        raise _disagreement("a probe", "canary_probe")
    rollout = Rollout(
        places=order(Place(host, str(role), str(zone)) for host, role, zone in rows),
        canary_stages=stages,
        approvals_required=values.one("approvals_required", 1, max),
        canary_confirm=values.one("canary_confirm", BY_CHANGE, lambda _: BY_CHANGE),
        canary_on_inconclusive=values.one("canary_on_inconclusive", REVERT, lambda _: REVERT),
        canary_hold_seconds=values.one("canary_hold_seconds", DEFAULT_HOLD_SECONDS, min),
        canary_lease_seconds=values.one("canary_lease_seconds", DEFAULT_LEASE_SECONDS, min),
        canary_probe=probes[0],
    )
    return check(rollout)


def freezes(names: Sequence[str], hostvars: Hostvars) -> Any:  # the operator's variables
    """Give the freeze windows of all hosts: a freeze of one host stops the change.

    A value that is no list is given as it is; the reader of the windows refuses it.
    """
    found: list[Any] = []
    for name in names:
        value = plain(hostvars[name].get("freeze_windows"))
        if value is not None and not isinstance(value, list):
            return value
        found += [window for window in value or [] if window not in found]
    return found


def _disagreement(
    what: str,
    variable: str,
    got: str = "different ones",
    next_step: str = "set it for the whole group",
) -> Problems:
    return Problems(
        f"The hosts of the change do not agree on {what}",
        [Problem(variable, "the same on every host of one change", got)],
        where="the inventory, or -e",
        next_step=next_step,
    )


class _Values:
    """The variables of several hosts."""

    def __init__(self, names: Sequence[str], hostvars: Hostvars) -> None:
        self.names, self.hostvars = names, hostvars

    def each(self, name: str, default: Any) -> list[Any]:  # of any variable
        """Give the variable of every host."""
        found = (plain(self.hostvars[host].get(name)) for host in self.names)
        return [default if value in (None, "") else _number(value) for value in found]

    def one(self, name: str, default: Any, careful: Pick) -> Any:  # of any variable
        """Give the value that all hosts have, or the one that `careful` picks."""
        values = self.each(name, default)
        different = [value for value in values if value != values[0]]
        # A wrong type is the problem to report.
        strange = [value for value in values if type(value) is not type(default)]
        if strange:
            return strange[0]
        return careful(values) if different else values[0]


def _number(value: Any) -> Any:
    """Give a number that came as text, as in `-e NAME=VALUE`; anything else as it is."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value
