"""The containers of this run and what was measured in them."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import testinfra

from evenkeel.rehearsal.bundles import Bundle, Settings, inventory
from evenkeel.rehearsal.checks import verdicts
from evenkeel.rehearsal.protocol import paths
from evenkeel.rehearsal.protocol.check import Check
from evenkeel.rehearsal.protocol.measured_types import Measured, Reloads
from evenkeel.rehearsal.protocol.world_types import World

SETTINGS = Settings.read()
BUNDLES = SETTINGS.bundles()
INVENTORY = inventory(SETTINGS)
# Larger files of measurements are cut off, and fail to parse.
LARGEST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Rehearsed:
    """One bundle after its rehearsal, with its container still running."""

    bundle: Bundle

    @cached_property
    def host(self) -> Any:
        # One connection, as Ansible uses: a command takes milliseconds.
        reached = INVENTORY["_meta"]["hostvars"][self.bundle.name]
        return testinfra.get_host(
            f"ssh://root@{self.bundle.name}",
            ssh_identity_file=INVENTORY["staging"]["vars"]["ansible_ssh_private_key_file"],
            ssh_extra_args=reached["ansible_ssh_common_args"],
            controlpath=f"{os.environ['MOLECULE_EPHEMERAL_DIRECTORY']}/v-{self.bundle.name}",
            timeout=60,
        )

    @cached_property
    def world(self) -> World:
        path = SETTINGS.results / f"{self.bundle.name}.world.json"
        return json.loads(path.read_text(encoding="utf-8"))

    @property
    def activated(self) -> bool:
        return self.measured["after"] is not None

    @cached_property
    def measured(self) -> Measured:
        return self._taken("measured", paths.MEASURED_FILE)

    @cached_property
    def reloads(self) -> Reloads:
        return self._taken("reloads", paths.RELOADS_FILE)

    @cached_property
    def checks(self) -> list[Check]:
        return verdicts.judge(self.world, self.measured, self.reloads)

    def _taken(self, what: str, path: str) -> Any:
        """Read a file of measurements from the container, JSON, and keep it among the results."""
        text = self.host.check_output("head -c %s %s", str(LARGEST_BYTES), path)
        measurements = json.loads(text)
        kept = SETTINGS.results / f"{self.bundle.name}.{what}.json"
        kept.write_text(text, encoding="utf-8")
        return measurements


def pytest_generate_tests(metafunc) -> None:
    if "rehearsed" in metafunc.fixturenames:
        metafunc.parametrize(
            "rehearsed", [Rehearsed(b) for b in BUNDLES], ids=[b.name for b in BUNDLES]
        )
