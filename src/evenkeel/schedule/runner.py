"""Run a playbook with ansible-runner and collect what each host answered.

Exit code and status are kept for the log only. An unreachable host does not fail the play, and a
rescue clears a failure, so neither decides anything.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from evenkeel.errors import Refused
from evenkeel.records import write_atomically

# A stage prints often, so silence means a hang.
IDLE_SECONDS = 300
LONGEST_SECONDS = 6 * 3600
# Other files repeat these or hold the environment.
KEPT = ("stdout", "stderr", "rc", "status")
_NOISE = re.compile(
    r"\[WARNING\]|Failed to parse|<<<|Origin:|Standard error|where:|wanted:|got:|Inventory script"
)


@dataclass(frozen=True)
class Call:
    """One playbook run. `ident` names the folder of its artifacts."""

    playbook: str
    extra: Mapping[str, str | int]
    ident: str
    artifacts: Path


@dataclass
class Ran:
    """How a run ended: ansible-runner's `status`, and the last answer of each host."""

    status: str
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


RunPlaybook = Callable[[Call], Ran]


def playbooks(root: Path, inventory: str, fleet: str, show: Callable[[str], None]) -> RunPlaybook:
    """Give a function that runs this checkout's playbooks; `show` gets every line of output."""

    def run(call: Call) -> Ran:
        ran = Ran("unknown")

        def follow(event: dict[str, Any]) -> bool:
            for line in str(event.get("stdout") or "").splitlines():
                show(line)
            note(ran, event)
            return True

        kept = call.artifacts / "artifacts" / call.ident
        # Made before the run, because these folders count attempts.
        with _said(show, kept):
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The runner reads settings there, which no approval binds.
        with tempfile.TemporaryDirectory(prefix="evenkeel-runner-") as private:
            try:
                runner = ansible_runner.run(
                    private_data_dir=private,
                    project_dir=str(root),
                    playbook=str(root / "playbooks" / f"{call.playbook}.yml"),
                    inventory=inventory,
                    extravars={"fleet": fleet, **call.extra},
                    ident=call.ident,
                    quiet=True,
                    event_handler=follow,
                    envvars=_environment(root),
                    settings={"idle_timeout": IDLE_SECONDS, "job_timeout": LONGEST_SECONDS},
                )
            finally:
                artifacts = Path(private) / "artifacts" / call.ident
                # Writing atomically replaces a link instead of following it.
                with _said(show, kept):
                    for name in KEPT:
                        if (artifacts / name).is_file():
                            write_atomically(kept / name, (artifacts / name).read_bytes())
        ran.status = str(runner.status)
        return ran

    return run


@contextmanager
def _said(show: Callable[[str], None], kept: Path) -> Iterator[None]:
    """Report output that cannot be kept, and go on: a rollback does not need it."""
    try:
        yield
    except OSError as error:
        show(f"the output of this run cannot be kept in {kept}: {error.strerror}")


def _environment(root: Path) -> dict[str, str]:
    # The programs beside this interpreter have the locked versions.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        # Unset, the runner checks no host keys, despite ansible.cfg.
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
        "PATH": path,
    }


def note(ran: Ran, event: Mapping[str, Any]) -> None:
    """Keep a host program's answer, or our plugins' error, from an event."""
    data = event.get("event_data") or {}
    result = data.get("res") or {}
    host = str(data.get("host") or "")
    if event.get("event") == "runner_on_unreachable":
        ran.answers[host] = {"status": "unreachable", "result": {}}
    elif event.get("event") in ("runner_on_ok", "runner_on_failed"):
        said = result.get("evenkeel") or {}
        if event["event"] == "runner_on_failed" and said.get("what"):
            ran.messages.append(str(result.get("msg")))
            ran.answers[host] = {"status": "failed", "result": {"error": said}}
        elif isinstance(result.get("host"), dict):
            ran.answers[host] = {"status": "ok", "result": result["host"]}


def read_settings(
    root: Path, inventory: str, fleet: str, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Give inventory variables by name as the first host of the fleet sees them.

    Templates are resolved. `defaults` names the variables, with a value for each that the inventory
    lacks. No host is contacted. Raises Refused when the group is missing or a template fails.
    """
    names = ", ".join(
        f"'{name}': {name} | default({json.dumps(value)})" for name, value in defaults.items()
    )
    found: list[dict[str, Any]] = []
    said: list[str] = []

    def follow(event: dict[str, Any]) -> bool:
        result = (event.get("event_data") or {}).get("res") or {}
        if event.get("event") == "runner_on_ok" and isinstance(result.get("msg"), str):
            found.append(json.loads(result["msg"]))
        elif event.get("stdout"):
            said.append(str(event["stdout"]))
        return False

    with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
        ansible_runner.run(
            private_data_dir=folder,
            project_dir=str(root),
            host_pattern=f"{fleet}[0]",
            inventory=inventory,
            module="ansible.builtin.debug",
            module_args=json.dumps({"msg": "{{ {" + names + "} | to_json }}"}),
            quiet=True,
            event_handler=follow,
            envvars=_environment(root),
            settings={"idle_timeout": IDLE_SECONDS},
        )
    if found:
        return found[0]
    lines = [line.strip() for text in said for line in text.splitlines()]
    # The remaining lines of Ansible's output give the cause.
    lines = [line for line in lines if line and not _NOISE.match(line)]
    raise Refused(
        "The inventory cannot be read",
        where=inventory,
        wanted=f"a group {fleet} with at least one host",
        got="; ".join(lines[:3])[:300] or "no answer from Ansible",
        next_step=f"look at it with: ansible-inventory -i {inventory} --graph",
    )
