"""The findings of policy rules: what no traffic can show, found before anything runs.

Two sources give them: the role reads the exact files (`Dialect.rules`), `intent.policy_rules` reads
the intent. A finding stops the change unless it is live already, or the change waives it with a
reason; other findings are reported. The result is `policy.json`, which approvals bind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from evenkeel.balancer.dialect import Dialect
from evenkeel.balancer.types import Finding
from evenkeel.change.declarations import (
    OF_THE_REHEARSAL,
    Declared,
    DeclaredRows,
    Waiver,
    of_manifest,
)
from evenkeel.change.difference import redact
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Problem, Problems
from evenkeel.intent.policy_rules import STOP, policy_findings
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import read_json

FILE = "policy.json"
Intent = Mapping[str, Any]  # its schema is the model in intent.model
_WITHOUT_END = "out-without-end"
_SHOWN = 6


class JudgedFinding(Finding):
    """A finding with its hosts, and the reason of its waiver or ""."""

    hosts: list[str]
    waived: str


class PolicyFile(TypedDict):
    """What policy.json holds. `unused_waivers` have no finding, or are over."""

    schema_version: int
    day: str
    declared: DeclaredRows
    findings: list[JudgedFinding]
    unused_waivers: list[dict[str, str]]


class PolicyCheck(TypedDict):
    """One check of staging.json."""

    id: str
    title: str
    verdict: str
    numbers: dict[str, int]
    reasons: list[str]


@dataclass(frozen=True)
class Host:
    """The files and intent of one host, and the live ones (None where unknown).

    Hosts with the same `key` are alike and judged once. Without `judges_intent` only the files
    are judged.
    """

    files: Mapping[str, bytes]
    intent: Intent
    base_files: Mapping[str, bytes] | None = None
    base_intent: Intent | None = None
    key: str = ""
    judges_intent: bool = True


def today() -> str:
    """Give the date in UTC, as 2026-12-31."""
    return datetime.now(UTC).date().isoformat()


def of_host(dialect: Dialect, host: Host, day: str) -> list[Finding]:
    """Give the findings in the files and the intent of one host, those that stop first."""
    found: list[dict[str, Any]] = []
    if host.judges_intent:
        found += policy_findings(host.intent, host.base_intent, day)
    # The intent says until when, the file cannot.
    known = {
        (pool["name"], server["name"])
        for pool in host.intent["pools"]
        for server in pool["servers"]
        if server["state"] != "active"
    }
    found += [
        {**one, "text": redact(one["text"]), "got": redact(one["got"])}
        for one in dialect.rules(host.files, host.base_files)
        if one["rule"] != _WITHOUT_END or (one["pool"], one["server"]) not in known
    ]
    ordered = sorted(found, key=lambda one: (one["severity"], one["rule"], one["subject"]))
    return cast("list[Finding]", ordered)


def judge(hosts: Mapping[str, Host], dialect: Dialect, declared: Declared, day: str) -> PolicyFile:
    """Give the content of `policy.json` for these hosts and the waivers in `declared`."""
    groups: dict[str, list[str]] = {}
    for name, host in sorted(hosts.items()):
        groups.setdefault(host.key or f"host {name}", []).append(name)
    merged: dict[str, JudgedFinding] = {}
    for names in groups.values():
        for finding in of_host(dialect, hosts[names[0]], day):
            same = repr({**finding, "line": None, "text": ""})
            new: JudgedFinding = {**finding, "hosts": [], "waived": ""}
            merged.setdefault(same, new)["hosts"] += names
    used: set[Waiver] = set()
    for judged in merged.values():
        judged["hosts"].sort()
        waiver = _waiver(judged, declared.waivers, day)
        if waiver:
            judged["waived"] = waiver.reason
            used.add(waiver)
    unused = [
        vars(waiver)
        for waiver in declared.waivers
        if waiver not in used and (waiver.rule not in OF_THE_REHEARSAL or not waiver.holds(day))
    ]
    return {
        "schema_version": 1,
        "day": day,
        "declared": declared.as_dict(),
        "findings": list(merged.values()),
        "unused_waivers": unused,
    }


def of_folder(folder: ChangeFolder, dialect: Dialect, day: str) -> PolicyFile:
    """Judge the files of a change again, with the waivers in its manifest.

    The findings in its intents come from `policy.json`: to compare them needs the live intent,
    which only render has. The caller verifies the bundle before.
    """
    hosts = {}
    for name, entry in folder.manifest()["hosts"].items():
        base = folder.base / name
        files = {one: (folder.bundle / name / one).read_bytes() for one in entry["files"]}
        live = {path.name: path.read_bytes() for path in base.iterdir()} if base.is_dir() else None
        intent = read_json(
            folder.intents / f"{name}.json", what="An intent", next_step="render the change again"
        )
        key = f"{entry['release']} {entry['base']} {entry['intent']}"
        hosts[name] = Host(files, intent, live, None, key, judges_intent=False)
    result = judge(hosts, dialect, of_manifest(folder.manifest()), day)
    if (folder.path / FILE).is_file():
        known = {(one["rule"], one["subject"]) for one in result["findings"]}
        result["findings"] += [
            one for one in load(folder)["findings"] if (one["rule"], one["subject"]) not in known
        ]
    return result


def load(folder: ChangeFolder) -> PolicyFile:
    """Read policy.json; raises Refused when it is missing or damaged."""
    value = read_json(
        folder.path / FILE, what=f"The file {FILE}", next_step="render the change again"
    )
    return cast("PolicyFile", value)


def _waiver(finding: Finding, waivers: Iterable[Waiver], day: str) -> Waiver | None:
    if finding["severity"] != STOP:
        return None
    for waiver in waivers:
        fits = (waiver.rule, waiver.subject) == (finding["rule"], finding["subject"])
        if fits and waiver.holds(day):
            return waiver
    return None


def stops(result: PolicyFile) -> list[JudgedFinding]:
    """Give the findings that stop the change."""
    return [one for one in result["findings"] if one["severity"] == STOP and not one["waived"]]


def require_no_stop(result: PolicyFile) -> None:
    """Raise Problems, with each rule's id, line, reason and next step, when a rule stops."""
    found = stops(result)
    if not found:
        return
    raise Problems(
        f"{len(found)} policy rule{'s stop' if len(found) > 1 else ' stops'} the change",
        [Problem(where(one), one["next_step"], f"{one['got']}; {one['reason']}") for one in found],
        where=", ".join(sorted({host for one in found for host in one["hosts"]}))[:300],
        next_step="correct the intent, or waive a rule in the change with a reason: -e "
        f'\'{{"waivers": [{{"rule": "{found[0]["rule"]}", "subject": '
        f'"{found[0]["subject"]}", "reason": "…"}}]}}\' (docs/reference/policy.md)',
    )


def where(finding: Finding) -> str:
    """Give the rule, the subject and the line of a finding."""
    line = f" ({finding['file']} line {finding['line']})" if finding["line"] else ""
    return f"{finding['rule']}: {finding['subject']}{line}"


def checks(result: PolicyFile, hosts: Sequence[str]) -> list[PolicyCheck]:
    """Give the checks of staging.json: one for each rule with a finding on `hosts`.

    A rule whose findings are waived, or only reported, passes with them as its reasons.
    """
    rows: dict[str, list[JudgedFinding]] = {}
    for one in result["findings"]:
        if set(one["hosts"]) & set(hosts):
            rows.setdefault(one["rule"], []).append(one)
    found = [_check(rule, ones) for rule, ones in sorted(rows.items())]
    bad = sum(check["verdict"] == FAIL for check in found)
    numbers = {"stop": bad, "told": len(found) - bad}
    return [
        {
            "id": "policy",
            "title": "Policy rules find nothing that stops the change",
            "verdict": FAIL if bad else PASS,
            "numbers": numbers,
            "reasons": [],
        },
        *found,
    ]


def _check(rule: str, found: Sequence[JudgedFinding]) -> PolicyCheck:
    stop = [one for one in found if one["severity"] == STOP and not one["waived"]]
    lines = [in_words(one) for one in sorted(found, key=lambda one: one not in stop)]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return {
        "id": f"policy:{rule}",
        "title": f"Rule {rule}: {found[0]['title']}",
        "verdict": FAIL if stop else PASS,
        "numbers": {
            "stop": len(stop),
            "waived": sum(bool(one["waived"]) for one in found),
            "live_already": sum(one["live_already"] for one in found),
            "found": len(found),
        },
        "reasons": [*lines[:_SHOWN], *more],
    }


def in_words(finding: JudgedFinding) -> str:
    """Give a finding in one line for people."""
    words = f"{where(finding)}: {finding['got']}"
    if finding["waived"]:
        return f"waived: {words}; because: {finding['waived']}"
    if finding["live_already"]:
        return f"live already: {words}"
    return words if finding["severity"] == STOP else f"told: {words}"


def declared_lines(declared: DeclaredRows) -> list[str]:
    """Give the waivers and intended shifts of a change, a line for each, for its approver."""
    lines = []
    for waiver in declared.get("waivers", ()):
        until = f", until {waiver['until']}" if waiver.get("until") else ""
        what = f"rule {waiver['rule']} is waived for {waiver['subject']}{until}"
        lines.append(f"{what}: {waiver['reason']}")
    for shift in declared.get("intended_shifts", ()):
        to = (
            f"to {shift['to_percent']:g} %"
            if "to_percent" in shift
            else f"by {shift['points']:g} points"
        )
        what = f"server {shift['server']} of pool {shift['pool']} may shift {to}"
        lines.append(f"{what}: {shift['reason']}")
    return lines
