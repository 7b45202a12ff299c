from __future__ import annotations

import sys

from ansible.plugins.callback import CallbackBase

from evenkeel.errors import EXIT_REFUSED, Refused, gravest

DOCUMENTATION = """
    name: evenkeel_recap
    type: aggregate
    short_description: print each host's outcome and end with the reserved exit code
    description:
      - Prints the recap of the last verb, and the next command to type.
      - Ends the run with Evenkeel's reserved exit code when one of its tasks refused or failed.
      - A play without a host counts as refused.
    requirements:
      - enable in C(callbacks_enabled)
"""


class CallbackModule(CallbackBase):
    """Print the last lines of a run: the hosts, their outcomes, the next command."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "evenkeel_recap"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.exit_codes = []
        self.recap = ""
        self.verdict = None
        self.no_hosts = None

    def _note(self, result):
        facts = result.result.get("evenkeel") or {}
        self.exit_codes.append(int(facts.get("exit_code") or 0))
        if facts.get("recap"):
            # It overrides the tasks; a status table has none.
            self.recap, self.verdict = facts["recap"], facts.get("exit_code")

    def v2_runner_on_ok(self, result):
        self._note(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):  # noqa: ARG002 - Ansible's name
        self._note(result)

    def v2_runner_on_unreachable(self, result):  # noqa: ARG002 - Ansible's name
        self.exit_codes.append(EXIT_REFUSED)

    def v2_playbook_on_no_hosts_matched(self):
        # Ansible would end with 0.
        self.no_hosts = Refused(
            "Nothing was done: no host is in the group of this playbook",
            wanted="an inventory with a group balancers, or with the one that -e fleet=… names",
            next_step="give the inventory with -i; ansible-inventory -i … --graph shows its groups",
        )
        self.exit_codes.append(self.no_hosts.exit_code)

    def v2_playbook_on_stats(self, stats):  # noqa: ARG002 - Ansible's name
        if self.recap:
            # Loaded already, by the plugin that made the recap.
            from evenkeel.ansible_base import typed

            self._display.display("\n" + typed(self.recap))
        if self.no_hosts:
            self._display.error(str(self.no_hosts), wrap_text=False)
        exit_code = gravest(self.exit_codes) if self.verdict is None else self.verdict
        if exit_code:
            sys.exit(exit_code)
