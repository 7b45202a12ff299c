from __future__ import annotations

from evenkeel.ansible_base import EvenkeelAction
from evenkeel.verbs import controller


class ActionModule(EvenkeelAction):
    """Run one of the verbs that happen on the controller, once for the whole fleet."""

    _requires_connection = False
    BYPASS_HOST_LOOP = True

    def act(self, args, task_vars):
        return controller.act(self, args, task_vars)
