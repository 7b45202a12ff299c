"""What a manifest has to look like before anything of it is used as a path or compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evenkeel.host.state.archive import is_file_name

_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_a_manifest(value: Mapping[str, Any]) -> bool:
    """Tell whether `value` has an author and, for each host, everything that the digest binds."""
    hosts = value.get("hosts")
    return (
        isinstance(value.get("author"), str)
        and ("traffic_profile" not in value or _is_a_digest(value["traffic_profile"]))
        and isinstance(hosts, dict)
        and all(_is_a_host(host) and _is_an_entry(entry) for host, entry in hosts.items())
    )


def _is_a_host(name: str) -> bool:
    # It becomes the name of a folder.
    return name not in ("", ".", "..") and "/" not in name and name.isprintable()


def _is_an_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and _is_a_digest(entry.get("release"))
        and _is_a_digest(entry.get("intent"))
        and "base" in entry
        and (entry["base"] is None or _is_a_digest(entry["base"]))
        and isinstance(entry.get("files"), dict)
        and all(
            is_file_name(name) and isinstance(facts, dict) and _is_a_digest(facts.get("sha256"))
            for name, facts in entry["files"].items()
        )
    )


def _is_a_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
