"""The verbs that run once, on the controller, and what happens around each of them.

`VERBS` maps the word in a playbook to a function of a `Context`. Its module is imported when the
verb runs: a rollback must not wait for the imports of a rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from evenkeel.errors import EvenkeelError
from evenkeel.verbs.context import Context, Task
from evenkeel.verbs.results import Arguments, Result, TaskVars

Function = Callable[[Context], Result | EvenkeelError]
"""Gives a task's result, or the error that its record explains. Other errors are raised."""


class Verb(NamedTuple):
    """A verb: `module:function` in this package, and what the controller does around it."""

    function: str
    # Whether the report is drawn again after it.
    draws: bool = False
    # The result in check mode; else the function's.
    checked: Result | None = None

    def load(self) -> Function:
        """Import the module of the verb and give its function."""
        module, _, name = self.function.partition(":")
        function: Function = getattr(import_module(f"evenkeel.verbs.{module}"), name)
        return function


VERBS = {
    "render": Verb("render:render_change", draws=True),
    "validate": Verb("validate:validate", draws=True),
    "approve": Verb("sign:approve", draws=True),
    "plan": Verb("preconditions:plan"),
    "open_stage": Verb("deploy:open_stage", checked={"changed": False}),
    "close_stage": Verb(
        "deploy:close_stage", draws=True, checked={"changed": True, "held": False}
    ),
    "hold": Verb("hold:hold", draws=True),
    "require_confirmed": Verb("hold:require_confirmed", checked={"changed": False}),
    "require_hosts": Verb("deploy:require_hosts", checked={"changed": False}),
    "outcome": Verb("deploy:write_outcome", draws=True, checked={"changed": True}),
    "choose_rollback": Verb("fleet:choose_rollback"),
    "rollback_outcome": Verb("fleet:rollback_outcome", checked={"changed": False}),
    "status": Verb("fleet:status"),
    "build_program": Verb("fleet:build_program"),
}  # fmt: skip


def act(task: Task, args: Arguments, task_vars: TaskVars) -> Result:
    """Run the verb that `args` names and give the task's result."""
    context = Context(task, args, task_vars)
    verb = VERBS[args["verb"]]
    if not context.check_mode:
        return _run(verb, context)
    from evenkeel.verbs.check_mode import on_the_controller

    return on_the_controller(context, lambda: verb.checked or _run(verb, context))


def _run(verb: Verb, context: Context) -> Result:
    answer = verb.load()(context)
    if verb.draws and not context.check_mode:
        from evenkeel.report import write_report

        write_report(context.folder)
    if isinstance(answer, EvenkeelError):
        raise answer
    return answer
