"""What render knows of each host: its intent or its handwritten files, and what is live on it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from evenkeel.errors import Refused
from evenkeel.host.state.archive import is_file_name
from evenkeel.records import check_change_id, read_json
from evenkeel.verbs.results import HostAnswer

Intent = Mapping[str, Any]
"""An intent: its keys and their types are in evenkeel.intent.model."""


@dataclass(frozen=True)
class Host:
    """What render knows of one host: its intent, and what is live on it.

    `live` maps file names to bytes; None when nothing is live there. `carries` is the change that
    the live release came from, or None. `by_hand` has the handwritten files that replace an intent,
    or None.
    """

    intent: Intent
    live: Mapping[str, bytes] | None
    carries: str | None = None
    by_hand: Mapping[str, bytes] | None = None


def hosts_from_status(
    names: list[str],
    intents: Mapping[str, object],
    answers: Mapping[str, HostAnswer],
    by_hand: Mapping[str, Mapping[str, bytes]] | None = None,
) -> dict[str, Host]:
    """Give each host from its intent or its files `by_hand`, and its answer to `status --files`.

    Raises Refused that names every host without an intent, or without an answer.
    """
    silent = [name for name in names if not answers.get(name)]
    if silent:
        raise Refused(
            "The base of the change is unknown: not every host answered",
            where=", ".join(silent)[:500],
            wanted="the live release of every host that the change is for",
            next_step="mend the connection, or leave these hosts out with --limit",
        )
    own = by_hand or {}
    both = [name for name in own if intents.get(name) is not None]
    if both:
        raise Refused(
            "A host has an intent and a configuration written by hand",
            where=", ".join(both)[:500],
            wanted="one of them",
            next_step="give these hosts `intent: null`, or no configuration of their own",
        )
    missing = [
        name for name in names if name not in own and not isinstance(intents.get(name), dict)
    ]
    if missing:
        raise Refused(
            "There is no intent to render",
            where=", ".join(missing)[:500],
            wanted="the variable intent, a dict, in group_vars",
            next_step="copy one from inventories/example/group_vars",
        )
    hosts = {}
    for name in names:
        live = _live_files(answers[name])
        carries = (answers[name].get("live") or {}).get("change")
        hosts[name] = Host(
            intent=cast("Intent", intents.get(name) or {}),
            live=live or None,
            carries=check_change_id(carries) if carries else None,
            by_hand=own.get(name),
        )
    return hosts


def _live_files(answer: HostAnswer) -> dict[str, bytes]:
    """Give the live files of a host; raises Refused for a name that is a path."""
    files = answer.get("files") or {}
    for name in files:
        # A compromised host must not choose where we write.
        if not is_file_name(name):
            raise Refused(
                "A host names a live file that cannot be one",
                wanted="the plain name of a file",
                got=repr(name)[:80],
                next_step="look at that host before you deploy anything to it",
            )
    return {name: base64.b64decode(facts["content_base64"]) for name, facts in files.items()}


def intent_before(changes: Path, host: str, facts: Host) -> Intent | None:  # an intent, see Intent
    """Give the intent of the live release; None when it is unknown or the live files differ."""
    if facts.carries is None or facts.live is None:
        return None
    earlier = changes / facts.carries
    bundle = earlier / "bundle" / host
    names = {path.name: path for path in bundle.iterdir()} if bundle.is_dir() else {}
    if set(names) != set(facts.live) or any(
        names[name].read_bytes() != data for name, data in facts.live.items()
    ):
        return None
    path = earlier / "intent" / f"{host}.json"
    value = read_json(path, what="The intent of the live release", next_step="render it again")
    return value if isinstance(value, dict) else None
