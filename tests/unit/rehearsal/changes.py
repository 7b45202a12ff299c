"""Change folders as render leaves them, for the tests of the rehearsal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenkeel.change.bundle import manifest, render_fleet
from evenkeel.change.folder import ChangeFolder
from evenkeel.containers.names import ROOT
from evenkeel.host.state.archive import release_digest
from evenkeel.records import canonical_json

ROLE = ROOT / "roles" / "balancer_haproxy"

HAND_MADE = """\
global
    user haproxy
    group haproxy
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend everything
    bind *:80
    default_backend shop
backend shop
    balance roundrobin
{servers}
"""


def servers(count: int, **more: Any) -> list[dict[str, Any]]:
    """Give servers web1, web2, ...; `more` holds keys that all of them have."""
    return [
        {"name": f"web{n}", "address": f"10.20.0.{n}", "port": 80, **more}
        for n in range(1, count + 1)
    ]


def hand_made(count: int) -> str:
    """Give a configuration as somebody wrote it once, with so many servers."""
    lines = (f"    server s{n} 10.20.0.{n}:80 check" for n in range(1, count + 1))
    return HAND_MADE.format(servers="\n".join(lines))


def intent(pool: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Give an intent of one listener and one pool `web`, with parts of it replaced."""
    return {
        "listeners": [
            {"name": "www", "binds": [{"address": "*", "port": 80}], "default_pool": "web"}
        ],
        "pools": [{"name": "web", "servers": servers(3), **(pool or {})}],
        "route_tests": [
            {"name": "front", "listener": "www", "host": "shop.example", "expect_pool": "web"}
        ],
        **more,
    }


def write_change(
    path: Path,
    intents: Mapping[str, Mapping[str, Any]],
    bases: Mapping[str, str],
    edits: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    profile: bytes | None = None,
) -> ChangeFolder:
    """Render `intents` into a change folder at `path`, over what is live on each host.

    `edits` replaces texts in a host's rendered file: a template that prints something else.
    `profile` is the traffic profile that the rehearsal follows.
    """
    bundle = render_fleet(intents, role_dir=ROLE)
    files = {host: dict(content) for host, content in bundle.files.items()}
    for host, made in (edits or {}).items():
        text = files[host]["haproxy.cfg"].decode()
        for old, new in made:
            assert old in text
            text = text.replace(old, new)
        files[host]["haproxy.cfg"] = text.encode()
    releases = {host: release_digest(content) for host, content in files.items()}
    rendered = type(bundle)(files=files, releases=releases, intents=bundle.intents)
    live = {host: release_digest({"haproxy.cfg": text.encode()}) for host, text in bases.items()}
    for host in intents:
        _write(path / "bundle" / host / "haproxy.cfg", files[host]["haproxy.cfg"])
        _write(path / "intent" / f"{host}.json", canonical_json(bundle.intents[host]))
    for host, text in bases.items():
        _write(path / "base" / host / "haproxy.cfg", text.encode())
    value = manifest(path.name, "ann", "haproxy", rendered, live, profile=profile)
    if profile:
        _write(path / "traffic_profile.json", profile)
    _write(path / "manifest.json", canonical_json(value))
    return ChangeFolder(path)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
