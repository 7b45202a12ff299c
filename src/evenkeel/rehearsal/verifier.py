"""What a run of the scenario left behind: the verifier's results, or an error."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from evenkeel.containers import names
from evenkeel.errors import EvenkeelError
from evenkeel.rehearsal.protocol.check import Check, check, verdict_for

# Control characters, and marks that turn the text direction.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_TEXT = 4000


def plain(value: Any) -> Any:  # any JSON value
    """Give what a container printed, without control characters and with bounded texts.

    A configuration runs as root in the container, and its words may end up on a terminal.
    """
    if isinstance(value, str):
        return _CONTROL.sub("?", value[:_LONGEST_TEXT])
    if isinstance(value, dict):
        return {plain(str(name)): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def verified(results: Path) -> dict[str, dict[str, str]]:
    """Give {bundle: {test: "" or what failed}} of the tests of the container itself."""
    try:
        # Our own pytest wrote it a moment ago.
        tree = ElementTree.parse(results / "verify.xml")  # noqa: S314
    except (OSError, ElementTree.ParseError):
        return {}
    tests: dict[str, dict[str, str]] = {}
    for case in tree.iter("testcase"):
        name, _, rest = case.get("name", "").partition("[")
        if not case.get("classname", "").endswith("test_container"):
            continue
        failures = [*case.iter("failure"), *case.iter("error")]
        said = " ".join(str(failures[0].get("message")).split())[:300] if failures else ""
        tests.setdefault(rest.rstrip("]"), {})[name] = said or ("failed" if failures else "")
    return tests


def container_check(verified: Mapping[str, str]) -> Check:
    """Check that the container was what it claims to be."""
    reasons = [
        f"{test.removeprefix('test_').replace('_', ' ')}: {said}"
        for test, said in sorted(verified.items())
        if said
    ]
    title = "The container runs these bytes, without a network"
    return check("container", title, verdict_for(reasons), {"tests": len(verified)}, reasons)


def trouble(results: Path) -> EvenkeelError:
    """Give the error for a run without a verdict, with the tools' own words."""
    log = results / "molecule.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    kept = names.state_folder(names.lab_name()) / "staging.log"
    if text:
        shutil.copyfile(log, kept)
    return EvenkeelError(
        "The rehearsal came to no verdict: the staging container or a tool failed",
        where=str(kept) if text else "molecule",
        wanted="every step of the scenario to finish",
        got=said_last(text) or "no output",
        next_step="read the log, fix what failed, and run the same command again",
    )


def said_last(log: str) -> str:
    """Give the line of a Molecule log that explains the failure best."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for mark in ("stderr: ", "msg: ", "[ERROR]: ", "CRITICAL ", "ERROR "):
        for number, line in enumerate(lines):
            before, marked, rest = line.partition(mark)
            if not marked or before:
                continue
            if rest.startswith(("|", ">")):
                # The last line of a block is the final error.
                block = lines[number + 1 :]
                ends = (at for at, text in enumerate(block) if text.startswith("stderr_lines"))
                rest = block[next(ends, 1) - 1] if block else ""
            if rest.strip(" '\""):
                return str(plain(rest.strip(" '\"")[:400]))
    return str(plain(lines[-1][:400])) if lines else ""
