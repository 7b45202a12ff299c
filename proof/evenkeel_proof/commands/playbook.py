"""Run a playbook as an operator would, keep all it says in a log, and show what matters of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TASK = re.compile(r"^(PLAY|TASK) \[(.*)\] \*+$")
# What Ansible says of each host and task; the recap and the messages say it better.
_NOISE = re.compile(r"^(ok|changed|skipping|included|\.\.\.ignoring)\b|^\S+ +: ok=\d+|^PLAY RECAP")


def shown(lines: Iterable[str]) -> Iterable[str]:
    """Give the lines of a playbook's output that tell the story: tasks, progress, messages."""
    for raw in lines:
        line = raw.rstrip("\n")
        heading = _TASK.match(line)
        if heading:
            yield f"  > {heading[2]}" if heading[1] == "PLAY" else f"    - {heading[2]}"
        elif line.strip() and not _NOISE.match(line):
            yield f"      {line}"


@dataclass(frozen=True)
class Playbooks:
    """Playbooks of this checkout over one inventory; `show` gets the lines that tell the story."""

    root: Path
    inventory: Path
    log: Path
    environment: Mapping[str, str]
    extra: Mapping[str, str] = field(default_factory=dict)
    show: Callable[[str], None] = print

    def command(self, verb: str, extra: Mapping[str, str], words: Sequence[str] = ()) -> list[str]:
        """Give the words that run playbooks/<verb>.yml."""
        command = [
            str(self.root / ".venv" / "bin" / "ansible-playbook"),
            "-i",
            str(self.inventory),
            str(self.root / "playbooks" / f"{verb}.yml"),
        ]
        for name, value in {**self.extra, **extra}.items():
            command += ["-e", value if name.startswith("@") else f"{name}={value}"]
        return [*command, *words]

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, so that all of it can be ended."""
        # The programs beside this interpreter (molecule, ansible-playbook) go first.
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        config = str(self.root / "ansible.cfg")
        own = {"PATH": path, "ANSIBLE_CONFIG": config}
        environment = {**os.environ, **own, **self.environment}
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command to its end; give its exit code and all that it said."""
        said: list[str] = []
        with self.start(command) as process, self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n")

            def lines() -> Iterable[str]:
                for line in process.stdout or ():
                    said.append(line)
                    log.write(line)
                    yield line

            for line in shown(lines()):
                self.show(line)
            code = process.wait()
        return code, "".join(said)

    def play(self, verb: str, words: Sequence[str] = (), **extra: str) -> tuple[int, str]:
        """Run playbooks/<verb>.yml; give its exit code and all that it said."""
        return self.run(self.command(verb, extra, words))
