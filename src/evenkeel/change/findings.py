"""Policy: what no traffic can show, found in a change before anything of it runs.

Two sources give findings of one shape: the role reads the exact files (`Dialect.rules`),
`intent.policy_rules` reads the intent. A finding stops the change unless it is live already or the
change waives it with a reason; the rest is told. The result is `policy.json`, which approvals bind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evenkeel.balancer.dialect import Dialect
from evenkeel.change.declarations import OF_THE_REHEARSAL, Declared, Waiver, of_manifest
from evenkeel.change.difference import redact
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Problem, Problems
from evenkeel.intent.policy_rules import STOP, policy_findings
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import read_json

FILE = "policy.json"
Data = Mapping[str, Any]
_WITHOUT_END = "out-without-end"
_SHOWN = 6


@dataclass(frozen=True)
class Host:
    """What is judged of one host: its files and intent, and what is live (None where unknown).

    Hosts with the same `key` are alike and judged once. Without `judges_intent` only the files
    are.
    """

    files: Mapping[str, bytes]
    intent: Data
    base_files: Mapping[str, bytes] | None = None
    base_intent: Data | None = None
    key: str = ""
    judges_intent: bool = True


def today() -> str:
    """Give the date in UTC, as 2026-12-31."""
    return datetime.now(UTC).date().isoformat()


def of_host(dialect: Dialect, host: Host, day: str) -> list[dict[str, Any]]:
    """Give what breaks a rule in the files and the intent of one host, what stops first."""
    found: list[dict[str, Any]] = []
    if host.judges_intent:
        found += policy_findings(host.intent, host.base_intent, day)
    # The file cannot say until when; where the intent knows the server, its word counts.
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
    return sorted(found, key=lambda one: (one["severity"], one["rule"], one["subject"]))


def judge(
    hosts: Mapping[str, Host], dialect: Dialect, declared: Declared, day: str
) -> dict[str, Any]:
    """Give what `policy.json` holds: `declared`, `findings` with `hosts`, `waived`.

    `waived` is a waiver's reason, or "". `unused_waivers` have no finding, or are over.
    """
    groups: dict[str, list[str]] = {}
    for name, host in sorted(hosts.items()):
        groups.setdefault(host.key or f"host {name}", []).append(name)
    merged: dict[str, dict[str, Any]] = {}
    for names in groups.values():
        for one in of_host(dialect, hosts[names[0]], day):
            where = repr({**one, "line": None, "text": ""})
            merged.setdefault(where, {**one, "hosts": []})["hosts"] += names
    used: set[Waiver] = set()
    for one in merged.values():
        waiver = _waiver(one, declared.waivers, day)
        one["waived"] = waiver.reason if waiver else ""
        one["hosts"].sort()
        used |= {waiver} if waiver else set()
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


def of_folder(folder: ChangeFolder, dialect: Dialect, day: str) -> dict[str, Any]:
    """Judge the files of a change anew, with what its manifest declares.

    What was found in its intents is taken from `policy.json`: comparing them needs the intent of
    what was live, which only render knows. The bundle has to be verified before.
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
        written = read_json(
            folder.path / FILE, what=f"The file {FILE}", next_step="render the change again"
        )
        result["findings"] += [
            one for one in written["findings"] if (one["rule"], one["subject"]) not in known
        ]
    return result


def _waiver(finding: Data, waivers: Iterable[Waiver], day: str) -> Waiver | None:
    if finding["severity"] != STOP:
        return None
    for waiver in waivers:
        alike = (waiver.rule, waiver.subject) == (finding["rule"], finding["subject"])
        if alike and waiver.holds(day):
            return waiver
    return None


def stops(result: Data) -> list[Data]:
    """Give the findings that stop the change."""
    return [one for one in result["findings"] if one["severity"] == STOP and not one["waived"]]


def require_no_stop(result: Data) -> None:
    """Raise Problems, with each rule's id, line, reason and next step, where a rule stops."""
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


def where(finding: Data) -> str:
    """Give the rule, the subject and the line of a finding."""
    line = f" ({finding['file']} line {finding['line']})" if finding["line"] else ""
    return f"{finding['rule']}: {finding['subject']}{line}"


def checks(result: Data, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """Give the checks of staging.json: one for each rule that found something on `hosts`.

    What is waived or only told passes, with what was found as its reasons.
    """
    rows: dict[str, list[Data]] = {}
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


def _check(rule: str, found: Sequence[Data]) -> dict[str, Any]:
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


def in_words(finding: Data) -> str:
    """Give a finding as a person reads it, in one line."""
    words = f"{where(finding)}: {finding['got']}"
    if finding["waived"]:
        return f"waived: {words}; because: {finding['waived']}"
    if finding["live_already"]:
        return f"live already: {words}"
    return words if finding["severity"] == STOP else f"told: {words}"


def declared_lines(declared: Mapping[str, Any]) -> list[str]:
    """Give what a change declares, line by line, for whoever approves it."""
    lines = []
    for one in declared.get("waivers", ()):
        until = f", until {one['until']}" if one.get("until") else ""
        lines.append(f"rule {one['rule']} is waived for {one['subject']}{until}: {one['reason']}")
    for one in declared.get("intended_shifts", ()):
        to = (
            f"to {one['to_percent']:g} %" if "to_percent" in one else f"by {one['points']:g} points"
        )
        lines.append(
            f"server {one['server']} of pool {one['pool']} may shift {to}: {one['reason']}"
        )
    return lines
