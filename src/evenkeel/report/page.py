"""From what a change's folder holds to the flat values that the template prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.change import findings
from evenkeel.change.difference import redact
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.ledger import furthest_station, next_after, next_command
from evenkeel.change.signature import fingerprint
from evenkeel.errors import Refused
from evenkeel.records import Record, sha256_of
from evenkeel.report.effect import effects, traffic
from evenkeel.report.reading import Reading, read
from evenkeel.report.rollout import rollout_lines
from evenkeel.report.stages import stages
from evenkeel.report.words import clock, few, said, tone, took, when

Object = Mapping[str, Any]

TO_COME = "to come"
WAITS = {
    "Rendered": "It is not rendered yet.",
    "Rehearsed": "It waits for its rehearsal.",
    "Approved": "It waits for a second person's approval.",
    "Outcome": "Its confirmation comes next.",
}
HEADLINES = {
    "confirmed": "Every host runs this change, and it is confirmed.",
    "rolled_back": "The change was stopped; every host it reached went back.",
    "rollback_failed": "A host could not be taken back: a person is needed.",
    "split": "The fleet is in two states: a person is needed.",
    "inconclusive": "Too little was measured to tell, so every host went back.",
    "refused": "The change was refused before any host was touched.",
}


def page(folder: ChangeFolder) -> dict[str, Any]:
    """Give everything that the page shows; raises Refused when there is no such change."""
    reading = read(folder)
    steps = _steps(reading)
    return {
        "change_id": folder.change_id,
        "title": str(reading.about.get("title") or folder.change_id),
        "author": str(reading.manifest.get("author") or reading.about.get("author") or "unknown"),
        "created": when(reading.about.get("created")),
        "digest": _digest(folder),
        "balancer": str(reading.manifest.get("balancer_kind") or ""),
        "host_count": len(reading.manifest.get("hosts") or {}),
        "window": _window(reading.about),
        "badge": _badge(reading, steps),
        "reasons": _reasons(reading),
        "next": _next(reading),
        "faults": reading.faults,
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


def _digest(folder: ChangeFolder) -> str:
    return sha256_of(folder.manifest_json.read_bytes()) if folder.manifest_json.is_file() else ""


def _window(about: Object) -> str:
    parts = [
        f"{word} {when(about.get(key))}"
        for word, key in (("from", "not_before"), ("until", "not_after"))
        if about.get(key)
    ]
    words = ["scheduled"] if about.get("scheduled") else []
    return " ".join([*words, *parts])


def _badge(reading: Reading, steps: list[dict[str, Any]]) -> dict[str, str]:
    if reading.outcome:
        word = str(reading.outcome.body.get("outcome"))
        return {"word": said(word), "tone": tone(word), "headline": HEADLINES.get(word, "")}
    if reading.held:
        until = when(reading.held.body.get("until"))
        headline = f"Held until {until}: a person decides, or every host goes back."
        return {"word": "held", "tone": "warn", "headline": headline}
    last = next((step for step in reversed(steps) if step["tone"] != "idle"), None)
    if last is None:
        return {"word": "new", "tone": "idle", "headline": "Nothing has happened yet."}
    if last["tone"] in ("bad", "warn"):
        name = "The rehearsal" if last["name"] == "Rehearsed" else last["name"]
        headline = f"{name} did not pass; no further host gets the change."
        return {"word": last["word"], "tone": last["tone"], "headline": headline}
    coming = next((step["name"] for step in steps if step["tone"] == "idle"), "Outcome")
    headline = WAITS.get(coming, f"{coming} comes next.")
    return {"word": "under way", "tone": "now", "headline": headline}


def _next(reading: Reading) -> str:
    if reading.outcome:
        return next_after(reading.folder.change_id, reading.outcome.body)
    if reading.held:
        number = int(reading.held.body["stage"])
        after = number + 1 if number < len(reading.plan) else "confirm"
        deploy = _command(reading, "canary")
        return f"{deploy} -e canary_start_at={after}"
    if reading.staging and reading.staging.body.get("verdict") != "pass":
        return "correct the intent and render it as a new change"
    station = furthest_station(reading.folder)
    after = {"render": "staging", "staging": "approval"}.get(station, "canary")
    if not reading.render:
        after = "render"
    return _command(reading, after)


def _command(reading: Reading, station: str) -> str:
    return next_command(reading.folder.change_id, station).removeprefix("run: ")


def _reasons(reading: Reading) -> list[str]:
    """Why it is not well: the reasons of the last thing that did not pass."""
    for record in [*reversed(reading.stages.values()), reading.staging]:
        if record and record.body.get("verdict") not in ("pass", None):
            return [redact(reason) for reason in _reasons_of(record)][:12]
    return []


def _reasons_of(record: Record) -> list[str]:
    if record.record == "staging":
        found = [
            str(reason)
            for bundle in record.body.get("bundles") or []
            for check in bundle.get("checks") or []
            if check.get("verdict") == record.body["verdict"]
            for reason in check.get("reasons") or [check.get("title")]
        ]
        return list(dict.fromkeys(found))
    return [str(reason) for reason in record.body.get("reasons") or []]


def _steps(reading: Reading) -> list[dict[str, Any]]:
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


def _step(name: str, record: Record | None, word: object, detail: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "word": said(word) if record else TO_COME,
        "tone": tone(word) if record else "idle",
        "when": when(record.ended) if record else "",
        "clock": clock(record.ended) if record else "",
        "took": took(record) if record else "",
        "detail": detail,
    }


def _policy(reading: Reading) -> dict[str, list[str]]:
    """What the change declares, what stops or is told of what is new, and what is live already."""
    found = list(reading.policy.get("findings") or [])
    return {
        "declared": findings.declared_lines(reading.policy.get("declared") or {}),
        "found": [findings.in_words(one) for one in found if not one.get("live_already")],
        "live": [findings.in_words(one) for one in found if one.get("live_already")],
    }


def _checks(reading: Reading) -> list[dict[str, Any]]:
    """The checks of each bundle; bundles that differ in nothing but the order of servers share."""
    bundles = (reading.staging.body.get("bundles") if reading.staging else None) or []
    groups: dict[str, dict[str, Any]] = {}
    for bundle in bundles:
        rows = [_check(check) for check in bundle.get("checks") or []]
        group = groups.setdefault(repr(rows), {"rows": rows, "hosts": []})
        group["hosts"] += bundle.get("hosts") or []
    return [
        {
            "hosts": few(sorted(group["hosts"])),
            "broken": [row for row in group["rows"] if row["tone"] != "good"],
            "passed": [row for row in group["rows"] if row["tone"] == "good"],
            "total": len(group["rows"]),
        }
        for group in groups.values()
    ]


def _check(check: Object) -> dict[str, Any]:
    return {
        "verdict": said(check.get("verdict")),
        "tone": tone(check.get("verdict")),
        "title": str(check.get("title")),
        "reasons": [redact(str(reason)) for reason in check.get("reasons") or []],
    }


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


def diff_parts(text: str) -> list[dict[str, Any]]:
    """Split a diff into its groups of hosts ("# lb1, lb2") with the kind of each line."""
    parts: list[dict[str, Any]] = []
    for line in text.splitlines():
        if line.startswith("# ") or not parts:
            parts.append({"hosts": line.removeprefix("# "), "lines": []})
            if line.startswith("# "):
                continue
        parts[-1]["lines"].append({"kind": _kind(line), "text": line})
    for part in parts:
        while part["lines"] and not part["lines"][-1]["text"].strip():
            part["lines"].pop()
        kinds = [line["kind"] for line in part["lines"]]
        part["added"], part["removed"] = kinds.count("added"), kinds.count("removed")
    return [part for part in parts if part["lines"]]


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
