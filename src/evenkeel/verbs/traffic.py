"""Render's part in traffic: the profile that the inventory names, which the rehearsal follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.profile.traffic_profile import parse_profile, read_profile, words_of
from evenkeel.records import check_change_id, plain

VARIABLE = "traffic_profile"


def profile_of(names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> bytes | None:
    """Give the bytes of the hosts' traffic profile, checked; None where the inventory names none.

    A relative path is seen from the inventory's folder. Raises Refused for a file that cannot be
    read, Problems for wrong values in it and for hosts that have different ones.
    """
    found: dict[Path, bytes] = {}
    chosen = set()
    for name in names:
        given = plain(hostvars[name].get(VARIABLE))
        if not given:
            chosen.add(b"")
            continue
        if not isinstance(given, str):
            raise Refused(
                "The traffic profile cannot be read",
                where=f"{name}: {VARIABLE}",
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
        raise Problems(
            "The hosts of the change do not agree on a traffic profile",
            [Problem(VARIABLE, "the same on every host of one change", "different ones")],
            where="the inventory, or -e",
            next_step="set it for the whole group",
        )
    return next(iter(chosen), b"") or None


def traffic_lines(profile: bytes | None) -> list[str]:
    """Give what a person reads at render: which traffic the rehearsal will follow."""
    return [f"Traffic: {words_of(parse_profile(profile))}"] if profile else []


def profile_diff(
    folder: ChangeFolder, carried: Sequence[str | None], profile: bytes | None
) -> list[dict[str, str]]:
    """Give Ansible's difference of the profile from that of the change that is live, if there is.

    `carried` are the changes that the hosts run now.
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
