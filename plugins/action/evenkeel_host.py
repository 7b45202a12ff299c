from __future__ import annotations

from evenkeel.ansible_base import EvenkeelAction
from evenkeel.verbs import host


class ActionModule(EvenkeelAction):
    """Run one verb of the on-host program on this host, in one round trip."""

    _VALID_ARGS = frozenset(host.ARGUMENTS)

    def act(self, args, task_vars):
        return host.act(self, args, task_vars)
