from __future__ import annotations

from evenkeel.ansible_base import EvenkeelAction
from evenkeel.change.folder import ChangeFolder
from evenkeel.verbs.watch import watch_host


class ActionModule(EvenkeelAction):
    """Watch this host while a stage bakes, and renew its lease when it carries the change."""

    _VALID_ARGS = frozenset(("change", "changes_dir", "stage"))

    def act(self, args, task_vars):
        return watch_host(
            ChangeFolder(self.change_folder(args)),
            args["stage"],
            str(task_vars["inventory_hostname"]),
            lambda options, stdin: self.on_host(task_vars, "observe", options, stdin),
            self.show,
        )
