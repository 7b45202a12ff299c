"""What a verb on the controller works with: its task, its arguments and its hosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evenkeel.change.folder import ChangeFolder
from evenkeel.records import plain
from evenkeel.verbs.results import Arguments, HostAnswer, HostArguments, Hostvars, TaskVars


class Task(Protocol):
    """What a verb needs of the task that runs it (see EvenkeelAction)."""

    @property
    def check_mode(self) -> bool: ...  # noqa: D102 - see EvenkeelAction
    @property
    def diff_mode(self) -> bool: ...  # noqa: D102 - see EvenkeelAction
    def change_folder(  # noqa: D102 - see EvenkeelAction
        self, args: Arguments | HostArguments
    ) -> Path: ...
    def show(self, line: str) -> None: ...  # noqa: D102 - see EvenkeelAction


@dataclass(frozen=True)
class Context:
    """A task of evenkeel_change, which runs once for all hosts of its play."""

    task: Task
    args: Arguments
    task_vars: TaskVars

    @property
    def check_mode(self) -> bool:
        """Whether the verb must change nothing (--check)."""
        return self.task.check_mode

    @property
    def folder(self) -> ChangeFolder:
        """The folder of the change that `change` names."""
        return ChangeFolder(self.task.change_folder(self.args))

    @property
    def names(self) -> list[str]:
        """Every host of the play in inventory order, those that fell silent too."""
        return [str(name) for name in plain(self.task_vars["ansible_play_hosts_all"])]

    @property
    def alive(self) -> list[str]:
        """The hosts of the play that still answer."""
        return [str(name) for name in plain(self.task_vars["ansible_play_hosts"])]

    @property
    def hostvars(self) -> Hostvars:
        """The variables of every host, as Ansible has them."""
        return self.task_vars["hostvars"]

    def answers(self, registered: str) -> dict[str, HostAnswer]:
        """Give {host: its answer} of the task that registered them; {} for a silent host."""
        found = {}
        for name in self.names:
            value: Any = self.hostvars[name].get(registered) or {}
            found[name] = plain(value.get("host") or {})
        return found

    def show(self, lines: list[str]) -> None:
        """Print lines of progress."""
        for line in lines:
            self.task.show(line)
