"""The values of the report's page, from what `reading` found in the folder of a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from evenkeel.change import findings
from evenkeel.change.difference import redact
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.ledger import furthest_station, next_after, next_command
from evenkeel.change.signature import fingerprint
from evenkeel.errors import Refused
from evenkeel.records import Record, sha256_of
from evenkeel.report.effect_rows import GroupEffect, effects, traffic
from evenkeel.report.reading import Reading, read
from evenkeel.report.rollout_words import rollout_lines
from evenkeel.report.stages import StageRow, stages
from evenkeel.report.tones import clock, few, said, tone, took, when

Object = Mapping[str, Any]

TO_COME = "to come"
WAITS = {
    "Rendered": "The change is not rendered yet.",
    "Rehearsed": "The rehearsal comes next.",
    "Approved": "A second person's approval comes next.",
    "Outcome": "The confirmation comes next.",
}
HEADLINES = {
    "confirmed": "Every host runs this change, and it is confirmed.",
    "rolled_back": "The change was stopped; every host with it went back.",
    "rollback_failed": "A host did not go back: an operator is needed.",
    "split": "The fleet is in two states: an operator is needed.",
    "inconclusive": "Too little was measured to decide, so every host went back.",
    "refused": "The change was refused before any host was touched.",
}


class Badge(TypedDict):
    """The state of the change in a word, its tone and a sentence."""

    word: str
    tone: str
    headline: str


class Step(TypedDict):
    """One step of the journey; what is to come has the tone "idle"."""

    name: str
    word: str
    tone: str
    when: str
    clock: str
    took: str
    detail: str


class PolicyLines(TypedDict):
    """What the change declares, its new findings, and those that are live already."""

    declared: list[str]
    found: list[str]
    live: list[str]


class CheckRow(TypedDict):
    """One check of the rehearsal."""

    verdict: str
    tone: str
    title: str
    reasons: list[str]


class CheckGroup(TypedDict):
    """The checks of hosts with the same results."""

    hosts: str
    broken: list[CheckRow]
    passed: list[CheckRow]
    total: int


class DiffLine(TypedDict):
    """One line of a difference: added, removed, same, hunk or file."""

    kind: str
    text: str


class DiffPart(TypedDict):
    """The difference for hosts of equal content."""

    hosts: str
    lines: list[DiffLine]
    added: int
    removed: int


class Page(TypedDict):
    """Everything that the page and an approver's summary show; times are in UTC."""

    change_id: str
    title: str
    author: str
    created: str
    digest: str
    balancer: str
    host_count: int
    window: str
    badge: Badge
    reasons: list[str]
    next: str
    damaged: list[str]
    steps: list[Step]
    effects: list[GroupEffect]
    policy: PolicyLines
    rollout: list[str]
    traffic: str
    checks: list[CheckGroup]
    approvals: list[dict[str, str]]
    stages: list[StageRow]
    outcomes: list[dict[str, str]]
    diff: list[DiffPart]
    records: list[dict[str, str]]
    versions: str


def page(folder: ChangeFolder) -> Page:
    """Give everything that the page shows; raises Refused when there is no such change."""
    reading = read(folder)
    steps = _steps(reading)
    manifest = folder.manifest_json
    return {
        "change_id": folder.change_id,
        "title": str(reading.about.get("title") or folder.change_id),
        "author": str(reading.manifest.get("author") or reading.about.get("author") or "unknown"),
        "created": when(reading.about.get("created")),
        "digest": sha256_of(manifest.read_bytes()) if manifest.is_file() else "",
        "balancer": str(reading.manifest.get("balancer_kind") or ""),
        "host_count": len(reading.manifest.get("hosts") or {}),
        "window": _window(reading.about),
        "badge": _badge(reading, steps),
        "reasons": _reasons(reading),
        "next": _next(reading),
        "damaged": reading.damaged,
        "steps": steps,
        "effects": effects(reading),
        "policy": _policy(reading),
        "rollout": list(rollout_lines(reading.rollout)) if reading.rollout else [],
        "traffic": traffic(reading),
        "checks": _checks(reading),
        "approvals": [_approval(reading, name) for name in reading.approvals],
        "stages": stages(reading),
        "outcomes": _outcomes(reading),
        "diff": diff_parts(redact(reading.diff)),
        "records": _records(reading),
        "versions": _versions(reading),
    }


def _window(about: Object) -> str:
    parts = [
        f"{word} {when(about.get(key))}"
        for word, key in (("from", "not_before"), ("until", "not_after"))
        if about.get(key)
    ]
    words = ["scheduled"] if about.get("scheduled") else []
    return " ".join([*words, *parts])


def _badge(reading: Reading, steps: list[Step]) -> Badge:
    if reading.outcome:
        word = str(reading.outcome.body.get("outcome"))
        return {"word": said(word), "tone": tone(word), "headline": HEADLINES.get(word, "")}
    if reading.held:
        until = when(reading.held.body.get("until"))
        headline = f"Held until {until}: an operator decides, or every host goes back."
        return {"word": "held", "tone": "warn", "headline": headline}
    last = next((step for step in reversed(steps) if step["tone"] != "idle"), None)
    if last is None:
        return {"word": "new", "tone": "idle", "headline": "Nothing has happened yet."}
    if last["tone"] in ("bad", "warn"):
        name = "The rehearsal" if last["name"] == "Rehearsed" else last["name"]
        headline = f"{name} did not pass; no other host gets the change."
        return {"word": last["word"], "tone": last["tone"], "headline": headline}
    coming = next((step["name"] for step in steps if step["tone"] == "idle"), "Outcome")
    headline = WAITS.get(coming, f"{coming} comes next.")
    return {"word": "under way", "tone": "now", "headline": headline}


def _next(reading: Reading) -> str:
    def command(station: str) -> str:
        return next_command(reading.folder.change_id, station).removeprefix("run: ")

    if reading.outcome:
        return next_after(reading.folder.change_id, reading.outcome.body)
    if reading.held:
        number = int(reading.held.body["stage"])
        after = number + 1 if number < len(reading.plan) else "confirm"
        return f"{command('canary')} -e canary_start_at={after}"
    if reading.staging and reading.staging.body.get("verdict") != "pass":
        return "correct the intent and render it as a new change"
    following = {"render": "staging", "staging": "approval"}
    station = following.get(furthest_station(reading.folder), "canary")
    return command(station if reading.render else "render")


def _reasons(reading: Reading) -> list[str]:
    """Give the reasons of the latest record that did not pass."""
    records = (*reversed(reading.stages.values()), reading.staging)
    record = next((r for r in records if r and r.body.get("verdict") not in ("pass", None)), None)
    if record is None:
        return []
    found = record.body.get("reasons") or []
    if record.record == "staging":
        found = [
            reason
            for bundle in reading.bundles
            for check in bundle.get("checks") or []
            if check.get("verdict") == record.body["verdict"]
            for reason in check.get("reasons") or [check.get("title")]
        ]
    return [redact(reason) for reason in dict.fromkeys(map(str, found))][:12]


def _steps(reading: Reading) -> list[Step]:
    rehearsal = reading.staging.body.get("verdict") if reading.staging else None
    first = next(iter(reading.approvals.values()), None)
    people = f"by {', '.join(reading.approvals)}" if first else ""
    steps = [
        _step("Rendered", reading.render, "done"),
        _step("Rehearsed", reading.staging, rehearsal),
        _step("Approved", first, "done", people),
    ]
    for stage in reading.plan:
        record = reading.stages.get(stage.number)
        verdict = record.body.get("verdict") if record else None
        steps.append(_step(f"Stage {stage.number}", record, verdict, few(stage.hosts)))
    word = reading.outcome.body.get("outcome") if reading.outcome else None
    steps.append(_step("Outcome", reading.outcome, word))
    if reading.outcome or any(step["tone"] in ("bad", "warn") for step in steps):
        for step in steps:
            step["word"] = "not reached" if step["word"] == TO_COME else step["word"]
    return steps


def _step(name: str, record: Record | None, word: object, detail: str = "") -> Step:
    return {
        "name": name,
        "word": said(word) if record else TO_COME,
        "tone": tone(word) if record else "idle",
        "when": when(record.ended) if record else "",
        "clock": clock(record.ended) if record else "",
        "took": took(record) if record else "",
        "detail": detail,
    }


def _policy(reading: Reading) -> PolicyLines:
    found = list(reading.policy.get("findings") or [])
    return {
        "declared": findings.declared_lines(reading.policy.get("declared") or {}),
        "found": [findings.in_words(one) for one in found if not one.get("live_already")],
        "live": [findings.in_words(one) for one in found if one.get("live_already")],
    }


def _checks(reading: Reading) -> list[CheckGroup]:
    groups: dict[str, CheckGroup] = {}
    hosts: dict[str, list[str]] = {}
    for bundle in reading.bundles:
        rows: list[CheckRow] = [
            {
                "verdict": said(check.get("verdict")),
                "tone": tone(check.get("verdict")),
                "title": str(check.get("title")),
                "reasons": [redact(str(reason)) for reason in check.get("reasons") or []],
            }
            for check in bundle.get("checks") or []
        ]
        # Bundles with the same results are shown once.
        hosts.setdefault(repr(rows), []).extend(bundle.get("hosts") or [])
        groups[repr(rows)] = {
            "hosts": few(sorted(hosts[repr(rows)])),
            "broken": [row for row in rows if row["tone"] != "good"],
            "passed": [row for row in rows if row["tone"] == "good"],
            "total": len(rows),
        }
    return list(groups.values())


def _approval(reading: Reading, person: str) -> dict[str, str]:
    record = reading.approvals[person]
    try:
        path = reading.folder.approvals / f"{person}.json.sig"
        key = fingerprint(path.read_bytes()) if path.is_file() else "no signature"
    except Refused as error:
        key = error.what
    current = reading.staging and record.previous == reading.staging.sha256
    return {
        "person": person,
        "when": when(record.ended),
        "expires": when(record.body.get("expires")),
        "key": key,
        "void": "" if current else "void: of an earlier rehearsal",
    }


def _outcomes(reading: Reading) -> list[dict[str, str]]:
    body = reading.outcome.body if reading.outcome else {}
    notes = body.get("notes") or {}
    return [
        {
            "host": host,
            "state": said(state),
            "tone": tone(state),
            "note": str(notes.get(host) or ""),
        }
        for host, state in (body.get("hosts") or {}).items()
    ]


def diff_parts(text: str) -> list[DiffPart]:
    """Split a diff into its groups of hosts ("# lb1, lb2") with the kind of each line."""
    groups: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("# "):
            groups.append((line.removeprefix("# "), []))
            continue
        if not groups:
            groups.append((line, []))
        groups[-1][1].append(line)
    parts: list[DiffPart] = []
    for hosts, lines in groups:
        while lines and not lines[-1].strip():
            lines.pop()
        kinds = [_kind(line) for line in lines]
        if lines:
            parts.append(
                {
                    "hosts": hosts,
                    "lines": [
                        {"kind": kind, "text": line}
                        for kind, line in zip(kinds, lines, strict=True)
                    ],
                    "added": kinds.count("added"),
                    "removed": kinds.count("removed"),
                }
            )
    return parts


def _kind(line: str) -> str:
    if line.startswith(("--- ", "+++ ")):
        return "file"
    return {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "same")


def _records(reading: Reading) -> list[dict[str, str]]:
    named = [("render.json", reading.render), ("staging.json", reading.staging)]
    named += [(f"approvals/{name}.json", record) for name, record in reading.approvals.items()]
    named += [(f"canary/{number}.json", record) for number, record in reading.stages.items()]
    named += [("outcome.json", reading.outcome)]
    return [
        {
            "name": name,
            "sha256": record.sha256,
            "previous": record.previous or "",
            "ended": when(record.ended),
        }
        for name, record in named
        if record
    ]


def _versions(reading: Reading) -> str:
    found: dict[str, str] = {}
    for record in (reading.render, reading.staging, reading.outcome):
        found |= record.versions if record else {}
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
