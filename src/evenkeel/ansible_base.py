"""The base of every action plugin: it translates between Ansible and a function of the package.

It turns Ansible's tagged values into plain ones and an EvenkeelError into a failed task with the
error's message, and it leaves the reserved exit code where the recap callback finds it.
"""

from __future__ import annotations

import gc
import os
import shlex
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from evenkeel.errors import UNREADABLE, EvenkeelError, Refused, for_inventory, printable
from evenkeel.records import check_change_id, plain
from evenkeel.remote import Answer, OptionValue, call

ROOT = Path(__file__).parents[2]
display = Display()

# A forked worker's garbage collection would copy this memory.
gc.freeze()
# -vvv
CONNECTION_VERBOSITY = 3


def typed(text: str) -> str:
    """Give `text` with this run's inventory added to the commands in it."""
    given = [str(path) for path in context.CLIARGS.get("inventory") or ()]
    if not given or given == list(constants.DEFAULT_HOST_LIST):
        return text
    lab = os.environ.get("EVENKEEL_INVENTORY") or str(ROOT / "inventories" / "lab")
    return for_inventory(text, _words(given), _words([lab]))


def _words(inventories: list[str]) -> str:
    """Give `-i PATH` for each, relative to the working directory where it is below it."""
    here = f"{Path.cwd()}/"
    return " ".join(f"-i {shlex.quote(path.removeprefix(here))}" for path in inventories)


class EvenkeelAction(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Base of our action plugins; each implements `act`."""

    def act(self, args: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Run the plugin's function and give the task's result; may raise EvenkeelError."""
        raise NotImplementedError

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run `act` and turn its errors into a failed result."""
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        try:
            result.update(self.act(plain(self._task.args), task_vars or {}))
        except EvenkeelError as error:
            result.update(failed=True, msg=str(error), evenkeel=error.as_dict())
        except UNREADABLE as error:
            verb = self._task.args.get("verb") or self._task.action
            unreadable = Refused(
                f"{verb} found data that it cannot read",
                where=str(self._task.args.get("change") or ""),
                got=f"{type(error).__name__}: {str(error)[:300]}",
                next_step="look for an edited file in the change's folder; -vvv shows where",
            )
            display.vvv(traceback.format_exc())
            result.update(failed=True, msg=str(unreadable), evenkeel=unreadable.as_dict())
        if "msg" in result:
            result["msg"] = typed(str(result["msg"]))
        return result

    @property
    def check_mode(self) -> bool:
        """Whether nothing may be changed (--check)."""
        return bool(self._task.check_mode)

    @property
    def diff_mode(self) -> bool:
        """Whether differences are shown (--diff)."""
        return bool(self._task.diff)

    def show(self, line: str) -> None:
        """Print one line of progress, without what could move a terminal's cursor."""
        display.display(printable(line))

    def change_folder(self, args: Mapping[str, Any]) -> Path:
        """The folder of the change that `change` names, in `changes_dir`."""
        changes = Path(str(args["changes_dir"])).expanduser()
        # People read it, so without `playbooks/..`.
        return Path(os.path.normpath(changes)) / check_change_id(args["change"])

    def on_host(
        self,
        task_vars: Mapping[str, Any],
        verb: str,
        options: Mapping[str, OptionValue],
        stdin: bytes = b"",
    ) -> Answer:
        """Run one verb of the on-host program over this task's connection, in one round trip."""

        def channel(words: list[str], data: bytes) -> tuple[int, bytes, bytes]:
            # With data ssh opens no terminal, which spoils binary.
            code, out, err = self._connection.exec_command(
                shlex.join(words), in_data=data or b"\n", sudoable=False
            )
            return int(code), bytes(out), bytes(err)

        # Answers hold secrets; no_log also hides connection errors.
        if options.get("files") and display.verbosity >= CONNECTION_VERBOSITY:
            self._connection._play_context.no_log = True
        return call(
            channel,
            host=str(task_vars["inventory_hostname"]),
            balancer=str(plain(task_vars["balancer_kind"])),
            verb=verb,
            options=options,
            stdin=stdin,
        )
