"""The ground that `scripts/bench` measures on: what the hosts are given, and how they are seen."""

from __future__ import annotations

import contextlib
import copy
import http.client
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evenkeel.errors import Refused
from evenkeel_proof.lab.running import Fleet

MARK = "X-Bench"


def lab_intent(fleet: Fleet, edits: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Give the lab's intent with `edits` made in its text and its addresses filled in."""
    text = (fleet.inventory / "group_vars" / "balancers" / "intent.yml").read_text("utf-8")
    for old, new in edits:
        if old not in text:
            raise Refused("The lab's intent has no such line to edit", got=old[:200])
        text = text.replace(old, new)
    text = re.sub(r"\{\{ lab\.web\.(\w+) \}\}", lambda found: fleet.web[found[1]], text)
    intent: dict[str, Any] = yaml.safe_load(text)["intent"]
    return intent


def marked(intent: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """Give `intent` with a header on every answer, by which a run's content is recognised."""
    marked = copy.deepcopy(dict(intent))
    for listener in marked["listeners"]:
        listener["extra"] = [f"http-response set-header {MARK} {mark}"]
    return marked


@contextlib.contextmanager
def cold_connections() -> Iterator[Path]:
    """Give an empty folder for ssh's control sockets, and end the connections it then holds."""
    folder = Path(tempfile.mkdtemp(prefix="ek-", dir="/tmp"))
    try:
        yield folder
    finally:
        for path in folder.iterdir():
            words = ["ssh", "-F", "none", "-O", "exit", "-o", f"ControlPath={path}", "host"]
            subprocess.run(words, capture_output=True, timeout=20, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def served(address: str) -> str:
    """Give the mark that a balancer answers with, or "" when it does not answer."""
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().getheader(MARK, "") or ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
