"""From the intents of a fleet to the exact files of each host, and the manifest that names them.

Rendering is a pure function of an intent and an order; hosts with the same two share one release.
Every freshly loaded balancer begins with the first server of a pool, so the order is rotated by
host: a host's order is its position in the sorted list of all hosts, modulo the number of orders.
So a fleet that is loaded at one time spreads its first requests, and one intent has at most that
many different bundles, however many hosts there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evenkeel.balancer.dialect import Dialect, load_dialect
from evenkeel.change.declarations import KEY
from evenkeel.change.difference import redact, unified_diff
from evenkeel.change.folder import PROFILE_KEY
from evenkeel.change.printer import Printer
from evenkeel.change.release_archive import release_archive
from evenkeel.errors import Problem, Problems, Refused
from evenkeel.host.state.archive import release_digest
from evenkeel.intent.handwritten_defaults import completed
from evenkeel.intent.parse import normalise, parse_intent, refusal
from evenkeel.records import SCHEMA_VERSION, canonical_json, sha256_of

__all__ = [
    "FleetBundle",
    "manifest",
    "orders_of",
    "redact",
    "release_archive",
    "render_files",
    "render_fleet",
    "unified_diff",
]

FILE_MODE = "0640"


@dataclass(frozen=True)
class FleetBundle:
    """What `render_fleet` gives, by host.

    `files` maps a file's name to its exact bytes, `releases` is the content address of a host's
    files, `intents` is the normalised intent. Hosts with the same release share the same objects.
    """

    files: Mapping[str, Mapping[str, bytes]]
    releases: Mapping[str, str]
    intents: Mapping[str, Mapping[str, Any]]

    def hosts_of(self) -> dict[str, list[str]]:
        """Give the hosts of each distinct release, sorted."""
        hosts: dict[str, list[str]] = {}
        for host, release in sorted(self.releases.items()):
            hosts.setdefault(release, []).append(host)
        return hosts


def orders_of(fleet: Iterable[str], count: int) -> dict[str, int]:
    """Give each host of `fleet` its order: its position among the sorted names, modulo `count`."""
    return {host: position % count for position, host in enumerate(sorted(set(fleet)))}


def render_fleet(
    intents: Mapping[str, Mapping[str, Any]],
    *,
    role_dir: Path,
    template: Path | None = None,
    fleet: Iterable[str] | None = None,
    by_hand: Mapping[str, Mapping[str, bytes]] | None = None,
) -> FleetBundle:
    """Render the files of every host of `intents` (host to intent, as the inventory has it).

    `role_dir` is the balancer's role. `template` replaces the role's own template and gets the same
    variables and `intent`. `fleet` names all hosts of the fleet: give it when `intents` holds only
    some of them (`--limit`), so that a host's order does not depend on which others are rendered.
    `by_hand` has the files of hosts that are configured by hand: they ship as they are, and what
    the role reads in them stands in the place of an intent.

    Raises Problems for an intent that is wrong or that the balancer cannot do, and Refused for a
    template that fails, prints something else the second time, or prints more than the intent says.
    """
    dialect = load_dialect(role_dir)
    printer = Printer(dialect, template)
    orders = orders_of([*intents, *(fleet or ())], dialect.orders)
    wanted = _normalised(intents, dialect)
    rendered: dict[tuple[int, int], dict[str, bytes]] = {}
    addresses: dict[tuple[int, int], str] = {}
    files, releases = {}, {}
    for host in sorted(intents):
        # Equal intents are one object after _normalised, so the object stands for the content.
        key = (id(wanted[host]), orders[host])
        if key not in rendered:
            rendered[key] = render_files(wanted[host], orders[host], dialect, printer)
            addresses[key] = release_digest(rendered[key])
        files[host], releases[host] = rendered[key], addresses[key]
    read: dict[str, Mapping[str, Any]] = {}
    for host, own in sorted((by_hand or {}).items()):
        files[host], releases[host] = dict(own), release_digest(dict(own))
        if releases[host] not in read:
            read[releases[host]] = completed(dialect.handwritten(own))
        wanted[host] = read[releases[host]]
    return FleetBundle(files=files, releases=releases, intents=wanted)


def _normalised(
    intents: Mapping[str, Mapping[str, Any]], dialect: Dialect
) -> dict[str, Mapping[str, Any]]:
    """Check each distinct intent once and give every host its normalised one.

    Raises Problems with what is wrong in all of them.
    """
    by_object: dict[int, dict[str, Any]] = {}
    by_content: dict[bytes, dict[str, Any]] = {}
    result: dict[str, Mapping[str, Any]] = {}
    wrong: dict[tuple[Problem, ...], list[str]] = {}
    for host in sorted(intents):
        raw = intents[host]
        try:
            if id(raw) not in by_object:
                by_object[id(raw)] = _accepted(raw, host, dialect, by_content)
            result[host] = by_object[id(raw)]
        except Problems as found:
            # Each host has its own objects, so problems repeat.
            wrong.setdefault(found.problems, []).append(host)
    if wrong:
        raise _refusal(wrong)
    return result


def _accepted(
    raw: Mapping[str, Any], host: str, dialect: Dialect, by_content: dict[bytes, dict[str, Any]]
) -> dict[str, Any]:
    data = normalise(parse_intent(raw, where=host))
    content = hashlib.sha256(canonical_json(data)).digest()
    if content not in by_content:
        problems = dialect.unsupported(data)
        if problems:
            raise refusal(problems, host)
    return by_content.setdefault(content, data)


def _refusal(wrong: Mapping[tuple[Problem, ...], Sequence[str]]) -> Problems:
    """Give the error for hosts by their intents' problems; of several, each names its hosts."""
    hosts = sorted(host for group in wrong.values() for host in group)
    several = len(wrong) > 1
    problems = [
        replace(problem, path=f"{', '.join(group)}: {problem.path}") if several else problem
        for found, group in wrong.items()
        for problem in found
    ]
    return refusal(problems, ", ".join(hosts)[:300])


def render_files(
    intent: Mapping[str, Any], order: int, dialect: Dialect, printer: Printer
) -> dict[str, bytes]:
    """Give the files of one release from a normalised, accepted intent.

    Raises Refused as `render_fleet` does.
    """
    view = dialect.view(intent, order)
    texts = printer.texts(view, intent)
    if texts != printer.texts(dialect.view(intent, order), intent):
        raise Refused(
            "The template printed something else the second time",
            where=printer.where,
            wanted="the same bytes each time",
            next_step="take dates, random values and look-ups out of the template",
        )
    misprints = dialect.readback(intent, view, texts) if printer.own else []
    if misprints:
        raise Refused(
            "The rendered files are not what the intent says",
            where=printer.where,
            wanted="the sections, servers and lines of the intent and nothing else",
            got="; ".join(misprints[:10])[:500],
            next_step="this is a problem of the role's template or dialect; report it",
        )
    return {name: text.encode() for name, text in texts.items()}


def manifest(
    change_id: str,
    author: str,
    balancer_kind: str,
    bundle: FleetBundle,
    bases: Mapping[str, str | None],
    declared: Mapping[str, Any] | None = None,
    profile: bytes | None = None,
) -> dict[str, Any]:
    """Give the manifest of a change: every file and intent of every host by sha256, and no time.

    The intent is bound as well as what was rendered from it: its guardrails and route tests decide
    what the rehearsal demands. `bases` maps a host to the release that was live when this was
    rendered, or None; `declared` is what the change declares beside its intents, `profile` the
    bytes of the traffic profile that its rehearsal follows. The sha256 of `canonical_json` of the
    manifest is the digest of the change.
    """
    # Hosts share their files, so each distinct set is hashed once.
    facts: dict[str, dict[str, Any]] = {}
    for release, hosts in bundle.hosts_of().items():
        files = bundle.files[hosts[0]]
        facts[release] = {
            name: {"sha256": sha256_of(data), "size": len(data), "mode": FILE_MODE}
            for name, data in sorted(files.items())
        }
    # Hosts of one intent share the object, so each distinct one is hashed once.
    objects = {id(intent): intent for intent in bundle.intents.values()}
    sums = {key: sha256_of(canonical_json(intent)) for key, intent in objects.items()}
    return {
        **({KEY: dict(declared)} if declared else {}),
        **({PROFILE_KEY: sha256_of(profile)} if profile else {}),
        "schema_version": SCHEMA_VERSION,
        "change_id": change_id,
        "author": author,
        "balancer_kind": balancer_kind,
        "hosts": {
            host: {
                "release": release,
                "base": bases.get(host),
                "intent": sums[id(bundle.intents[host])],
                "files": facts[release],
            }
            for host, release in sorted(bundle.releases.items())
        },
    }
