"""What a run of the scenario left behind: the verifier's results, or what went wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from evenkeel.errors import EvenkeelError
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.lab import names


def verified(results: Path) -> dict[str, dict[str, str]]:
    """Give {bundle: {test: "" or what failed}} of the tests of the container itself."""
    try:
        # Written by our own pytest a moment ago.
        tree = ElementTree.parse(results / "verify.xml")  # noqa: S314
    except (OSError, ElementTree.ParseError):
        return {}
    found: dict[str, dict[str, str]] = {}
    for case in tree.iter("testcase"):
        name, _, rest = case.get("name", "").partition("[")
        if not case.get("classname", "").endswith("test_container"):
            continue
        faults = [*case.iter("failure"), *case.iter("error")]
        said = " ".join(str(faults[0].get("message")).split())[:300] if faults else ""
        found.setdefault(rest.rstrip("]"), {})[name] = said or ("failed" if faults else "")
    return found


def container_check(verified: dict[str, str]) -> dict[str, Any]:
    """Give the check that the container was what it claims to be."""
    reasons = [
        f"{test.removeprefix('test_').replace('_', ' ')}: {said}"
        for test, said in sorted(verified.items())
        if said
    ]
    return {
        "id": "container",
        "title": "The container holds these bytes and runs them, with no network",
        "verdict": FAIL if reasons else PASS,
        "numbers": {"tests": len(verified)},
        "reasons": reasons,
    }


def trouble(results: Path) -> EvenkeelError:
    """Give the error for a run that came to no verdict, with the tools' own words."""
    log = results / "molecule.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    kept = names.state_folder(names.lab_name()) / "staging.log"
    if text:
        shutil.copyfile(log, kept)
    return EvenkeelError(
        "The rehearsal came to no verdict: the staging container or a tool failed",
        where=str(kept) if text else "molecule",
        wanted="every step of the scenario to end",
        got=said_last(text) or "no output",
        next_step="read the log, mend that, and run the same command again",
    )


def said_last(log: str) -> str:
    """Give the line of a Molecule log that says best what went wrong."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for mark in ("stderr: ", "msg: ", "[ERROR]: ", "CRITICAL ", "ERROR "):
        for number, line in enumerate(lines):
            before, found, rest = line.partition(mark)
            if not found or before:
                continue
            if rest.startswith(("|", ">")):
                # A block of several lines: its last one is what a program says in the end.
                block = lines[number + 1 :]
                ends = (at for at, text in enumerate(block) if text.startswith("stderr_lines"))
                rest = block[next(ends, 1) - 1] if block else ""
            if rest.strip(" '\""):
                return rest.strip(" '\"")[:400]
    return lines[-1][:400] if lines else ""
